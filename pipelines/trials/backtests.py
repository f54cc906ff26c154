"""A backtest that was asked for: its rows of trials/trial_backtest, trial_fold and trial_metric, and what its job answers."""

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from assets_config.contract.names import ENSEMBLE
from assets_config.contract.trials import BacktestParams, BacktestResult
from assets_config.declared import Declarations, Evaluation
from pipelines.backtests.folds import folds
from pipelines.backtests.metrics import Truth, metric_frame, metric_rows, truths
from pipelines.backtests.runs import backtest_id, fold_rows, predict_all, prediction_frame
from pipelines.errors import PipelineError
from pipelines.features.levels import read_members
from pipelines.models.types import BASELINES, compared
from pipelines.trials.asked import asked_model
from pipelines.trials.tables import BACKTEST, FOLD, METRICS, add, adding
from pipelines.trials.window import cut, ids, panel_of_now
from pipelines.warehouse import Warehouse

TOLD = ("mae", "smape", "wape", "bias", "rmse", "mase", "bias_ratio")


def evaluate(
    warehouse: Warehouse, declarations: Declarations, asked: BacktestParams, connection: duckdb.DuckDBPyConnection, *, by: str
) -> BacktestResult:
    """Evaluate a type and the baselines on the same folds, and add the backtest; the same backtest replaces its earlier one.

    Takes    `by`: the job that is told as the one who made it.
    Raises   PipelineError or DeclarationError for what there is not, for days that hold no fold, and when the type fails in one.
    """
    if asked.model_type == ENSEMBLE:
        raise PipelineError("the ensemble has no backtest of its own: the graph makes it, /api/v1/backtests has it")
    began, made_at = time.perf_counter(), datetime.now(UTC).replace(tzinfo=None)
    model = asked_model(declarations, asked)
    store_id, product_id = ids(warehouse, asked.store_id, asked.product_id)
    panel = cut(panel_of_now(warehouse, connection), store_id, product_id, asked.start_date, asked.end_date)
    evaluation = Evaluation(
        horizon=asked.test_size,
        n_splits=asked.n_splits,
        strategy=asked.strategy,
        gap=asked.gap,
        min_train_size=asked.min_train_size,
    )
    windows = folds(panel.days, evaluation)
    if not windows:
        needed = asked.min_train_size + asked.gap + asked.test_size
        raise PipelineError(f"{panel.days} days are too few: one fold takes {needed}, training, gap and test together")
    yhats, failed = predict_all(panel, compared([model]), windows, evaluation, declarations.feature_sets)
    if model.type in failed:
        raise PipelineError(f"{model.type} could not forecast a fold: {failed[model.type]}")
    predictions = pl.concat(
        prediction_frame(panel, model_type, windows[number], yhat, gap=asked.gap) for (model_type, number), yhat in yhats.items()
    )
    dataset_id = warehouse.dataset_id()
    scope = [store_id, product_id, str(panel.first_day), panel.days]
    identity = hashlib.sha256(json.dumps([backtest_id(model, evaluation, dataset_id), scope]).encode()).hexdigest()[:16]
    metrics = _metrics(identity, truths(panel, read_members(warehouse, panel), windows), predictions)
    said = {
        "backtest_id": identity,
        "model_type": model.type,
        "config": json.dumps(model.params, sort_keys=True),
        "strategy": asked.strategy,
        "n_splits": len(windows),
        "horizon": asked.test_size,
        "gap": asked.gap,
        "series": panel.series,
        "dataset_id": dataset_id,
        "store_id": store_id,
        "product_id": product_id,
        "data_window_start": panel.first_day,
        "data_window_end": panel.day(panel.days - 1),
        "min_train_size": asked.min_train_size,
        "made_at": made_at,
        "made_by": by,
    }
    with adding(warehouse):  # rows of folds and metrics first: a backtest that is listed has them
        add(warehouse, FOLD, fold_rows(panel, identity, windows), by="backtest_id")
        add(warehouse, METRICS, metrics, by="backtest_id")
        add(warehouse, BACKTEST, [said], by="backtest_id")
    return _answer(said, metrics, milliseconds=round(1000 * (time.perf_counter() - began)))


def _metrics(identity: str, truth: dict[str, list[Truth]], predictions: pl.DataFrame) -> pl.DataFrame:
    """The rows of trials/trial_metric: of the type and of each baseline, with what either adds to the naive ones."""
    scored = [
        row
        for model_type in predictions["model_type"].unique(maintain_order=True)
        for row in metric_rows(identity, model_type, truth, predictions.filter(pl.col("model_type") == model_type))
    ]
    return metric_frame(scored)


def _answer(said: dict[str, Any], metrics: pl.DataFrame, *, milliseconds: int) -> BacktestResult:
    """What the job of a backtest answers: errors over all folds, steps and series."""
    pooled = metrics.filter(fold=-1, bucket="all", level="series", segment="all")
    errors = {row["model_type"]: row for row in pooled.iter_rows(named=True)}
    return BacktestResult(
        backtest_id=said["backtest_id"],
        model_type=said["model_type"],
        n_splits=said["n_splits"],
        series=said["series"],
        aggregated_metrics={name: _rounded(errors[said["model_type"]][name]) for name in TOLD},
        baseline_wape={base.type: _rounded(errors[base.type]["wape"]) for base in BASELINES if base.type in errors},
        duration_ms=milliseconds,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
