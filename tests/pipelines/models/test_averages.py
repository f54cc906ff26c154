"""Averages, lines and smoothing: the right answer is known by hand."""

from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.features.panel import STOCKED_OUT, Panel
from pipelines.models import (
    ets,
    moving_average,
    seasonal_average,
    ses_weekday,
    trend_regression_baseline,
    weighted_moving_average,
)
from pipelines.models.known import latest, mean
from tests.pipelines.panels import panel_of

HORIZON = 10
WEEK = [4.0, 1.0, 2.0, 3.0, 8.0, 13.0, 0.0]
NAN = float("nan")


def forecast(module: ModuleType, panel: Panel, **params: Any) -> np.ndarray:
    yhat: np.ndarray = module.predict(module.fit(panel, horizon=HORIZON, **params), panel, horizon=HORIZON)
    return yhat


def noise(series: int = 4, days: int = 200) -> np.ndarray:
    return np.random.default_rng(7).poisson(6, (series, days)).astype(np.float64)


@pytest.mark.parametrize("days", [70, 73])
@pytest.mark.parametrize("module", [seasonal_average, trend_regression_baseline, ets, ses_weekday], ids=lambda m: m.__name__)
def test_a_perfect_week_is_forecast_exactly(module: ModuleType, days: int) -> None:
    days_and_ahead = np.resize(WEEK, days + HORIZON)

    yhat = forecast(module, panel_of(days_and_ahead[None, :days]))

    np.testing.assert_allclose(yhat[0], days_and_ahead[days:], atol=2e-6)


def test_the_newest_day_counts_most() -> None:
    y = np.array([[100.0, 1, 2, 6]])

    assert forecast(weighted_moving_average, panel_of(y), window_size=3)[0, 0] == pytest.approx((1 * 1 + 2 * 2 + 3 * 6) / 6)


def test_days_out_of_stock_are_passed_over_for_older_ones() -> None:
    panel = panel_of(np.array([[9.0, 5, 4, 0, 0]]))
    state = panel.state.copy()
    state[0, 3:] = STOCKED_OUT
    panel = msgspec.structs.replace(panel, state=state)

    assert forecast(moving_average, panel, window_size=2)[0].tolist() == [4.5] * HORIZON
    assert forecast(weighted_moving_average, panel, window_size=2)[0, 0] == pytest.approx((5 + 2 * 4) / 3)


def test_seasonal_average_is_the_mean_of_the_last_same_weekdays() -> None:
    y = noise()

    found = forecast(seasonal_average, panel_of(y), seasons=3)

    for row, yhat in zip(y, found, strict=True):
        for h in range(HORIZON):
            same = [row[200 + h % 7 - 7 * back] for back in (1, 2, 3)]
            assert yhat[h] == pytest.approx(sum(same) / 3)


def test_a_weekday_never_seen_takes_the_mean_of_the_others() -> None:
    panel = panel_of(np.array([[NAN] * 5 + [6.0, 8.0] + [10.0]]))  # days 5, 6 and 7; the next is day 8

    yhat = forecast(seasonal_average, panel)[0]

    assert yhat[4:7].tolist() == [6, 8, 10]  # days 12, 13, 14
    assert yhat[0] == 8


def test_a_straight_line_with_weekdays_is_carried_on() -> None:
    line = 50 + 0.5 * np.arange(100 + HORIZON) + np.resize(WEEK, 100 + HORIZON)

    yhat = forecast(trend_regression_baseline, panel_of(line[None, :100]), damping=1.0)

    np.testing.assert_allclose(yhat[0], line[100:], rtol=1e-6)


def test_a_damped_line_levels_off() -> None:
    rising = panel_of(100 + 2 * np.arange(100.0)[None, :])
    artifact = trend_regression_baseline.fit(rising, horizon=400, damping=0.5)

    yhat = trend_regression_baseline.predict(artifact, rising, horizon=400)[0]

    assert yhat[:2].tolist() == [299, 299.5]  # the line ends at 298; 2 x .5, then 2 x .25 more
    assert yhat[-1] == pytest.approx(300)


def test_the_line_is_the_one_of_least_squares_with_weekdays() -> None:
    y = noise(3, 60)
    y[1, ::5] = np.nan
    y[2, :41] = np.nan
    day = np.arange(60)

    found = forecast(trend_regression_baseline, panel_of(y), damping=1.0)

    for row, yhat in zip(y, found, strict=True):
        known = ~np.isnan(row)
        terms = np.column_stack([*((day % 7 == k) for k in range(7)), day]).astype(np.float64)
        solution, *_ = np.linalg.lstsq(terms[known], row[known])
        expected = [solution[(60 + h) % 7] + solution[7] * (60 + h) for h in range(HORIZON)]
        np.testing.assert_allclose(yhat, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


def plain_ets(y: list[float]) -> list[float]:
    """ETS(A,N,A) of one series in plain Python: every pair of weights in turn, the smallest sum of squared errors wins."""
    whole = [[v for n, v in enumerate(y) if n % 7 == k and v == v] for k in range(7)]
    means = [sum(values) / len(values) for values in whole]
    best, answer = float("inf"), [0.0]
    for gamma in ets.GAMMAS:
        for alpha in ets.ALPHAS:
            level = sum(means) / 7
            effects = [each - level for each in means]
            squares = 0.0
            for n, value in enumerate(y):
                if value == value:
                    error = value - level - effects[n % 7]
                    level += alpha * error
                    effects[n % 7] += gamma * error
                    squares += error**2
            if squares < best:
                best, answer = squares, [max(level + effects[(len(y) + h) % 7], 0) for h in range(HORIZON)]
    return answer


def test_ets_equals_a_plain_loop() -> None:
    y = noise(6, 150) * np.linspace(1, 3, 150)
    y[1, :40] = np.nan
    y[2, 60:75] = np.nan
    y[3] = np.resize(WEEK, 150) * np.linspace(4, 1, 150)

    found = forecast(ets, panel_of(y))

    for row, yhat in zip(y, found, strict=True):
        np.testing.assert_allclose(yhat, plain_ets([float(v) for v in row]), rtol=1e-4, atol=1e-4)


def test_ets_does_not_care_in_which_block_a_series_is(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ets.fit(panel_of(noise(7)), horizon=HORIZON)

    monkeypatch.setattr(ets, "BLOCK", 3)

    assert ets.fit(panel_of(noise(7)), horizon=HORIZON) == whole


def test_a_slow_seller_takes_the_weekdays_of_its_department() -> None:
    fast = np.resize([10.0, 10, 10, 10, 10, 20, 0], 140)  # mean 10
    slow = np.resize([1.0] + [0.0] * 6, 140)
    groups = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 2, 0]], dtype=np.int16)
    panel = panel_of(np.array([100 * fast, slow, slow]), groups=groups)

    yhat = forecast(ses_weekday, panel)

    np.testing.assert_allclose(yhat[1, 5] / yhat[1, 1], 2, rtol=0.01)
    assert yhat[1, 6] == pytest.approx(0)
    assert yhat[2, 1] == 0  # alone in its department: it sells on the first weekday only
    np.testing.assert_allclose(yhat[2, 0], 1, rtol=1e-6)


def test_the_latest_known_values_stand_at_the_end() -> None:
    y = np.array([[1.0, NAN, 3, NAN], [NAN, NAN, NAN, NAN]])

    found = latest(y, 3)

    np.testing.assert_array_equal(found, [[NAN, 1, 3], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(mean(found), [2, NAN])
