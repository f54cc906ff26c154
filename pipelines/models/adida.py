"""Intermittent demand summed over buckets as long as the mean interval between sales, smoothed there, and shared over their days.

Nikolopoulos and others 2011; equal to ADIDA of statsforecast.
"""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import repeated, to_bytes

SUFFIX = ".npy"
predict = repeated
ALPHAS = (0.1, 0.3)
GOLDEN = (5**0.5 - 1) / 2
BLOCK = 1024  # series at a time: sums and their places are never held for all
STEPS = 30  # of the golden section: alpha to 1e-7


def fit(panel: Panel, *, horizon: int) -> bytes:  # noqa: ARG001 - one signature for all
    """Units a day: the smoothed sum of a bucket over its days; zero without a sale.

    The weight of the newest bucket, between 0.1 and 0.3, is the one with the smallest squared error one bucket ahead.
    """
    starts = range(0, panel.series, BLOCK)
    return to_bytes(np.concatenate([_rate(demand(panel, slice(start, start + BLOCK))) for start in starts]))


def _rate(y: np.ndarray) -> np.ndarray:
    sums, length = _buckets(y)
    return _smooth(sums, _best_alpha(sums))[0] / length


def _buckets(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of whole buckets, oldest first [S, B], and the days of a bucket, a series [S].

    The newest bucket ends on the last day; days on which demand is unknown are skipped. A series with fewer buckets repeats its
    oldest at the front, which moves no smoothed value.
    """
    known, sold = ~np.isnan(y), y > 0
    age = np.cumsum(known[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]  # 1 is the newest known day
    days = age[:, 0]
    last_sale = np.min(np.where(sold, age, days[:, None] + 1), axis=1)
    mean_interval = (days + 1 - last_sale) / np.maximum(sold.sum(axis=1), 1)
    length = np.maximum(np.rint(mean_interval), 1).astype(np.int32)
    whole = days // length
    most = max(int(whole.max(initial=0)), 1)
    bucket = (age - 1) // length[:, None]
    rows, columns = np.nonzero(known & (bucket < whole[:, None]))
    place = rows * most + most - 1 - bucket[rows, columns]
    sums = np.bincount(place, y[rows, columns], minlength=len(y) * most).reshape(len(y), most).astype(np.float64)
    oldest = sums[np.arange(len(y)), most - np.maximum(whole, 1)]
    filled = np.where(np.arange(most) < (most - whole)[:, None], oldest[:, None], sums)
    return np.asfortranarray(filled), length  # the buckets of one age lie side by side: they are smoothed together


def _smooth(sums: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Simple exponential smoothing of each row: the level after the last bucket and the sum of squared errors. [S], [S]"""
    level, squares = sums[:, 0].copy(), np.zeros(len(sums))
    for column in sums.T:
        error = column - level
        squares += error * error
        level += alpha * error
    return level, squares


def _best_alpha(sums: np.ndarray) -> np.ndarray:
    """The weight with the smallest squared error of each row, by golden section. [S]"""
    low, high = (np.full(len(sums), bound) for bound in ALPHAS)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = _smooth(sums, left)[1], _smooth(sums, right)[1]
    for _ in range(STEPS):
        below = at_left < at_right
        low, high = np.where(below, low, left), np.where(below, right, high)
        fresh = np.where(below, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_fresh = _smooth(sums, fresh)[1]
        left, right = np.where(below, fresh, right), np.where(below, left, fresh)
        at_left, at_right = np.where(below, at_fresh, at_right), np.where(below, at_left, at_fresh)
    return (low + high) / 2
