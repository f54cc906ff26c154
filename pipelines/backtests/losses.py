"""Measures of error over arrays of actual `y` and forecast `yhat`. Smaller is better; all are ratios or units, never percent.

bias is forecast minus actual: positive is over-forecast. A measure that is undefined is None, never inf or NaN. Points
whose y is NaN are not scored. Definitions: Hyndman & Koehler 2006, the M5 guide, AWS Forecast's metrics.
"""

import numpy as np


def mae(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Mean |y - yhat|, units."""
    return _mean(np.abs(yhat - y))


def rmse(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Root of the mean squared error, units."""
    mean = _mean((yhat - y) ** 2)
    return None if mean is None else float(np.sqrt(mean))


def wape(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Sum |y - yhat| / sum |y|, pooled over all points; None where nothing was demanded.

    >>> wape(np.array([10.0, 0, 10]), np.array([8.0, 1, 12]))
    0.25
    """
    return _over(np.nansum(np.abs(yhat - y)), np.nansum(np.abs(y)))


def smape(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Mean 2 |y - yhat| / (|y| + |yhat|), 0 where both are 0; between 0 and 2."""
    scale = np.abs(y) + np.abs(yhat)
    return _mean(np.where(scale == 0, 0.0, 2 * np.abs(yhat - y) / np.where(scale == 0, 1, scale)))


def mape(y: np.ndarray, yhat: np.ndarray) -> tuple[float | None, int]:
    """Mean |y - yhat| / y over the points where y is not 0, and their number."""
    scored = ~np.isnan(y) & (y != 0)
    return _mean(np.abs(yhat[scored] - y[scored]) / np.abs(y[scored])), int(scored.sum())


def bias(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Mean yhat - y, units."""
    return _mean(yhat - y)


def bias_ratio(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Sum (yhat - y) / sum |y|; never larger than wape in size."""
    return _over(np.nansum(yhat - y), np.nansum(np.abs(y)))


def pinball(y: np.ndarray, q: np.ndarray, level: float) -> float | None:
    """Mean max(level (y - q), (level - 1) (y - q)), units; half the mae at level 0.5."""
    return _mean(np.maximum(level * (y - q), (level - 1) * (y - q)))


def coverage(y: np.ndarray, low: np.ndarray, high: np.ndarray) -> float | None:
    """Share of points within [low, high]."""
    scored = ~np.isnan(y)
    return _mean(((y >= low) & (y <= high))[scored].astype(np.float64))


def absolute_scale(train: np.ndarray, season: int = 7) -> np.ndarray:
    """The scale of mase, a series: mean |y_t - y_(t-season)| over training; NaN where it is 0 or unknown. [S, T] -> [S]"""
    return _row_mean(np.abs(train[:, season:] - train[:, :-season]))


def squared_scale(train: np.ndarray) -> np.ndarray:
    """The scale of rmsse, a series: mean (y_t - y_(t-1))^2 from the first non-zero day on; NaN where 0. [S, T] -> [S]"""
    started = np.cumsum(np.nan_to_num(train), axis=1) > 0
    steps = np.where(started[:, :-1], train[:, 1:] - train[:, :-1], np.nan)
    return _row_mean(steps**2)


def mase(y: np.ndarray, yhat: np.ndarray, scale: np.ndarray) -> float | None:
    """Mean over series of mae / absolute_scale; series without a scale are left out. y, yhat [S, H]"""
    return _mean(_row_mean(np.abs(yhat - y), keep_zero=True) / scale)


def rmsse(y: np.ndarray, yhat: np.ndarray, scale: np.ndarray) -> float | None:
    """Mean over series of sqrt(mse / squared_scale); series without a scale are left out. y, yhat [S, H]"""
    return _mean(np.sqrt(_row_mean((yhat - y) ** 2, keep_zero=True) / scale))


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if known.size else None


def _over(numerator: float, denominator: float) -> float | None:
    return float(numerator / denominator) if denominator else None


def _row_mean(values: np.ndarray, *, keep_zero: bool = False) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean if keep_zero else np.where(mean > 0, mean, np.nan)
