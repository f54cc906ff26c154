"""A straight line with weekday effects, by least squares; what it rises or falls ahead is damped."""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import from_bytes, to_bytes
from pipelines.models.known import fill_unknown

SUFFIX = ".npy"


def fit(panel: Panel, *, horizon: int, window_size: int = 364, damping: float = 0.95) -> bytes:  # noqa: ARG001 - one signature for all
    """The line through the last `window_size` days on the panel, each weekday with a level of its own. Float32 [S, 9].

    Columns 0-6 are the levels on the panel's last day of the weekdays ahead, 7 the slope, units a day, and 8 `damping`, between 0
    and 1: step h adds slope x (damping + damping^2 + .. + damping^h). A slope needs two known days of one weekday, else it is zero.
    """
    y = demand(panel)[:, -window_size:].astype(np.float64)
    day = np.arange(1.0 - y.shape[1], 1.0)  # the panel's last day is 0
    known = ~np.isnan(y)
    y = np.nan_to_num(y)
    # With a level a weekday, the slope of least squares is the one within weekdays: sums of products around their means.
    shared, spread = np.zeros(len(y)), np.zeros(len(y))
    means = []
    for ahead in range(1, 8):
        own = slice((ahead + y.shape[1] - 1) % 7, None, 7)
        count = np.maximum(known[:, own].sum(axis=1), 1)
        mean_day = (known[:, own] * day[own]).sum(axis=1) / count
        mean_y = y[:, own].sum(axis=1) / count
        shift = known[:, own] * (day[own] - mean_day[:, None])
        shared += (shift * (y[:, own] - mean_y[:, None])).sum(axis=1)
        spread += (shift**2).sum(axis=1)
        means.append((np.where(known[:, own].any(axis=1), mean_y, np.nan), mean_day))
    slope = np.where(spread > 0, shared / np.where(spread > 0, spread, 1), 0)
    levels = fill_unknown(np.stack([mean_y - slope * mean_day for mean_y, mean_day in means], axis=1))
    return to_bytes(np.column_stack([levels, slope, np.full(len(y), damping)]))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """Weekday level and damped slope, never negative."""
    line = from_bytes(artifact)
    steps = np.cumsum(line[:, 8:9] ** np.arange(1, horizon + 1, dtype=np.float32), axis=1)
    return np.maximum(line[:, np.arange(horizon) % 7] + line[:, 7:8] * steps, 0)
