"""Quantiles from backtest residuals of the very models that are served: split conformal, by horizon and size of forecast.

Residuals y - yhat of the champions are pooled in cells of horizon bucket x tenth of forecast size. The quantile at level q is
the ceil((n + 1) q)-th smallest residual of the cell, added to the forecast and cut at zero. A cell with fewer than
`FEWEST` residuals takes those of its whole size tenth, then of all.
"""

import numpy as np

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
FEWEST = 50
SIZES = 10
BUCKET_STARTS = (1, 8, 15, 29)


def quantiles(yhat: np.ndarray, step: np.ndarray, past_yhat: np.ndarray, past_step: np.ndarray, past_y: np.ndarray) -> np.ndarray:
    """The quantiles LEVELS of each forecast, float64 [n, 7], rising and never negative.

    `past_*` are champions' backtest points with known y. Without any, all quantiles are the forecast itself.
    """
    if not len(past_y):
        return np.repeat(yhat[:, None].astype(np.float64), len(LEVELS), axis=1)
    residual = past_y.astype(np.float64) - past_yhat
    edges = np.unique(np.quantile(past_yhat, np.arange(1, SIZES) / SIZES))
    past_size, past_bucket = np.digitize(past_yhat, edges), np.digitize(past_step, BUCKET_STARTS)
    size, bucket = np.digitize(yhat, edges), np.digitize(step, BUCKET_STARTS)
    overall = _levels(residual)
    result = np.repeat(overall[None, :], len(yhat), axis=0)
    for s in np.unique(size):
        of_size = residual[past_size == s]
        fallback = _levels(of_size) if len(of_size) >= FEWEST else overall
        for b in np.unique(bucket):
            cell = residual[(past_size == s) & (past_bucket == b)]
            result[(size == s) & (bucket == b)] = _levels(cell) if len(cell) >= FEWEST else fallback
    return np.maximum(yhat[:, None] + result, 0)


def honest_quantiles(yhat: np.ndarray, step: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray | None:
    """The quantiles of every backtest point from the residuals of the other folds only, float64 [n, 7].

    So their coverage is that of quantiles which never saw what they are held against. Points whose y is NaN give no
    residual. None where there is one fold only.
    """
    numbers = np.unique(fold)
    if len(numbers) < 2:
        return None
    found = np.empty((len(yhat), len(LEVELS)))
    for number in numbers:
        own, others = fold == number, (fold != number) & ~np.isnan(y)
        found[own] = quantiles(yhat[own], step[own], yhat[others], step[others], y[others])
    return found


def _levels(residual: np.ndarray) -> np.ndarray:
    ordered = np.sort(residual)
    ranks = [min(int(np.ceil((len(ordered) + 1) * level)), len(ordered)) for level in LEVELS]
    return ordered[[rank - 1 for rank in ranks]]
