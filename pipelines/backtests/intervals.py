"""Quantiles from backtest residuals of the very models that are served: split conformal, by horizon, size and kind of demand.

Residuals y - yhat of the champions are pooled in cells of tenth of forecast size x kind of demand (its pattern, and whether more
than one unit is sold a day) x horizon bucket. The quantile at level q is the ceil((n + 1) q)-th smallest residual of the cell,
added to the forecast and cut at zero. A cell with fewer than `FEWEST` residuals takes those of its size and kind, then of its
size, then of all.
"""

import numpy as np

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
NAMES = tuple(f"q{round(level * 100):02}" for level in LEVELS)
"""What tables call their columns: q05 to q95."""
FEWEST = 50
SIZES = 10
BUCKET_STARTS = (1, 8, 15, 29)
CELLS = 1 << 16


def quantiles(
    yhat: np.ndarray,
    step: np.ndarray,
    past_yhat: np.ndarray,
    past_step: np.ndarray,
    past_y: np.ndarray,
    *,
    kind: np.ndarray | None = None,
    past_kind: np.ndarray | None = None,
) -> np.ndarray:
    """The quantiles LEVELS of each forecast, float64 [n, 7], rising and never negative.

    `past_*` are champions' backtest points with known y. Without any, all quantiles are the forecast itself. `kind` is that of
    each point's series (`Patterns.kind`) when it was forecast; without it all are of one kind.
    """
    if not len(past_y):
        return np.repeat(yhat[:, None].astype(np.float64), len(LEVELS), axis=1)
    residual = past_y.astype(np.float64) - past_yhat
    edges = np.unique(np.quantile(past_yhat, np.arange(1, SIZES) / SIZES))
    own, past = _cells(yhat, step, kind, edges), _cells(past_yhat, past_step, past_kind, edges)
    result = np.repeat(_levels(residual)[None, :], len(yhat), axis=0)
    for cell, past_cell in zip(own, past, strict=True):  # each finer than the one before, where it has enough
        _replace(result, cell, past_cell, residual)
    return np.maximum(yhat[:, None] + result, 0)


def _cells(yhat: np.ndarray, step: np.ndarray, kind: np.ndarray | None, edges: np.ndarray) -> list[np.ndarray]:
    """The cell of each point, below CELLS: by size, by size and kind, by size, kind and horizon bucket."""
    size = np.digitize(yhat, edges)
    of_kind = size * 256 + (0 if kind is None else kind)
    return [each.astype(np.uint16) for each in (size, of_kind, of_kind * 16 + np.digitize(step, BUCKET_STARTS))]


def _replace(result: np.ndarray, cell: np.ndarray, past_cell: np.ndarray, residual: np.ndarray) -> None:
    """Give the points of each cell the levels of its residuals, where it has FEWEST."""
    order = np.argsort(past_cell, kind="stable")  # of 16 bits: by counting, not by comparing
    count = np.bincount(past_cell, minlength=CELLS)
    end = np.cumsum(count)
    enough = count >= FEWEST
    found = np.empty((CELLS, len(LEVELS)))
    for n in np.flatnonzero(enough):
        found[n] = _levels(residual[order[end[n] - count[n] : end[n]]])
    chosen = enough[cell]
    result[chosen] = found[cell[chosen]]


def honest_quantiles(
    yhat: np.ndarray, step: np.ndarray, y: np.ndarray, fold: np.ndarray, kind: np.ndarray | None = None
) -> np.ndarray | None:
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
        kinds = {} if kind is None else {"kind": kind[own], "past_kind": kind[others]}
        found[own] = quantiles(yhat[own], step[own], yhat[others], step[others], y[others], **kinds)
    return found


def published_quantiles(
    yhat: np.ndarray, step: np.ndarray, y: np.ndarray, fold: np.ndarray, past: np.ndarray, kind: np.ndarray | None = None
) -> np.ndarray:
    """The quantiles of days ahead from all residuals, of a `past` point from those of the other folds where there are any.

    y, NaN where demand is not known, and `fold` are looked at where `past` only. float64 [n, 7].
    """
    of = np.zeros(len(yhat), dtype=np.int8) if kind is None else kind
    honest = honest_quantiles(yhat[past], step[past], y[past], fold[past], of[past])
    scored, rest = past & ~np.isnan(y), np.ones_like(past) if honest is None else ~past
    found = np.empty((len(yhat), len(LEVELS)))
    if honest is not None:
        found[past] = honest
    found[rest] = quantiles(yhat[rest], step[rest], yhat[scored], step[scored], y[scored], kind=of[rest], past_kind=of[scored])
    return found


def _levels(residual: np.ndarray) -> np.ndarray:
    ordered = np.sort(residual)
    ranks = [min(int(np.ceil((len(ordered) + 1) * level)), len(ordered)) for level in LEVELS]
    return ordered[[rank - 1 for rank in ranks]]
