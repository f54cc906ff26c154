"""Backtests: every model type at every cutoff, its predictions, its dates and its errors."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import polars as pl

from assets_config.contract.names import Bucket
from assets_config.declared import Evaluation, Model
from assets_config.features import FeatureSet
from pipelines.backtests import losses
from pipelines.backtests.folds import Fold
from pipelines.features.panel import Panel
from pipelines.models.types import fit, module_of

BUCKET_ENDS = {"h_1_7": (1, 7), "h_8_14": (8, 14), "h_15_28": (15, 28), "h_29_plus": (29, 10**6)}
METRICS = ("mae", "rmse", "wape", "smape", "mape", "mape_n", "mase", "rmsse", "bias", "bias_ratio")


def predict_fold(
    panel: Panel, model: Model, fold: Fold, *, horizon: int, gap: int, feature_sets: Mapping[str, FeatureSet]
) -> np.ndarray:
    """What a model type forecasts for the test window of a fold, from the days up to the cutoff only. [S, horizon]

    The gap is forecast too and dropped, so that a step is always the distance from the cutoff.
    """
    seen = panel.until(fold.train_end)
    artifact = fit(model, seen, horizon=horizon + gap, feature_sets=feature_sets)
    return module_of(model).predict(artifact, seen, horizon=horizon + gap)[:, gap:]


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
    identity = json.dumps([model.type, model.params, repr(evaluation), dataset_id], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def fold_rows(panel: Panel, identity: str, windows: Sequence[Fold]) -> list[dict[str, object]]:
    """The dates of each fold, as contract.tables.BacktestFold."""
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


def metric_rows(
    panel: Panel, identity: str, model_type: str, windows: Sequence[Fold], predictions: pl.DataFrame
) -> Iterator[dict[str, object]]:
    """The errors of one model type a fold and bucket, and pooled over folds (fold -1), as contract.tables.BacktestMetric."""
    blocks: list[tuple[Any, ...]] = []
    for fold in windows:
        rows = predictions.filter((pl.col("model_type") == model_type) & (pl.col("fold") == fold.number)).sort("s", "step")
        steps = rows["step"].unique().sort().to_numpy()
        yhat = rows["yhat"].to_numpy().astype(np.float64).reshape(panel.series, -1)
        y = panel.y[:, fold.test_start : fold.test_end].astype(np.float64)
        train = panel.y[:, fold.train_start : fold.train_end].astype(np.float64)
        blocks.append((fold.number, steps, y, yhat, losses.absolute_scale(train), losses.squared_scale(train)))
    if len(blocks) > 1:
        pooled = [np.concatenate([block[k] for block in blocks]) for k in (2, 3, 4, 5)]
        blocks.append((-1, blocks[0][1], *pooled))
    elif blocks:
        blocks.append((-1, *blocks[0][1:]))
    for number, steps, y, yhat, absolute, squared in blocks:
        for bucket in get_args(Bucket):
            first, last = BUCKET_ENDS.get(bucket, (1, 10**6))
            chosen = (steps >= first) & (steps <= last)
            if chosen.any():
                errors = _errors(y[:, chosen], yhat[:, chosen], absolute, squared)
                yield {"backtest_id": identity, "model_type": model_type, "fold": number, "bucket": bucket, **errors}


def _errors(y: np.ndarray, yhat: np.ndarray, absolute: np.ndarray, squared: np.ndarray) -> dict[str, object]:
    mean, count = losses.mape(y, yhat)
    return {
        "n": int((~np.isnan(y)).sum()),
        "mae": losses.mae(y, yhat),
        "rmse": losses.rmse(y, yhat),
        "wape": losses.wape(y, yhat),
        "smape": losses.smape(y, yhat),
        "mape": mean,
        "mape_n": count,
        "mase": losses.mase(y, yhat, absolute),
        "rmsse": losses.rmsse(y, yhat, squared),
        "bias": losses.bias(y, yhat),
        "bias_ratio": losses.bias_ratio(y, yhat),
    }
