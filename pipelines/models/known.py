"""The last days of each series on which demand is known, side by side: what the averages are made of."""

import numpy as np


def latest(y: np.ndarray, count: int) -> np.ndarray:
    """The last `count` known values of each row, oldest first; NaN at the front where there are fewer. [S, T] -> float64 [S, count]

    >>> latest(np.array([[1, np.nan, 3, 4], [np.nan, np.nan, np.nan, 2]]), 2).tolist()
    [[3.0, 4.0], [nan, 2.0]]
    """
    known = ~np.isnan(y)
    age = np.cumsum(known[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]
    rows, columns = np.nonzero(known & (age <= count))
    found = np.full((len(y), count), np.nan)
    found[rows, count - age[rows, columns]] = y[rows, columns]
    return found


def mean(values: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """The weighted mean of the known values of each row; NaN where none is known. [S, N] -> float64 [S]"""
    weight = np.where(np.isnan(values), 0.0, weights)
    total, count = np.sum(np.nan_to_num(values) * weight, axis=1), np.sum(weight, axis=1)
    return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)


def fill_unknown(season: np.ndarray) -> np.ndarray:
    """A season with NaN replaced by the mean of the places that are known, zero where none is. [S, K] -> [S, K]"""
    return np.where(np.isnan(season), np.nan_to_num(mean(season))[:, None], season)
