"""Backtests: every model type at every cutoff, its predictions and its dates."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from assets_config.declared import Evaluation, Model
from assets_config.features import FeatureSet
from pipelines.backtests.folds import Fold
from pipelines.features.panel import Panel
from pipelines.models.types import fit, module_of

log = logging.getLogger(__name__)


def predict_all(
    panel: Panel, models: Sequence[Model], windows: Sequence[Fold], evaluation: Evaluation, feature_sets: Mapping[str, FeatureSet]
) -> tuple[dict[tuple[str, int], np.ndarray], dict[str, str]]:
    """What each type would have forecast for each fold, by (type, fold), and why those failed that could not, by type.

    A type that fails in one fold is left out of all, so that those which are compared are compared on the same days.
    """
    found: dict[tuple[str, int], np.ndarray] = {}
    failed: dict[str, str] = {}
    for model in models:
        try:
            own = {fold.number: predict_fold(panel, model, fold, evaluation, feature_sets) for fold in windows}
        except Exception as error:  # noqa: BLE001 - whatever a type raises is its own failure
            failed[model.type] = f"{type(error).__name__}: {error}"
            log.error("%s is not compared: %s", model.type, failed[model.type])
        else:
            found |= {(model.type, number): yhat for number, yhat in own.items()}
    return found, failed


def predict_fold(
    panel: Panel, model: Model, fold: Fold, evaluation: Evaluation, feature_sets: Mapping[str, FeatureSet]
) -> np.ndarray:
    """What a model type forecasts for the test window of a fold, from the days up to the cutoff only. [S, horizon]

    The gap is forecast too and dropped, so that a step is always the distance from the cutoff.

    Raises   ValueError for a forecast that is no number.
    """
    seen, horizon = panel.until(fold.train_end), evaluation.horizon + evaluation.gap
    artifact = fit(model, seen, horizon=horizon, feature_sets=feature_sets)
    yhat = np.asarray(module_of(model).predict(artifact, seen, horizon=horizon)[:, evaluation.gap :])
    lost = np.flatnonzero(~np.isfinite(yhat).all(axis=1))
    if lost.size:
        raise ValueError(f"forecasts of {lost.size} series are no numbers in fold {fold.number}, the first is series {lost[0]}")
    log.info("%s: fold %s done", model.type, fold.number + 1)
    return yhat


def prediction_frame(panel: Panel, model_type: str, fold: Fold, yhat: np.ndarray, *, gap: int) -> pl.DataFrame:
    """One row a series and day of a fold: model_type, fold, s, step, yhat, y (null before the first sale)."""
    series, horizon = yhat.shape
    return pl.DataFrame(
        {
            "s": np.repeat(np.arange(series, dtype=np.int32), horizon),
            "step": np.tile(np.arange(1 + gap, horizon + gap + 1, dtype=np.int32), series),
            "yhat": yhat.reshape(-1).astype(np.float32),
            "y": panel.y[:, fold.test_start : fold.test_end].reshape(-1),
        }
    ).select(
        pl.lit(model_type).alias("model_type"),
        pl.lit(fold.number, dtype=pl.Int32).alias("fold"),
        "s",
        "step",
        "yhat",
        pl.col("y").fill_nan(None),
    )


def backtest_id(model: Model, evaluation: Evaluation, dataset_id: str) -> str:
    """16 hex digits of type, parameters, folds and data."""
    windows = [evaluation.strategy, evaluation.horizon, evaluation.n_splits, evaluation.gap, evaluation.min_train_size]
    identity = json.dumps([model.type, model.params, windows, dataset_id], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def fold_rows(panel: Panel, identity: str, windows: Sequence[Fold]) -> list[dict[str, object]]:
    """The dates of each fold, as contract.registry.BacktestFold."""
    return [
        {
            "backtest_id": identity,
            "fold": fold.number,
            "train_start": panel.day(fold.train_start),
            "cutoff": panel.day(fold.train_end - 1),
            "test_start": panel.day(fold.test_start),
            "test_end": panel.day(fold.test_end - 1),
        }
        for fold in windows
    ]
