"""Exponential smoothing with additive errors and weekdays, ETS(A,N,A), its two weights chosen a series from a small grid.

Hyndman and others 2008. All pairs of weights run beside each other over the days, so that a series costs a fraction of a
millisecond; `benchmarks/ets.py` sets it beside AutoETS.
"""

import numpy as np

from pipelines.features.panel import Panel, demand
from pipelines.models.arrays import from_bytes, to_bytes
from pipelines.models.known import fill_unknown, mean

SUFFIX = ".npy"
# Wider grids follow the past of slow sellers more closely and forecast M5 worse.
ALPHAS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15)  # weight of the newest day in the level
GAMMAS = (0.0, 0.01, 0.03)  # and in the effect of its weekday
BLOCK = 512  # series at a time: their states stay in the processor's cache


def fit(panel: Panel, *, horizon: int, window_size: int = 728) -> bytes:  # noqa: ARG001 - one signature for all
    """Level + effect of each of the seven weekdays ahead, after the last `window_size` days, under the weights with the smallest
    sum of squared errors one day ahead. Float32 [S, 7]; a day on which demand is unknown moves nothing.
    """
    starts = range(0, panel.series, BLOCK)
    return to_bytes(np.concatenate([_weekdays(demand(panel, slice(start, start + BLOCK))[:, -window_size:]) for start in starts]))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """Level and weekday effect, never negative."""
    return np.maximum(from_bytes(artifact)[:, np.arange(horizon) % 7], 0)


def _weekdays(y: np.ndarray) -> np.ndarray:
    """The forecasts of the seven days after the last, before they are cut at zero. [S, T] -> [S, 7]"""
    known = ~np.isnan(y)
    largest = np.max(np.where(known, np.abs(y), 0), axis=1, initial=0)
    scale = np.where(largest > 0, largest, 1)[:, None]  # squares of large sales stay within float32
    y = y / scale
    alpha, gamma = (each.reshape(-1, 1).astype(np.float32) for each in np.meshgrid(ALPHAS, GAMMAS))
    first_level, first_effects = _start(y)
    level = np.repeat(first_level[None].astype(np.float32), len(alpha), axis=0)
    effects = np.repeat(first_effects.T[:, None].astype(np.float32), len(alpha), axis=1)  # [7, pair, series]
    squares, error, step = (np.zeros_like(level) for _ in range(3))
    days, moves = np.nan_to_num(y).astype(np.float32).T.copy(), known.astype(np.float32).T.copy()
    for day in range(len(days)):
        effect = effects[day % 7]
        np.subtract(days[day], level, out=error)
        error -= effect
        error *= moves[day]
        level += np.multiply(error, alpha, out=step)
        effect += np.multiply(error, gamma, out=step)
        squares += np.multiply(error, error, out=step)
    best = np.argmin(squares, axis=0), np.arange(len(y))
    ahead = (len(days) + np.arange(7)) % 7
    return (level[best] + effects[ahead][:, *best]).T * scale


def _start(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first level and weekday effects, which sum to zero, from the means of all days. [S], [S, 7]"""
    means = fill_unknown(np.stack([mean(y[:, day::7]) for day in range(7)], axis=1))
    level = means.mean(axis=1)
    return level, means - level[:, None]
