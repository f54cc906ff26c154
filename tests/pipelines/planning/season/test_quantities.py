"""Buy, holdback, shares: the plan's whole numbers."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.planning.season.quantities import apportion, bought, held_back


def test_eight_thousand_make_the_plan_of_the_example() -> None:
    buy = bought(8000, 0.20)

    assert (buy, held_back(buy, 0.45)) == (9600, (5280, 4320))


@pytest.mark.parametrize(("demand", "stock", "expected"), [(0, 0.2, 0), (5, 0.2, 6), (1, 0.01, 2), (10, 0.1, 11), (7, 0.0, 7)])
def test_a_buy_is_rounded_up_and_exact(demand: int, stock: float, expected: int) -> None:
    assert bought(demand, stock) == expected


@pytest.mark.parametrize(("buy", "kept"), [(10, 5), (30, 14), (1, 0), (0, 0), (50, 23)])
def test_a_half_is_held_back(buy: int, kept: int) -> None:
    assert held_back(buy, 0.45) == (buy - kept, kept), "round() would give 4, 14, 0, 0 and 22: it rounds halves to even"


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_initial_and_holdback_are_the_buy(buy: int, share: float) -> None:
    initial, kept = held_back(buy, share)

    assert initial + kept == buy
    assert 0 <= kept <= buy


def test_equal_weights_give_the_first_one_more() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(10, [6, 6, 2]) == [4, 4, 2]
    assert apportion(11, [6, 6, 2]) == [5, 5, 1], "a larger total may give one less: no law says otherwise"
    assert apportion(5, [0, 0]) == [3, 2]
    assert apportion(5, []) == []


@given(st.integers(0, 10**6), st.lists(st.one_of(st.integers(0, 1000), st.floats(0, 1000)), min_size=1, max_size=30))
def test_parts_add_up_and_are_within_one_of_their_share(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)

    assert sum(parts) == total
    every = sum(weights) if any(weights) else len(weights)
    for part, weight in zip(parts, weights if any(weights) else [1] * len(weights), strict=True):
        exact = total * weight / every if every > 1e-290 else 0
        assert every <= 1e-290 or math.floor(exact - 1e-3) <= part <= math.ceil(exact + 1e-3)


def test_parts_are_those_of_a_slow_count() -> None:
    """Hand out unit by unit to the largest remainder, in fractions."""
    from fractions import Fraction

    chance = random.Random(1)
    for _ in range(300):
        weights = [chance.randint(0, 9) for _ in range(chance.randint(1, 8))]
        total = chance.randint(0, 40)
        if not any(weights):
            continue
        exact = [Fraction(total * each, sum(weights)) for each in weights]
        parts = [math.floor(each) for each in exact]
        while sum(parts) < total:
            open_ = [n for n in range(len(weights)) if parts[n] == math.floor(exact[n])]
            best = max(open_, key=lambda n: (exact[n] - parts[n], weights[n], -n))
            parts[best] += 1
        assert apportion(total, weights) == parts
