"""Assets of the stage backtests."""

from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, asset

from assets_config.contract.registry import Backtest, BacktestFold
from pipelines.report import GRAPH_POOL, drawn, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {
    "key_prefix": "backtests",
    "group_name": "backtests",
    "owners": ["team:forecasting"],
    "pool": GRAPH_POOL,
}


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=upstream("features/panel", "models/fit"))
def prediction(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """What every fitted model type and the baselines would have forecast at each past cutoff, from data up to it only.

    A type that cannot forecast a fold is left out of the comparison, with the reason in the log; the others go on.
    """
    import polars as pl

    from pipelines.backtests.ensemble import ensemble_folds
    from pipelines.backtests.folds import folds
    from pipelines.backtests.runs import predict_all, prediction_frame
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import compared, ensemble

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, evaluation = read_panel(warehouse), declared.evaluation
    windows = folds(panel.days, evaluation)
    if not windows:
        context.log.warning(
            f"{panel.days} days are too few for one fold of {evaluation.min_train_size} + {evaluation.horizon} days: "
            "no backtest, and the first model type of models.yaml forecasts"
        )
    fitted = fitted_models(warehouse, declared)
    yhats, failed = predict_all(panel, compared(fitted), windows, evaluation, declared.feature_sets)
    mixed, members = ensemble(declared), [model for model in fitted if model.type not in failed]
    if mixed is not None and members:
        yhats |= ensemble_folds(panel, mixed, members, windows, yhats)
    frames = [
        prediction_frame(panel, model_type, windows[number], yhat, gap=evaluation.gap)
        for (model_type, number), yhat in yhats.items()
    ]
    schema = {"model_type": pl.String, "fold": pl.Int32, "s": pl.Int32, "step": pl.Int32, "yhat": pl.Float32}
    empty = pl.DataFrame(schema={**schema, "y": pl.Float32})
    warehouse.write("backtests/prediction", pl.concat([empty, *frames], how="vertical_relaxed"))  # y as the panel has it
    return table_made(warehouse, "backtests/prediction", failed=failed)


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/panel"), prediction])
def ensemble_weight(storage: Storage) -> MaterializeResult:
    """The share of each model type in the ensemble, a demand pattern: of each fold from the others, of fold -1 from all."""
    from pipelines.backtests.ensemble import weight_frame
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import ensemble

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    windows, predictions = folds(panel.days, declared.evaluation), warehouse.read("backtests/prediction")
    scored = set(predictions["model_type"].unique())
    members = [model for model in fitted_models(warehouse, declared) if not windows or model.type in scored]
    weights = weight_frame(panel, ensemble(declared), members, windows, predictions)
    warehouse.write("backtests/ensemble_weight", weights)
    return table_made(warehouse, "backtests/ensemble_weight")


@asset(**GROUP, kinds={"polars"}, deps=[prediction])
def backtest(storage: Storage) -> MaterializeResult:
    """One row a model type: how it was evaluated."""
    import json

    import polars as pl

    from pipelines.backtests.runs import backtest_id
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import compared, ensemble
    from pipelines.shapes import schema

    warehouse, declared = storage.warehouse(), storage.declarations()
    models = compared(fitted_models(warehouse, declared)) + [model for model in [ensemble(declared)] if model]
    predictions = pl.scan_parquet(warehouse.files("backtests/prediction"))
    scored = predictions.group_by("model_type").agg(pl.col("fold").n_unique(), pl.col("s").n_unique()).collect()
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
        for model in models
        if model.type in counts
    ]
    warehouse.write("backtests/backtest", pl.DataFrame(rows, schema=schema(Backtest)))
    return table_made(warehouse, "backtests/backtest")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/panel"), backtest])
def backtest_fold(storage: Storage) -> MaterializeResult:
    """One row a backtest and fold: its training and test dates."""
    import polars as pl

    from pipelines.backtests.folds import folds
    from pipelines.backtests.runs import fold_rows
    from pipelines.features.panel import read_panel
    from pipelines.shapes import schema

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    windows = folds(panel.days, declared.evaluation)
    identities = warehouse.read("backtests/backtest")["backtest_id"]
    rows = [row for identity in identities for row in fold_rows(panel, identity, windows)]
    warehouse.write("backtests/backtest_fold", pl.DataFrame(rows, schema=schema(BacktestFold)))
    return table_made(warehouse, "backtests/backtest_fold")


@asset(
    **GROUP,
    kinds={"numpy", "polars"},
    deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), backtest, prediction],
)
def backtest_metric(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The errors of each model type a fold, horizon bucket, level and demand pattern, and pooled over all folds (fold -1)."""
    import polars as pl

    from pipelines.backtests.folds import folds
    from pipelines.backtests.metrics import metric_frame, metric_rows, truths
    from pipelines.backtests.plots import errors_by_horizon
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, predictions = read_panel(warehouse), pl.scan_parquet(warehouse.files("backtests/prediction"))
    truth = truths(panel, read_members(warehouse, panel), folds(panel.days, declared.evaluation))
    rows: list[dict[str, object]] = []
    for identity, model_type in warehouse.read("backtests/backtest").select("backtest_id", "model_type").iter_rows():
        rows += metric_rows(identity, model_type, truth, predictions.filter(pl.col("model_type") == model_type).collect())
        context.log.info(f"{model_type}: scored")
    metrics = metric_frame(rows)
    warehouse.write("backtests/backtest_metric", metrics)
    whole = metrics.filter(fold=-1, bucket="all", level="series", segment="all")
    wape = dict(whole.select("model_type", "wape").iter_rows())
    plot = drawn(errors_by_horizon(metrics), "WAPE by days ahead")
    return table_made(warehouse, "backtests/backtest_metric", wape=wape, **{"errors by horizon": plot})


ASSETS = [prediction, ensemble_weight, backtest, backtest_fold, backtest_metric]
