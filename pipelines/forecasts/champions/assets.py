"""Assets of champions and what they forecast."""

from typing import Any

from dagster import AssetExecutionContext, MaterializeResult, asset

from pipelines.report import GRAPH_POOL, as_in, drawn, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"], "pool": GRAPH_POOL}


@asset(
    **GROUP,
    kinds={"polars"},
    deps=upstream("core/dim_product", "models/fit", "backtests/prediction", "features/panel", "features/series_segment"),
)
def champion(storage: Storage) -> MaterializeResult:
    """The model type that forecasts each series: the one with the smallest backtest error, unless the last one is as good."""
    from pipelines.forecasts.champions.champion import champions, series_frame
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


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=[*upstream("models/fit", "features/panel"), champion, ensemble])
def forecast(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The champions' forecasts with quantiles from q05 to q95, for the days ahead and for the days of the backtest folds."""
    import polars as pl

    from pipelines.backtests.ensemble import predict
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.champions.forecast import forecast_frame
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


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), forecast])
def forecast_level(storage: Storage) -> MaterializeResult:
    """The forecasts of total, region, store, category, department and product: sums of those of series, with own quantiles."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.champions.levels import level_frame
    from pipelines.forecasts.champions.plots import fan

    warehouse = storage.warehouse()
    members = read_members(warehouse, read_panel(warehouse))
    table = level_frame(warehouse.read("forecasts/forecast"), members)
    warehouse.write("forecasts/forecast_level", table)
    same = as_in(warehouse, "forecasts/forecast_level", "forecasts/forecast")
    return table_made(warehouse, "forecasts/forecast_level", **same, **{"days ahead": drawn(fan(table), "forecast with ranges")})


ASSETS = [champion, ensemble, forecast, forecast_level]
