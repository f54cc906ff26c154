"""Totals of stores and departments follow a regression and last year's season; the series keep their shares."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_config.declared import load_declarations
from pipelines.models import xgboost
from pipelines.models.totals import REGRESSION, SEASON, drawn
from tests.pipelines.panels import panel_of, rich_panel

ONE_TOTAL = np.zeros((2, 5), np.int16)


def seasons(days: int) -> np.ndarray:
    """Two series of one store and department: 10 and 30 a day, half as much more in the days 136 to 163 of each 364."""
    day = np.arange(days)
    is_high = (day % 364 >= 136) & (day % 364 < 164)
    return np.array([[10.0], [30.0]]) * np.where(is_high, 1.5, 1.0)


def test_a_part_of_the_way_is_last_years_season() -> None:
    panel = panel_of(seasons(500), groups=ONE_TOTAL)  # 500 is day 136 of the second year; too few days for a regression
    flat = np.repeat(np.array([[10.0], [30.0]], np.float32), 28, axis=1)

    np.testing.assert_allclose(drawn(panel, flat, 1.0), flat * 1.5**SEASON, rtol=1e-6)
    np.testing.assert_allclose(drawn(panel, flat, 0.5), flat * 1.5 ** (SEASON / 2), rtol=1e-6)
    np.testing.assert_array_equal(drawn(panel, flat, 0.0), flat)


def test_the_larger_part_is_a_regression_that_knows_week_event_and_growth() -> None:
    days, horizon = 1100, 28
    day = np.arange(days + 90)
    event = ((day % 100) == 10).astype(np.int16)
    y = (40 + 20 * (day % 7 == 3)) * 1.2 ** (day / 365.25) * np.where(event == 1, 2.0, 1.0)
    panel = panel_of(np.stack([y[:days], y[:days] * 3]), groups=ONE_TOTAL, event=event, event_names=np.array(["Fair"]))
    truth = np.stack([y[days : days + horizon], y[days : days + horizon] * 3])
    assert event[days : days + horizon].any()

    found = drawn(panel, np.full_like(truth, truth.mean()), 1.0)

    shape = (found.sum(axis=0) / found.sum(axis=0).mean()) ** (1 / REGRESSION)
    np.testing.assert_allclose(shape / shape.mean(), truth.sum(axis=0) / truth.sum(axis=0).mean(), rtol=0.1)


def test_without_a_year_before_nothing_is_moved() -> None:
    panel = panel_of(seasons(120), groups=ONE_TOTAL)
    twice = np.repeat(np.array([[20.0], [60.0]], np.float32), 7, axis=1)

    np.testing.assert_array_equal(drawn(panel, twice, 1.0), twice)


@pytest.mark.parametrize("shift", [7, 364])
def test_a_panel_that_begins_weeks_later_is_drawn_alike(shift: int) -> None:
    y = np.random.default_rng(4).poisson(400, (2, 900)).astype(float)
    flat = np.full((2, 14), 400, np.float32)
    first = panel_of(y, groups=ONE_TOTAL)
    later = panel_of(y, groups=ONE_TOTAL, first_day=first.first_day + timedelta(days=shift))

    np.testing.assert_allclose(drawn(first, flat, 1.0), drawn(later, flat, 1.0), rtol=0.02)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(1, 60), st.sampled_from([420, 900]))
def test_a_total_is_scaled_as_one_and_what_is_nothing_stays(weight: float, horizon: int, days: int) -> None:
    panel = rich_panel(series=6, days=days)
    panel.y[panel.groups[:, 0] == 0] = 0  # a store that sells nothing
    yhat = np.random.default_rng(horizon).gamma(2, 2, (6, horizon)).astype(np.float32)

    found = drawn(panel, yhat, weight)

    assert np.isfinite(found).all()
    for store, department in {(row[0], row[2]) for row in panel.groups.tolist()}:
        own = (panel.groups[:, 0] == store) & (panel.groups[:, 2] == department)
        factor = found[own] / yhat[own]
        np.testing.assert_allclose(factor, np.repeat(factor[:1], len(factor), axis=0), rtol=1e-5)
        assert store != 0 or (factor == 1).all()
        assert ((factor >= 0.5) & (factor <= 2.0 + 1e-6)).all()


def test_the_trees_take_the_way_that_they_were_fitted_with() -> None:
    panel, features = rich_panel(series=6, days=420), load_declarations().feature_sets["demand"]
    plain, moved = (xgboost.fit(panel, horizon=14, features=features, rounds=5, totals=weight) for weight in (0.0, 0.5))

    expected = drawn(panel, xgboost.predict(plain, panel, horizon=14), 0.5)

    np.testing.assert_array_equal(xgboost.predict(moved, panel, horizon=14), expected)
