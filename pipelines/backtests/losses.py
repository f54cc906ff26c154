"""Measures of error over arrays of actual `y` and forecast `yhat`. Smaller is better; all are ratios or units, never percent.

bias is forecast minus actual: positive is over-forecast. A measure that is undefined is None, never inf or NaN. Points
whose y is NaN are not scored. Definitions: Hyndman & Koehler 2006, the M5 guide, AWS Forecast's metrics.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

WEEK = 7
STEADY = 1e-12
"""A spread over folds is relative to their mean; a mean smaller than this is none."""


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


def wql(y: np.ndarray, quantiles: Mapping[float, np.ndarray]) -> float | None:
    """2 sum pinball / sum |y|, mean over the levels; wape at level 0.5. None where nothing was demanded.

    Takes    y and the forecast quantile of each level, arrays of one shape.
    Source   Amazon Forecast's weighted quantile loss.
    """
    scale = np.nansum(np.abs(y))
    losses = [np.nansum(np.maximum(level * (y - q), (level - 1) * (y - q))) for level, q in quantiles.items()]
    return _over(2 * np.mean(losses), scale)


def coverage(y: np.ndarray, low: np.ndarray, high: np.ndarray) -> float | None:
    """Share of points within [low, high]."""
    scored = ~np.isnan(y)
    return _mean(((y >= low) & (y <= high))[scored].astype(np.float64))


def tracking_signal(y: np.ndarray, yhat: np.ndarray) -> float | None:
    """Sum (y - yhat) / mean |y - yhat|, the sign of a lasting bias; 0 where there is no error. At most the number of points.

    Positive is under-forecast: the sign of the textbooks, which is the other way round than bias.
    """
    mean = mae(y, yhat)
    if mean is None:
        return None
    return float(np.nansum(y - yhat) / mean) if mean else 0.0


def stability_pct(values: Sequence[float | None]) -> float | None:
    """100 sd / |mean| of a loss over folds, in percent; None for fewer than two folds or a mean of 0. Over 50 is unsteady."""
    known = np.array([value for value in values if value is not None])
    if len(known) < 2 or abs(known.mean()) < STEADY:
        return None
    return float(100 * known.std() / abs(known.mean()))


def fva(base: float | None, stage: float | None) -> float | None:
    """Forecast value added: wape of a base minus wape of the stage after it; positive is better. Stages add up."""
    return None if base is None or stage is None else base - stage


def absolute_scale(train: np.ndarray) -> np.ndarray:
    """The scale of mase, a series: mean |y_t - y_(t-7)| over training; NaN where it is 0 or unknown. [S, T] -> [S]"""
    return _row_mean(np.abs(train[:, WEEK:] - train[:, :-WEEK]))


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


def wrmsse(y: np.ndarray, yhat: np.ndarray, scales: Sequence["LevelScale"]) -> float | None:
    """The loss of M5: rmsse of the sums at each level, weighted by revenue; every level counts the same.

    Takes    y and yhat [S, H] and what level_scales gives. Days whose y is NaN are in neither sum.
    Gives    None where at some level no group has both revenue and a scale; groups without a scale leave their weight
             to the others of the level.
    Source   The M5 guide; equals rmsse for one series.
    """
    known = ~np.isnan(y)
    error = np.where(known, yhat, 0) - np.where(known, y, 0)
    found = []
    for codes, scale, weight in scales:
        if not weight.any():
            return None
        squared = np.mean(group_sums(error, codes) ** 2, axis=1)
        scored = weight > 0
        found.append(np.sum(weight[scored] * np.sqrt(squared[scored] / scale[scored])))
    return float(np.mean(found)) if found else None


class LevelScale(NamedTuple):
    """What wrmsse needs to know of one level with G groups."""

    codes: np.ndarray  # [S] the group of each series
    scale: np.ndarray  # [G] squared_scale of the sums
    weight: np.ndarray  # [G] share of revenue, 0 without a scale; sums to 1, or to 0 where no group has both


def level_scales(train: np.ndarray, revenue: np.ndarray, levels: Iterable[np.ndarray]) -> list[LevelScale]:
    """The scale and weight of each group of each level.

    Takes    train [S, T], revenue [S] of the last 28 training days, and for each level the group of each series as a
             code from 0, [S]; none is skipped.
    """
    found = []
    for codes in levels:
        scale = squared_scale(group_sums(np.nan_to_num(train), codes))
        weight = np.where(np.isnan(scale), 0, np.bincount(codes, weights=revenue))
        found.append(LevelScale(codes, scale, weight / (weight.sum() or 1)))
    return found


def group_sums(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sums of the rows of each group, float64: [S, T] and codes from 0 [S] -> [groups, T]. NaN stays NaN."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    return np.add.reduceat(values[order], starts, axis=0, dtype=np.float64)


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
