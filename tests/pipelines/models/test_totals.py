"""Sums of stores and departments follow last year's season; the series keep their shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.declared import load_declarations
from pipelines.models import xgboost
from pipelines.models.totals import drawn, growth
from tests.pipelines.panels import panel_of, rich_panel


def seasons(days: int = 500) -> np.ndarray:
    """Two series of one store and department: 10 and 30 a day, half as much more in the days 136 to 163 and a year later."""
    day = np.arange(days)
    is_high = (day % 364 >= 136) & (day % 364 < 164)
    return np.array([[10.0], [30.0]]) * np.where(is_high, 1.5, 1.0)


def test_the_way_to_last_years_season_is_gone_by_the_weight() -> None:
    panel = panel_of(seasons(500), groups=np.zeros((2, 5), np.int16))  # 500 is day 136 of the second year
    flat = np.repeat(np.array([[10.0], [30.0]], np.float32), 28, axis=1)

    assert growth(panel, 28) == pytest.approx(1.5)
    np.testing.assert_allclose(drawn(panel, flat, 1.0), flat * 1.5, rtol=1e-6)
    np.testing.assert_allclose(drawn(panel, flat, 0.5), flat * np.sqrt(1.5), rtol=1e-6)
    np.testing.assert_array_equal(drawn(panel, flat, 0.0), flat)


def test_without_a_year_before_the_last_weeks_are_the_season() -> None:
    panel = panel_of(seasons(120), groups=np.zeros((2, 5), np.int16))
    twice = np.repeat(np.array([[20.0], [60.0]], np.float32), 7, axis=1)

    assert growth(panel, 7) == 1.0
    np.testing.assert_allclose(drawn(panel, twice, 1.0), twice / 2, rtol=1e-6)


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_sum_is_scaled_as_one_and_what_is_nothing_stays(weight: float, horizon: int) -> None:
    panel = rich_panel(series=6, days=420)
    panel.y[panel.groups[:, 0] == 0] = 0  # a store that sells nothing
    yhat = np.random.default_rng(horizon).gamma(2, 2, (6, horizon)).astype(np.float32)

    found = drawn(panel, yhat, weight)

    assert np.isfinite(found).all()
    for store, department in {(row[0], row[2]) for row in panel.groups.tolist()}:
        own = (panel.groups[:, 0] == store) & (panel.groups[:, 2] == department)
        factor = found[own] / yhat[own]
        np.testing.assert_allclose(factor, factor.flat[0], rtol=1e-5)
        assert store != 0 or factor.flat[0] == 1


def test_the_trees_take_the_way_that_they_were_fitted_with() -> None:
    panel, features = rich_panel(series=6, days=420), load_declarations().feature_sets["demand"]
    plain, moved = (xgboost.fit(panel, horizon=14, features=features, rounds=5, totals=weight) for weight in (0.0, 0.5))

    expected = drawn(panel, xgboost.predict(plain, panel, horizon=14), 0.5)

    np.testing.assert_array_equal(xgboost.predict(moved, panel, horizon=14), expected)
