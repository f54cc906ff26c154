"""Plan and sales apart, and the season afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.planning.season.variance import is_exceeded, ratio, reforecast, variance


@pytest.mark.parametrize(
    ("planned", "actual", "exceeded"),
    [(1000, 1200, False), (1000, 800, False), (1000, 1201, True), (1000, 799, True), (0, 0, False), (0, 1, True), (5, 6, False)],
)
def test_a_fifth_exactly_is_within_the_plan(planned: int, actual: int, exceeded: bool) -> None:
    assert is_exceeded(planned, actual) is exceeded


def test_less_than_planned_is_negative() -> None:
    assert variance(1000, 700) == -0.3
    assert variance(1000, 1000) == 0
    assert variance(0, 5) is None


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_prior_draws_the_ratio_towards_one(planned: int, actual: int, prior: int) -> None:
    raw, found = ratio(planned, actual), ratio(planned, actual, prior)

    assert raw == actual / planned
    assert min(raw, 1) - 1e-12 <= found <= max(raw, 1) + 1e-12


def test_the_weeks_that_remain_are_scaled_and_those_sold_stay() -> None:
    """Planned 100 a week, sold 70: (280 + 100) / (400 + 100) = 0.76 of the six others."""
    weeks, factor = reforecast([100] * 10, [70] * 4)

    assert factor == 0.76
    assert weeks == [70] * 4 + [76] * 6


def test_what_models_learned_counts_by_the_part_that_is_over() -> None:
    """0.6 x 76 + 0.4 x 50 = 65.6 a week: 394 of six weeks."""
    weeks, _ = reforecast([100] * 10, [70] * 4, [50.0] * 6)

    assert weeks[:4] == [70] * 4
    assert sum(weeks[4:]) == 394
    assert set(weeks[4:]) == {65, 66}


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=26), st.data())
def test_a_plan_that_came_true_stays(planned: list[int], data: st.DataObject) -> None:
    known = data.draw(st.integers(1, len(planned) - 1))

    weeks, factor = reforecast(planned, planned[:known])

    assert factor == 1
    assert weeks == planned
