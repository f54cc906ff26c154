"""A smoothed level for each series, times the weekday profile of its store and department.

A single series of slow sales says little about its weekdays; all series of a department in a store say much.
"""

import numpy as np

from pipelines.features.panel import Panel, demand, departments
from pipelines.models.arrays import from_bytes, to_bytes
from pipelines.models.known import fill_unknown

SUFFIX = ".npy"


def fit(panel: Panel, *, horizon: int, alpha: float = 0.05, window_size: int = 364) -> bytes:  # noqa: ARG001 - one signature for all
    """Demand of the seven weekdays ahead, float32 [S, 7], from the last `window_size` days.

    The profile of a store and department is the mean of its series on each weekday over their mean on all. Demand is divided by it
    and smoothed with `alpha`, from its mean over the window on; a weekday on which nothing is ever sold moves no level.
    """
    y = demand(panel)[:, -window_size:].astype(np.float64)
    profile = _profiles(panel, y)
    share = profile[:, np.arange(y.shape[1]) % 7]
    moves = ~np.isnan(y) & (share > 0)
    known = np.where(moves, share, 0).sum(axis=1)
    level = np.where(moves, y, 0).sum(axis=1) / np.where(known > 0, known, 1)
    for day in range(y.shape[1]):
        error = np.where(moves[:, day], y[:, day], 0) / np.where(moves[:, day], share[:, day], 1) - level
        level += alpha * np.where(moves[:, day], error, 0)
    ahead = (y.shape[1] + np.arange(7)) % 7
    return to_bytes(level[:, None] * profile[:, ahead])


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """Step h takes the value of its weekday."""
    return from_bytes(artifact)[:, np.arange(horizon) % 7]


def _profiles(panel: Panel, y: np.ndarray) -> np.ndarray:
    """The profile of each series' store and department from the window's first day on; one where nothing was sold. [S, 7]"""
    group = departments(panel)
    weekdays = [y[:, day::7] for day in range(7)]
    sums = np.stack([np.bincount(group, np.nansum(each, axis=1)) for each in weekdays], axis=1)
    counts = np.stack([np.bincount(group, np.sum(~np.isnan(each), axis=1)) for each in weekdays], axis=1)
    means = fill_unknown(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    overall = means.mean(axis=1, keepdims=True)
    return np.where(overall > 0, means / np.where(overall > 0, overall, 1), 1)[group]
