"""Models of sums: what is shared down adds up to the bit, and simple truths are forecast."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.models import prophet_like, sarimax, unobserved_components
from pipelines.models.aggregates import first_steps, shared_forecast, split
from pipelines.models.arrays import to_bytes
from tests.pipelines.panels import panel_of

HORIZON = 10
WEEK = [4.0, 1.0, 2.0, 3.0, 8.0, 13.0, 6.0]
TYPES = [prophet_like, sarimax, unobserved_components]


def groups_of(stores: list[int], departments: list[int]) -> np.ndarray:
    zero = [0] * len(stores)
    return np.array([stores, zero, departments, zero, zero], dtype=np.int16).T


def forecast(module: ModuleType, y: np.ndarray, **params: Any) -> np.ndarray:
    panel = panel_of(y, **params)
    yhat: np.ndarray = module.predict(module.fit(panel, horizon=HORIZON), panel, horizon=HORIZON)
    return yhat


@given(
    totals=st.lists(st.floats(0, 2.0**40, width=32, allow_subnormal=False), min_size=1, max_size=5),
    weights=st.lists(st.floats(0, 1e9, allow_subnormal=False) | st.just(0.0), min_size=1, max_size=40),
)
def test_parts_add_up_to_the_bit(totals: list[float], weights: list[float]) -> None:
    parts = split(np.array(totals), np.array(weights))

    assert (parts >= 0).all()
    assert parts.sum(axis=0, dtype=np.float64).tolist() == totals
    assert parts[::-1].sum(axis=0, dtype=np.float32).tolist() == totals
    even = sum(weights) == 0
    for part, weight in zip(parts.tolist(), weights, strict=True):
        share = 1 / len(weights) if even else weight / sum(weights)
        for value, total in zip(part, totals, strict=True):
            assert value == pytest.approx(share * total, rel=1e-6, abs=2e-7 * total)


def test_series_get_their_share_of_the_last_four_weeks() -> None:
    y = np.array([[9.0] * 50 + [1.0] * 28, [3.0] * 78, [0.0] * 78, [5.0] * 78])
    panel = panel_of(y, groups=groups_of([0, 0, 0, 1], [0, 0, 0, 0]))

    yhat = shared_forecast(panel, lambda y: np.full(HORIZON, y[-1]), horizon=HORIZON, max_groups=9, max_days=60)

    assert yhat[:, 0].tolist() == [1, 3, 0, 5]  # 4 units a day, one to three


def test_the_smallest_sums_are_fitted_as_one() -> None:
    y = np.arange(1.0, 5.0)[:, None] * np.tile([1.0, 2.0], (4, 40))
    panel = panel_of(y, groups=groups_of([0, 0, 1, 1], [0, 1, 0, 1]))
    fitted: list[int] = []

    def ahead(y: np.ndarray) -> np.ndarray:
        fitted.append(len(y))
        return np.full(HORIZON, 1.0)

    yhat = shared_forecast(panel, ahead, horizon=HORIZON, max_groups=3, max_days=60)

    assert fitted == [60, 60, 60]
    np.testing.assert_allclose(yhat[:, 0], [2, 4, 6, 8])  # 1 and 2 share the largest day of their sum: 6


def test_a_forecast_that_explodes_is_bounded_and_one_that_fails_is_the_mean() -> None:
    panel = panel_of(np.tile([1.0, 3.0], (1, 40)))

    def fails(y: np.ndarray) -> np.ndarray:
        raise np.linalg.LinAlgError

    def forecasts(ahead: Any) -> list[float]:
        yhat = shared_forecast(panel, ahead, horizon=2, max_groups=1, max_days=60)
        return [float(v) for v in yhat[0]]

    assert forecasts(lambda y: np.array([1e9, -5])) == [6, 0]
    assert forecasts(lambda y: np.array([np.nan, 1])) == forecasts(fails) == [2, 2]


@pytest.mark.parametrize("module", TYPES, ids=lambda m: m.__name__)
def test_a_perfect_week_is_forecast(module: ModuleType) -> None:
    both = np.resize(WEEK, 119 + HORIZON)

    yhat = forecast(module, np.array([both[:119], 3 * both[:119]]))

    np.testing.assert_allclose(yhat[0], both[119:], atol=0.05)
    np.testing.assert_allclose(yhat[1], 3 * both[119:], atol=0.15)


def test_a_line_a_year_and_holidays_are_found() -> None:
    days = np.arange(800 + HORIZON)
    event = np.zeros(800 + 90, dtype=np.int16)
    event[[100, 300, 500, 700, 803]] = 1
    y = 50 + 0.02 * days + 10 * np.sin(2 * np.pi * days / 365.25) + 25 * event[: len(days)] + np.resize(WEEK, len(days))
    panel = panel_of(y[None, :800], event=event)

    artifact = prophet_like.fit(panel, horizon=HORIZON, max_days=800)

    np.testing.assert_allclose(prophet_like.predict(artifact, panel, horizon=HORIZON)[0], y[800:], rtol=1e-5)


def test_one_year_is_too_short_for_a_year() -> None:
    days = np.arange(400 + HORIZON)
    y = 50 + np.where(days == 200, 40, 0) + np.resize(WEEK, len(days))

    yhat = forecast(prophet_like, y[None, :400])

    np.testing.assert_allclose(yhat[0], y[400:], rtol=0.02)


def test_a_sum_that_starts_late_is_fitted_from_its_first_sale() -> None:
    y = np.concatenate([np.full(70, np.nan), np.resize(WEEK, 70)])

    np.testing.assert_allclose(forecast(prophet_like, y[None, :])[0], np.resize(WEEK, HORIZON), rtol=1e-5)


def test_more_days_than_were_fitted_are_refused() -> None:
    artifact = to_bytes(np.ones((2, 7)))

    assert first_steps(artifact, 3).shape == (2, 3)
    with pytest.raises(ValueError, match="fitted for 7 days ahead, not for 8: fit it again"):
        first_steps(artifact, 8)
