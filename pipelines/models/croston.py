"""Croston's method for intermittent demand: the size of a sale and the days between two are smoothed apart.

Croston 1972; equal to CrostonClassic of statsforecast.
"""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import repeated, to_bytes

SUFFIX = ".npy"
predict = repeated


def fit(panel: Panel, *, horizon: int, alpha: float = 0.1) -> bytes:  # noqa: ARG001 - one signature for all
    """Units a day: smoothed size over smoothed interval, both moved by `alpha` on each day with a sale; zero without any."""
    return to_bytes(rate(panel, alpha))


def rate(panel: Panel, alpha: float) -> np.ndarray:
    """Units a day of every series; days on which demand is unknown count for no interval. float64 [S]"""
    y = demand(panel)
    size, interval, since = np.zeros(len(y)), np.ones(len(y)), np.zeros(len(y))
    first = np.ones(len(y), dtype=bool)
    for column in y.T:
        since += ~np.isnan(column)
        sold = column > 0
        weight = np.where(first, 1, alpha)
        np.add(size, weight * (column - size), out=size, where=sold)
        np.add(interval, weight * (since - interval), out=interval, where=sold)
        since[sold], first[sold] = 0, False
    return size / interval
