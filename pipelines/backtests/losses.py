"""Measures of error of a forecast `yhat` beside the actual `y`. Smaller is better; all are ratios or units, never percent.

Each is a quotient of sums, and sums add up over days, series and folds: `points` says what each point adds, `scaled` what each
series adds, and `measures` divides. bias is forecast minus actual: positive is over-forecast. A measure that is undefined is
None, never inf or NaN. Points whose y is NaN are not scored. Definitions: Hyndman & Koehler 2006, the M5 guide, AWS Forecast's
metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.backtests.intervals import LEVELS

WEEK = 7
STEADY = 1e-12
"""A spread over folds is relative to their mean; a mean smaller than this is none."""
WEIGHTED = (0.1, 0.5, 0.9)
"""The quantiles of wql."""
ROWS = 256
"""Series that are scaled at once."""


def points(y: np.ndarray, yhat: np.ndarray, quantiles: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What each point adds to the sums that `measures` divides, each of the shape of y; nothing where y is NaN.

    Takes    y and yhat of one shape, and the forecast's quantiles, LEVELS of intervals, as one more axis.
    """
    known = ~np.isnan(y)
    y, error = np.where(known, y, 0), np.where(known, yhat - y, 0)
    absolute, demand = np.abs(error), np.abs(y)
    both = np.where(known, demand + np.abs(yhat), 0)
    found = {
        "n": known.astype(np.float64),
        "error": error,
        "absolute": absolute,
        "squared": error**2,
        "demand": demand,
        "symmetric": 2 * absolute / np.where(both == 0, 1, both),
        "relative": np.where(demand == 0, 0, absolute) / np.where(demand == 0, 1, demand),
        "relative_n": (demand > 0).astype(np.float64),
    }
    if quantiles is None:
        return found
    at = {level: quantiles[..., n] for n, level in enumerate(LEVELS)}
    pinball = {level: np.where(known, np.maximum(level * (y - q), (level - 1) * (y - q)), 0) for level, q in at.items()}
    return {
        **found,
        "pinball": sum(pinball.values()) / len(LEVELS),
        "weighted": sum(pinball[level] for level in WEIGHTED) / len(WEIGHTED),
        "within_80": (known & (y >= at[0.1]) & (y <= at[0.9])).astype(np.float64),
        "within_90": (known & (y >= at[0.05]) & (y <= at[0.95])).astype(np.float64),
    }


def scaled(sums: Mapping[str, np.ndarray], absolute: np.ndarray, squared: np.ndarray) -> dict[str, np.ndarray]:
    """What each series adds to the sums of mase and rmsse; nothing where it has no scale, or no day that is known.

    Takes    what `points` gives, summed over the days of each series [S], and what absolute_scale and squared_scale give [S].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "scaled_absolute": sums["absolute"] / sums["n"] / absolute,
            "scaled_squared": np.sqrt(sums["squared"] / sums["n"] / squared),
        }
    counted = {f"{name}_n": (~np.isnan(each)).astype(np.float64) for name, each in found.items()}
    return {name: np.nan_to_num(each) for name, each in found.items()} | counted


def measures(sums: Mapping[str, float]) -> dict[str, float | None]:
    """The measures of error by their names in contract.registry.BacktestMetric.

        mae, rmse        mean |yhat - y| and the root of the mean squared error, units
        wape             sum |yhat - y| / sum |y|
        smape            mean 2 |yhat - y| / (|y| + |yhat|), 0 where both are 0; between 0 and 2
        mape             mean |yhat - y| / |y| over the points where y is not 0
        mase, rmsse      mean over series of mae / absolute_scale and of sqrt(mse / squared_scale), over those that have a scale
        bias             mean yhat - y, units
        bias_ratio       sum (yhat - y) / sum |y|; never larger than wape in size
        tracking_signal  sum (y - yhat) / mean |y - yhat| of the days' totals; 0 where there is no error, at most the number of
                         days. Positive is under-forecast: the sign of the textbooks, which is the other way round than bias
        pinball          mean over LEVELS of max(level (y - q), (level - 1) (y - q)), units
        wql              2 sum pinball / sum |y|, mean over WEIGHTED; Amazon Forecast's weighted quantile loss
        coverage_80, _90 share of points within [q10, q90] and [q05, q95]

    Takes    sums of what `points` and `scaled` give, and of `daily` and `days`, the days' |totals of the error| and their number.
    """
    n, demand = sums["n"], sums["demand"]
    squared, daily, weighted = _over(sums["squared"], n), _over(sums.get("daily"), sums.get("days", 0)), sums.get("weighted")
    return {
        "mae": _over(sums["absolute"], n),
        "rmse": None if squared is None else squared**0.5,
        "wape": _over(sums["absolute"], demand),
        "smape": _over(sums["symmetric"], n),
        "mape": _over(sums["relative"], sums["relative_n"]),
        "mase": _over(sums.get("scaled_absolute"), sums.get("scaled_absolute_n", 0)),
        "rmsse": _over(sums.get("scaled_squared"), sums.get("scaled_squared_n", 0)),
        "bias": _over(sums["error"], n),
        "bias_ratio": _over(sums["error"], demand),
        "tracking_signal": None if daily is None else -sums["error"] / daily if daily else 0.0,
        "pinball": _over(sums.get("pinball"), n),
        "wql": None if weighted is None else _over(2 * weighted, demand),
        "coverage_80": _over(sums.get("within_80"), n),
        "coverage_90": _over(sums.get("within_90"), n),
    }


def measured(
    y: np.ndarray, yhat: np.ndarray, *, quantiles: np.ndarray | None = None, train: np.ndarray | None = None
) -> dict[str, float | None]:
    """The measures of all points together; mase and rmsse where the series' training days are given. [S, H], [S, T]"""
    found = points(y, yhat, quantiles)
    sums = {name: float(each.sum()) for name, each in found.items()}
    daily = np.abs(found["error"].sum(axis=0))
    sums |= {"daily": float(daily.sum()), "days": float(daily.size)} if sums["n"] else {}
    if train is not None:
        of_series = scaled({name: each.sum(axis=1) for name, each in found.items()}, absolute_scale(train), squared_scale(train))
        sums |= {name: float(each.sum()) for name, each in of_series.items()}
    return measures(sums)


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
    return _scale(train, lambda rows: np.abs(rows[:, WEEK:] - rows[:, :-WEEK]))


