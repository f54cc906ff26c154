"""The chance of a sale and its size, smoothed apart; the chance falls on every day without one, so that what dies is let go.

Teunter, Syntetos and Babai 2011; equal to TSB of statsforecast.
"""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import repeated, to_bytes

SUFFIX = ".npy"
predict = repeated


def fit(panel: Panel, *, horizon: int, alpha_d: float = 0.1, alpha_p: float = 0.1) -> bytes:  # noqa: ARG001 - one signature for all
    """Units a day: size, moved by `alpha_d` on days with a sale, times chance, moved by `alpha_p` on each known day."""
    y = demand(panel)
    size, chance = np.zeros(len(y)), np.zeros(len(y))
    unseen, unsold = np.ones(len(y), dtype=bool), np.ones(len(y), dtype=bool)
    for column in y.T:
        known, sold = ~np.isnan(column), column > 0
        np.add(chance, np.where(unseen, 1, alpha_p) * (sold - chance), out=chance, where=known)
        np.add(size, np.where(unsold, 1, alpha_d) * (column - size), out=size, where=sold)
        unseen &= ~known
        unsold &= ~sold
    return to_bytes(size * chance)
