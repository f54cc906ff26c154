"""The features of the pooled model, computed in blocks straight from the panel.

Each row is one series on one target day t; everything observed comes from days <= t - horizon, so that one direct model
serves every step up to the horizon and nothing after a cutoff can reach a forecast from it.

    lagged        lag_h, lag_h+7, lag_h+14, lag_h+21; mean_7, mean_28, mean_91, std_28, zero_share_28, weekday_mean_8 (the
                  last eight same weekdays), price_level (price at t - horizon over the series' mean to that day)
    static        store, category, department codes; age in days
    known ahead   weekday, day of year as sine and cosine, holiday of t
"""

from datetime import timedelta

import numpy as np

from pipelines.features.panel import Panel

NAMES = (
    "lag_h", "lag_h_7", "lag_h_14", "lag_h_21", "mean_7", "mean_28", "mean_91", "std_28", "zero_share_28",
    "weekday_mean_8", "price_level", "store", "category", "department", "age", "weekday", "year_sin", "year_cos", "holiday",
)  # fmt: skip
LOOKBACK = 91
"""Days of history before t - horizon that a row would like to see; missing ones are NaN and the trees cope."""


def features(panel: Panel, series: np.ndarray, days: np.ndarray, *, horizon: int) -> np.ndarray:
    """The features of every given series on every given target day, float32 [len(series) * len(days), len(NAMES)].

    Rows run by series, then day. Target days may lie past the panel's end by at most `horizon`.
    """
    last = days - horizon  # the latest column that a row may see
    y = np.where(np.isnan(panel.y[series]), np.nan, panel.y[series]).astype(np.float64)
    padded = np.concatenate([np.full((len(series), LOOKBACK), np.nan), y], axis=1)
    at = last + LOOKBACK  # position of `last` in padded
    seen = ~np.isnan(padded)
    sums = [_running(np.where(seen, value, 0)) for value in (padded, padded**2, seen, seen & (padded == 0))]

    def window(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        total, squares, count, zeros = (_between(running, at, n) for running in sums)
        return total, squares, np.where(count > 0, count, np.nan), zeros

    columns: list[np.ndarray] = [padded[:, at - lag] for lag in (0, 7, 14, 21)]
    columns += [total / count for total, _, count, _ in (window(n) for n in (7, 28, 91))]
    total, squares, count, zeros = window(28)
    columns += [np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0)), zeros / count]
    columns.append(_weekday_mean(padded, at, days, horizon))
    columns.append(_price_level(panel.price[series], last))
    columns += [np.broadcast_to(panel.groups[series, g, None], (len(series), len(days))) for g in range(3)]
    first_sale = np.argmax(~np.isnan(panel.y[series]), axis=1)
    columns.append(days[None, :] - first_sale[:, None])
    columns += [np.broadcast_to(row, (len(series), len(days))) for row in _known_ahead(panel, days)]
    return np.stack([column.astype(np.float32) for column in columns], axis=-1).reshape(-1, len(NAMES))


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)


def _between(running: np.ndarray, at: np.ndarray, n: int) -> np.ndarray:
    """Sums of the n days that end at `at`."""
    return running[:, at + 1] - running[:, at + 1 - n]


def _weekday_mean(padded: np.ndarray, at: np.ndarray, days: np.ndarray, horizon: int) -> np.ndarray:
    """Mean of the last eight days before t - horizon (inclusive) that have the weekday of t."""
    back = -(-horizon // 7) * 7 - horizon  # how much further back than `last` the nearest same weekday lies
    picks = np.stack([padded[:, at - back - 7 * k] for k in range(8)])
    count = np.sum(~np.isnan(picks), axis=0)
    return np.where(count > 0, np.nansum(picks, axis=0) / np.maximum(count, 1), np.nan) + 0 * days[None, :]


def _price_level(price: np.ndarray, last: np.ndarray) -> np.ndarray:
    mean = np.cumsum(price, axis=1, dtype=np.float64) / np.arange(1, price.shape[1] + 1)
    position = np.maximum(last, 0)
    base = mean[:, position]
    return np.where((base > 0) & (last >= 0), price[:, position] / np.where(base > 0, base, 1), np.nan)


def _known_ahead(panel: Panel, days: np.ndarray) -> list[np.ndarray]:
    dates = [panel.first_day + timedelta(days=int(day)) for day in days]
    angle = 2 * np.pi * np.array([date.timetuple().tm_yday for date in dates]) / 365.25
    return [np.array([date.weekday() for date in dates]), np.sin(angle), np.cos(angle), panel.holiday[days]]
