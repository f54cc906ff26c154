"""Assets of the stage backtests."""

from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, asset

from pipelines.report import table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "backtests", "group_name": "backtests", "owners": ["team:forecasting"]}


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=upstream("features/panel", "models/fit"))
def prediction(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """What every enabled model type would have forecast at each past cutoff, from the data up to that cutoff only."""
    import polars as pl

    from pipelines.backtests.folds import folds
    from pipelines.backtests.runs import predict_fold, prediction_frame
    from pipelines.features.panel import read_panel
    from pipelines.models.types import enabled

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, evaluation = read_panel(warehouse), declared.evaluation
    windows = folds(panel.days, evaluation)
    if not windows:
        context.log.warning(
            f"{panel.days} days are too few for one fold of {evaluation.min_train_size} + {evaluation.horizon} days: "
            "no backtest, and the first model type of models.yaml forecasts"
        )
    frames = []
    for model in enabled(declared):
        for fold in windows:
            yhat = predict_fold(
                panel, model, fold, horizon=evaluation.horizon, gap=evaluation.gap, feature_sets=declared.feature_sets
            )
            frames.append(prediction_frame(panel, model.type, fold, yhat, gap=evaluation.gap))
            context.log.info(f"{model.type}: fold {fold.number + 1} of {len(windows)} done")
    schema = {"model_type": pl.String, "fold": pl.Int32, "s": pl.Int32, "step": pl.Int32, "yhat": pl.Float32}
    empty = pl.DataFrame(schema={**schema, "y": pl.Float32})
    warehouse.write("backtests/prediction", pl.concat([empty, *frames]))
    return table_made(warehouse, "backtests/prediction")


@asset(**GROUP, kinds={"polars"}, deps=[prediction])
def backtest(storage: Storage) -> MaterializeResult:
    """One row a model type: how it was evaluated."""
    import json

    import polars as pl

    from pipelines.backtests.runs import backtest_id
    from pipelines.features.panel import read_panel
    from pipelines.models.types import enabled

    warehouse, declared = storage.warehouse(), storage.declarations()
    scored = warehouse.read("backtests/prediction").group_by("model_type").agg(pl.col("fold").n_unique(), pl.col("s").n_unique())
    counts = {row["model_type"]: row for row in scored.iter_rows(named=True)}
    evaluation, dataset_id = declared.evaluation, warehouse.dataset_id()
    read_panel(warehouse)  # refuses a panel of other data
    rows = [
        {
            "backtest_id": backtest_id(model, evaluation, dataset_id),
            "model_type": model.type,
            "config": json.dumps(model.params, sort_keys=True),
            "strategy": evaluation.strategy,
            "n_splits": counts[model.type]["fold"],
            "horizon": evaluation.horizon,
            "gap": evaluation.gap,
            "series": counts[model.type]["s"],
            "dataset_id": dataset_id,
        }
        for model in enabled(declared)
        if model.type in counts
    ]
    schema = {
        "backtest_id": pl.String,
        "model_type": pl.String,
        "config": pl.String,
        "strategy": pl.String,
        "n_splits": pl.Int64,
        "horizon": pl.Int64,
        "gap": pl.Int64,
        "series": pl.Int64,
        "dataset_id": pl.String,
    }
    warehouse.write("backtests/backtest", pl.DataFrame(rows, schema=schema))
    return table_made(warehouse, "backtests/backtest")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/panel"), backtest])
def backtest_fold(storage: Storage) -> MaterializeResult:
    """One row a backtest and fold: its training and test dates."""
    import polars as pl

    from pipelines.backtests.folds import folds
    from pipelines.backtests.runs import fold_rows
    from pipelines.features.panel import read_panel

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    windows = folds(panel.days, declared.evaluation)
    identities = warehouse.read("backtests/backtest")["backtest_id"]
    rows = [row for identity in identities for row in fold_rows(panel, identity, windows)]
    dates = dict.fromkeys(("train_start", "cutoff", "test_start", "test_end"), pl.Date)
    schema = {"backtest_id": pl.String, "fold": pl.Int64, **dates}
    warehouse.write("backtests/backtest_fold", pl.DataFrame(rows, schema=schema))
    return table_made(warehouse, "backtests/backtest_fold")


@asset(**GROUP, kinds={"numpy", "polars"}, deps=[*upstream("features/panel"), backtest, prediction])
def backtest_metric(storage: Storage) -> MaterializeResult:
    """The errors of each model type a fold and horizon bucket, and pooled over all folds (fold -1)."""
    import polars as pl

    from pipelines.backtests.folds import folds
    from pipelines.backtests.runs import METRICS, metric_rows
    from pipelines.features.panel import read_panel

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, predictions = read_panel(warehouse), warehouse.read("backtests/prediction")
    windows = folds(panel.days, declared.evaluation)
    backtests = warehouse.read("backtests/backtest").select("backtest_id", "model_type").iter_rows()
    rows = [row for identity, model_type in backtests for row in metric_rows(panel, identity, model_type, windows, predictions)]
    numbers = {name: pl.Int64 if name == "mape_n" else pl.Float64 for name in METRICS}
    keys = {"backtest_id": pl.String, "model_type": pl.String, "fold": pl.Int64, "bucket": pl.String, "n": pl.Int64}
    warehouse.write("backtests/backtest_metric", pl.DataFrame(rows, schema={**keys, **numbers}))
    pooled = {row["model_type"]: row["wape"] for row in rows if row["fold"] == -1 and row["bucket"] == "all"}
    return table_made(warehouse, "backtests/backtest_metric", wape=pooled)


ASSETS = [prediction, backtest, backtest_fold, backtest_metric]
