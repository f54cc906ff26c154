"""The mean of the last days, the newest of which count most, repeated."""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import repeated, to_bytes
from pipelines.models.known import latest, mean

SUFFIX = ".npy"
predict = repeated


def fit(panel: Panel, *, horizon: int, window_size: int = 56) -> bytes:  # noqa: ARG001 - one signature for all
    """The mean of the last `window_size` days on which demand is known: the newest counts `window_size` times, the oldest once.

    Zero for a series of which no day is known.
    """
    return to_bytes(np.nan_to_num(mean(latest(demand(panel), window_size), np.arange(1.0, window_size + 1))))