def squared_scale(train: np.ndarray) -> np.ndarray:
    """The scale of rmsse, a series: mean (y_t - y_(t-1))^2 from the first sale on; NaN where 0. [S, T] -> [S]"""
    return _scale(train, lambda rows: np.where(_has_sold(rows)[:, :-1], (rows[:, 1:] - rows[:, :-1]) ** 2, np.nan))


def wrmsse(y: np.ndarray, yhat: np.ndarray, scales: Sequence["LevelScale"]) -> float | None:
    """The loss of M5: rmsse of the sums at each level, weighted by revenue; every level counts the same.

    Takes    y and yhat [S, H] and what level_scale gives, a level. Days whose y is NaN are in neither sum.
    Gives    None where at some level no group has both revenue and a scale; groups without a scale leave their weight
             to the others of the level.
    Source   The M5 guide; equals rmsse for one series.
    """
    error = np.where(np.isnan(y), np.nan, yhat - y)
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


def level_scale(sums: np.ndarray, revenue: np.ndarray, codes: np.ndarray) -> LevelScale:
    """The scale and weight of each group of a level.

    Takes    the training days' sums of the groups [G, T], and of each series the revenue of the last 28 of them and its
             group, a code from 0, [S]; none is skipped.
    """
    scale = squared_scale(sums)
    weight = np.where(np.isnan(scale), 0, np.bincount(codes, weights=revenue))
    return LevelScale(codes, scale, weight / (weight.sum() or 1))


def group_sums(values: np.ndarray, codes: np.ndarray, groups: int | None = None) -> np.ndarray:
    """Sums of the rows of each group, float64: [S, ...] and codes from 0 [S] -> [groups, ...]. NaN counts as nothing."""
    from scipy.sparse import csr_array  # takes a tenth of a second, which nobody waits for that sums nothing

    shape = (groups or int(codes.max()) + 1, len(codes))
    member = csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)
    return np.asarray(member @ np.where(np.isnan(values), 0, values))


def _scale(train: np.ndarray, steps: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean step of each series; NaN where it is 0 or unknown. A few series at a time: what lies between stays in the cache."""
    found = [np.empty(0)]
    for n in range(0, len(train), ROWS):
        each = steps(train[n : n + ROWS].astype(np.float64))
        count = (~np.isnan(each)).sum(axis=1)
        found.append(np.nansum(each, axis=1) / np.maximum(count, 1))
    mean = np.concatenate(found)
    return np.where(mean > 0, mean, np.nan)


def _has_sold(train: np.ndarray) -> np.ndarray:
    return np.logical_or.accumulate(train > 0, axis=1)


def _over(numerator: float | None, denominator: float) -> float | None:
    return None if numerator is None or not denominator else float(numerator / denominator)
