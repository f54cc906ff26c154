"""Assets of the stage forecasts."""

from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, MaterializeResult, asset, asset_check

from pipelines.report import table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"]}


@asset(
    **GROUP,
    kinds={"polars"},
    deps=upstream("core/dim_product", "models/fit", "backtests/prediction", "features/panel", "features/series_segment"),
)
def champion(storage: Storage) -> MaterializeResult:
    """The model type that forecasts each series: the one with the smallest backtest error, unless the last one is as good."""
    from pipelines.forecasts.champion import champions, series_frame
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import candidates

    warehouse, declared = storage.warehouse(), storage.declarations()
    chosen = champions(
        warehouse.read("backtests/prediction"),
        candidates(declared, fitted_models(warehouse, declared)),
        series_frame(warehouse.read("features/series_segment"), warehouse.read("core/dim_product")),
        declared.evaluation,
        previous=warehouse.previous("forecasts/champion"),
    )
    warehouse.write("forecasts/champion", chosen)
    shares = dict(chosen.group_by("model_type").len().sort("model_type").iter_rows())
    reasons = dict(chosen.group_by("reason").len().sort("reason").iter_rows())
    return table_made(warehouse, "forecasts/champion", champion_of=shares, reasons=reasons)


@asset(**GROUP, kinds={"polars"}, deps=upstream("models/fit", "features/panel", "backtests/ensemble_weight"))
def ensemble(storage: Storage) -> MaterializeResult:
    """The ensemble as a fit: its artifact are the weights from all folds; no row where it is not enabled."""
    import polars as pl

    from pipelines.backtests.ensemble import fit_rows
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import SCHEMA
    from pipelines.models.types import ensemble as declared_ensemble

    warehouse, declared = storage.warehouse(), storage.declarations()
    fits, weights = warehouse.read("models/fit"), warehouse.read("backtests/ensemble_weight")
    rows = fit_rows(warehouse, read_panel(warehouse), declared_ensemble(declared), weights, fits)
    warehouse.write("forecasts/ensemble", pl.DataFrame(rows, schema=SCHEMA))
    return table_made(warehouse, "forecasts/ensemble")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("models/fit", "backtests/backtest_metric"), champion, ensemble])
def model_run(storage: Storage) -> MaterializeResult:
    """The registry: every fit, those of earlier runs too, with its backtest metrics and the number of series it is champion of.

    Of each model type the newest are kept (models.yaml: registry), besides those of the last fit.
    """
    import polars as pl

    from pipelines.forecasts.registry import drop_artifacts, earlier_runs, model_runs

    warehouse, declared = storage.warehouse(), storage.declarations()
    fits = pl.concat([warehouse.read("models/fit"), warehouse.read("forecasts/ensemble")])
    metrics, chosen = (warehouse.read(key) for key in ("backtests/backtest_metric", "forecasts/champion"))
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


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=[*upstream("models/fit", "features/panel"), champion, ensemble])
def forecast(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The champions' forecasts with quantiles from q05 to q95, for the days ahead and for the days of the backtest folds."""
    import polars as pl

    from pipelines.backtests.ensemble import predict
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
    mixed = warehouse.read("forecasts/ensemble")
    for row in mixed.iter_rows(named=True):
        artifact = read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"])
        ahead[row["model_type"]] = predict(artifact, panel, ahead)
    frame = forecast_frame(
        panel,
        chosen,
        ahead,
        warehouse.read("backtests/prediction"),
        folds(panel.days, declared.evaluation),
        versions=dict(pl.concat([fits, mixed]).select("model_type", "run_id").iter_rows()),
    )
    warehouse.write("forecasts/forecast", frame)
    return table_made(warehouse, "forecasts/forecast")


ASSETS = [champion, ensemble, model_run, forecast]
CHECKS = [artifacts_are_whole]
