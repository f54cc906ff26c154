"""Figures: exact until they are said."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from assets_config.contract.manifest import Kpi, Measure
from serving.figures import Figures, rounded, shares

MEASURES = [Measure("revenue", "money", ""), Measure("cost", "money", ""), Measure("units", "count", "")]
KPIS = [
    Kpi("margin", "revenue - cost", "money", "up", ""),
    Kpi("margin_ratio", "(revenue - cost) / revenue", "ratio", "up", ""),
    Kpi("price", "revenue / units", "money", "none", ""),
    Kpi("pairs", "units / 2", "count", "none", ""),
]
CENTS = st.integers(-(10**12), 10**12)


def half_up(value: Fraction, places: int) -> float:
    size = (2 * abs(value) * 10**places + 1) // 2
    return float(Fraction(int(size) if value >= 0 else -int(size), 10**places))


@given(revenue=CENTS, cost=CENTS, units=st.integers(-1000, 1000))
def test_every_figure_equals_fraction_arithmetic(revenue: int, cost: int, units: int) -> None:
    found = to_builtins(Figures(MEASURES, KPIS).metrics([revenue, cost, units]))

    taken, paid = Fraction(revenue, 100), Fraction(cost, 100)
    assert found["margin"] == half_up(taken - paid, 2)
    assert found["margin_ratio"] == (half_up((taken - paid) / taken, 6) if revenue else None)
    assert found["price"] == (half_up(taken / units, 2) if units else None)
    assert found["pairs"] == half_up(Fraction(units, 2), 6)


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        ((5, 1000), 2, 0.01),
        ((-5, 1000), 2, -0.01),
        ((5, -1000), 2, -0.01),
        ((8, 4), 6, 2),
        ((10**30, 1), 6, 10**30),
        (None, 2, None),
    ],
)
def test_numbers_are_rounded_half_away_from_zero(value: tuple[int, int] | None, places: int, expected: float | None) -> None:
    assert rounded(value, places) == expected


@given(st.lists(st.integers(-(10**9), 10**12), max_size=60))
def test_shares_add_up_and_each_is_within_a_hundredth(parts: list[int]) -> None:
    found = shares(parts, range(len(parts)))

    whole = sum(parts)
    if whole:
        assert sum(found) == 10_000
        assert all(abs(share - Fraction(10_000 * part, whole)) < 1 for share, part in zip(found, parts, strict=True))
    else:
        assert set(found) <= {0}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), st.randoms())
def test_of_equal_remainders_the_first_in_order_gets_the_hundredth(parts: list[int], draw: random.Random) -> None:
    order = draw.sample(range(len(parts)), len(parts))
    found, whole = shares(parts, order), sum(parts)

    assert sum(found) == 10_000
    extra = [n for n in order if found[n] > 10_000 * parts[n] // whole]
    by_remainder = sorted(order, key=lambda n: 10_000 * parts[n] % whole, reverse=True)
    assert set(extra) == set(by_remainder[: len(extra)])


def test_shares_of_sums_past_64_bits_are_exact() -> None:
    assert shares([10**30, 2 * 10**30], [0, 1]) == [3333, 6667]
    assert shares([2**62, 2**61], [0, 1]) == [6667, 3333]
