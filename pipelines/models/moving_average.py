"""The mean of the last days, repeated."""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import repeated, to_bytes
from pipelines.models.known import latest, mean

SUFFIX = ".npy"
predict = repeated


def fit(panel: Panel, *, horizon: int, window_size: int = 28) -> bytes:  # noqa: ARG001 - one signature for all
    """The mean of the last `window_size` days on which demand is known, fewer if there are not as many; zero if there are none."""
    return to_bytes(np.nan_to_num(mean(latest(demand(panel), window_size))))
