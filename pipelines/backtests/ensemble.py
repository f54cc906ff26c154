"""The ensemble: the weighted mean of the other types' forecasts, with weights from their backtests, a demand pattern.

A type's weight is its inverse squared error, drawn by `shrinkage` to equal weights, which few folds do not beat by much. The
weights that a fold is scored with come from the other folds, so that its score is as honest as that of any other type; what
is served uses all folds. A type that may not be champion of a pattern has no weight in it, unless none of them may.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from assets_config.declared import Model
from pipelines.backtests.folds import Fold
from pipelines.features.panel import Panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.models.fits import keep
from pipelines.warehouse import Warehouse

SUFFIX = ".json"
ALL_FOLDS = -1
SHRINKAGE = 0.5
"""How far weights are drawn to equal ones where the declaration does not say."""
EXACT = 1e-9
"""A squared error below this is none: such a type takes all."""
SCHEMA = {"fold": pl.Int64, "pattern": pl.String, "model_type": pl.String, "weight": pl.Float64}
Predictions = Mapping[tuple[str, int], np.ndarray]  # (model type, fold) -> [S, H]


def weights(errors: np.ndarray, allowed: np.ndarray, *, shrinkage: float) -> np.ndarray:
    """The weights of M types in P patterns, [P, M]; each row sums to 1, or to 0 where no type is allowed.

    Takes    errors [P, M]: squared errors, 0 in all of a row where nothing was scored; allowed [P, M] bool.

    >>> weights(np.array([[1.0, 3.0]]), np.array([[True, True]]), shrinkage=0.0).tolist()
    [[0.75, 0.25]]
    """
    exact = allowed & (errors < EXACT)
    inverse = np.where(exact.any(axis=1, keepdims=True), exact, allowed / np.maximum(errors, EXACT))
    equal = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
    total = inverse.sum(axis=1, keepdims=True)
    return (1 - shrinkage) * inverse / np.where(total > 0, total, 1) + shrinkage * equal


def combine(weight: np.ndarray, pattern: np.ndarray, yhats: Sequence[np.ndarray]) -> np.ndarray:
    """The weighted mean of M forecasts [S, H], with the weights [P, M] of each series' pattern [S]."""
    total = np.zeros(yhats[0].shape)
    for m, yhat in enumerate(yhats):
        total += weight[pattern, m][:, None] * yhat
    return total


def fold_weights(
    panel: Panel, model: Model, members: Sequence[Model], windows: Sequence[Fold], yhats: Predictions
) -> dict[int, np.ndarray]:
    """The weights [P, M] that each fold is scored with, from the others, and those that are served (fold -1), from all."""
    errors = np.stack([_squared_errors(panel, fold, [yhats[each.type, fold.number] for each in members]) for fold in windows])
    allowed = _allowed(members)
    shrinkage = float(model.params.get("shrinkage", SHRINKAGE))
    found = {}
    for n, fold in enumerate(windows):
        others = np.delete(errors, n, axis=0).sum(axis=0)  # never the sum of all minus its own, whose rounding would remain
        found[fold.number] = weights(others, allowed, shrinkage=shrinkage)
    return {**found, ALL_FOLDS: weights(errors.sum(axis=0), allowed, shrinkage=shrinkage)}


def ensemble_folds(
    panel: Panel, model: Model, members: Sequence[Model], windows: Sequence[Fold], yhats: Predictions
) -> dict[tuple[str, int], np.ndarray]:
    """What the ensemble would have forecast for each fold, [S, H]."""
    if not windows:
        return {}
    found = fold_weights(panel, model, members, windows, yhats)
    return {
        (model.type, fold.number): combine(
            found[fold.number],
            patterns(panel.until(fold.train_end)).code,
            [yhats[each.type, fold.number] for each in members],
        )
        for fold in windows
    }


def weight_frame(
    panel: Panel, model: Model | None, members: Sequence[Model], windows: Sequence[Fold], predictions: pl.DataFrame
) -> pl.DataFrame:
    """One row a fold, pattern and model type: its weight. Equal weights of fold -1 where there is no backtest."""
    if model is None:
        return pl.DataFrame(schema=SCHEMA)
    if windows:
        found = fold_weights(panel, model, members, windows, _arrays(predictions, members, panel.series))
    else:
        allowed = _allowed(members)
        found = {ALL_FOLDS: weights(np.zeros(allowed.shape), allowed, shrinkage=1.0)}
    rows = [
        (fold, pattern, member.type, float(weight[p, m]))
        for fold, weight in sorted(found.items())
        for p, pattern in enumerate(PATTERNS)
        for m, member in enumerate(members)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def fit_rows(
    warehouse: Warehouse, panel: Panel, model: Model | None, weight: pl.DataFrame, fits: pl.DataFrame
) -> list[dict[str, object]]:
    """The row of `models/fit` of the ensemble, whose artifact are the weights of fold -1; none where it is not enabled."""
    if model is None:
        return []
    created = datetime.now(UTC).replace(tzinfo=None)
    served: dict[str, dict[str, float]] = {}
    for row in weight.filter(fold=ALL_FOLDS).iter_rows(named=True):
        served.setdefault(row["pattern"], {})[row["model_type"]] = row["weight"]
    artifact = json.dumps(served, indent=1).encode()
    horizon, git_sha = fits["horizon"][0], fits["git_sha"][0]
    return [keep(warehouse, panel, model, artifact, suffix=SUFFIX, horizon=horizon, git_sha=git_sha, created=created)]


def predict(artifact: bytes, panel: Panel, ahead: Mapping[str, np.ndarray]) -> np.ndarray:
    """The ensemble of the forecasts of each model type, [S, H]."""
    served: dict[str, dict[str, float]] = json.loads(artifact)
    types = list(served[PATTERNS[0]])
    weight = np.array([[served[pattern][name] for name in types] for pattern in PATTERNS])
    return combine(weight, patterns(panel).code, [ahead[name] for name in types])


def _allowed(members: Sequence[Model]) -> np.ndarray:
    """Which types have a weight in which pattern, [P, M]: all, where the ensemble alone may be champion."""
    allowed = np.array([[pattern in each.patterns for each in members] for pattern in PATTERNS])
    return allowed | ~allowed.any(axis=1, keepdims=True)


def _squared_errors(panel: Panel, fold: Fold, yhats: Sequence[np.ndarray]) -> np.ndarray:
    """Sums of squared errors a pattern as of the cutoff, [P, M]."""
    y, code = panel.y[:, fold.test_start : fold.test_end].astype(np.float64), patterns(panel.until(fold.train_end)).code
    of_series = [np.nansum((yhat - y) ** 2, axis=1) for yhat in yhats]
    return np.stack([np.bincount(code, weights=each, minlength=len(PATTERNS)) for each in of_series], axis=1)


def _arrays(predictions: pl.DataFrame, members: Sequence[Model], series: int) -> dict[tuple[str, int], np.ndarray]:
    wanted = predictions.filter(pl.col("model_type").is_in([each.type for each in members])).sort("s", "step")
    parts = wanted.partition_by("model_type", "fold", as_dict=True, include_key=False, maintain_order=True)
    return {(name, fold): rows["yhat"].to_numpy().reshape(series, -1) for (name, fold), rows in parts.items()}
