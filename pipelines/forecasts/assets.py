"""Assets of the stage forecasts."""

from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, MaterializeResult, asset, asset_check

from pipelines.report import table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"]}


@asset(**GROUP, kinds={"polars"}, deps=upstream("models/fit", "backtests/prediction", "features/panel"))
def champion(storage: Storage) -> MaterializeResult:
    """The model type that forecasts each series: the one with the smallest backtest error on it."""
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.champion import champions
    from pipelines.models.fits import fitted_models

    warehouse = storage.warehouse()
    types = [model.type for model in fitted_models(warehouse, storage.declarations())]
    chosen = champions(warehouse.read("backtests/prediction"), types, read_panel(warehouse).series)
    warehouse.write("forecasts/champion", chosen)
    shares = dict(chosen.group_by("model_type").len().sort("model_type").iter_rows())
    return table_made(warehouse, "forecasts/champion", champion_of=shares)


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("models/fit", "backtests/backtest_metric"), champion])
def model_run(storage: Storage) -> MaterializeResult:
    """The registry: every fit, those of earlier runs too, with its backtest metrics and the number of series it is champion of.

    Of each model type the newest are kept (models.yaml: registry), besides those of the last fit.
    """
    from pipelines.forecasts.registry import drop_artifacts, earlier_runs, model_runs

    warehouse, declared = storage.warehouse(), storage.declarations()
    fits, metrics, chosen = (warehouse.read(key) for key in ("models/fit", "backtests/backtest_metric", "forecasts/champion"))
    runs = model_runs(fits, metrics, chosen, earlier_runs(warehouse), keep=declared.registry.keep_runs)
    warehouse.write("forecasts/model_run", runs)
    dropped = drop_artifacts(warehouse, runs)
    return table_made(warehouse, "forecasts/model_run", artifacts_dropped=dropped)


@asset_check(asset=model_run, description="Every artifact of the registry still has the bytes that were fitted.")
def artifacts_are_whole(storage: Storage) -> AssetCheckResult:
    """Names the runs whose artifact is missing or altered; forecasts refuse to be made from those."""
    from pipelines.forecasts.registry import damaged_artifacts

    warehouse = storage.warehouse()
    damaged = damaged_artifacts(warehouse, warehouse.read("forecasts/model_run"))
    return AssetCheckResult(passed=not damaged, metadata={"damage": damaged})


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=[*upstream("models/fit", "features/panel"), champion])
def forecast(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The champions' forecasts with q10, q50 and q90, for the days ahead and for the days of the backtest folds."""
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.served import forecast_frame
    from pipelines.models.fits import fitted, read_artifact
    from pipelines.models.types import module_of

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, chosen, fits = read_panel(warehouse), warehouse.read("forecasts/champion"), fitted(warehouse)
    ahead = {}
    for row in fits.iter_rows(named=True):
        artifact = read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"])
        module = module_of(declared.models[row["model_type"]])
        ahead[row["model_type"]] = module.predict(artifact, panel, horizon=row["horizon"])
        context.log.info(f"{row['model_type']}: {panel.series} series x {row['horizon']} days")
    frame = forecast_frame(
        panel,
        chosen,
        ahead,
        warehouse.read("backtests/prediction"),
        folds(panel.days, declared.evaluation),
        versions=dict(fits.select("model_type", "run_id").iter_rows()),
    )
    warehouse.write("forecasts/forecast", frame)
    return table_made(warehouse, "forecasts/forecast")


ASSETS = [champion, model_run, forecast]
CHECKS = [artifacts_are_whole]
