"""Assets of the stage forecasts."""

from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetExecutionContext, MaterializeResult, asset, asset_check

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


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), forecast])
def forecast_level(storage: Storage) -> MaterializeResult:
    """The forecasts of total, region, store, category, department and product: sums of those of series, with own quantiles."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.levels import level_frame

    warehouse = storage.warehouse()
    members = read_members(warehouse, read_panel(warehouse))
    warehouse.write("forecasts/forecast_level", level_frame(warehouse.read("forecasts/forecast"), members))
    return table_made(warehouse, "forecasts/forecast_level")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/series_segment"), forecast, forecast_level])
def frozen(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The sets of forecasts as they were said at each cutoff, never altered; how many stay says models.yaml: registry."""
    from pipelines.forecasts.frozen import damaged_sets, freeze, frozen_frame

    warehouse, declared = storage.warehouse(), storage.declarations()
    made, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    rows = frozen_frame(made, levels, warehouse.read("features/series_segment"))
    cutoff = made.filter(source="forecast")["cutoff"][0]
    freeze(warehouse, rows, cutoff, keep=declared.registry.keep_frozen)
    damage = damaged_sets(warehouse)
    for file, fault in damage.items():
        context.log.warning(f"forecasts/frozen/{file} {fault}: it is not scored; a backup of the data root may have it")
    return table_made(warehouse, "forecasts/frozen", cutoff=cutoff.isoformat(), damage=damage)


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), frozen])
def forecast_accuracy(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Realised accuracy: the errors of frozen forecasts on the days that are known by now, by days since the cutoff."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.accuracy import accuracy_frame
    from pipelines.forecasts.frozen import read_sets

    warehouse = storage.warehouse()
    panel = read_panel(warehouse)
    table = accuracy_frame(read_sets(warehouse), panel, read_members(warehouse, panel))
    if not table.height:
        context.log.info("no day of a frozen forecast is known yet: accuracy follows when sales of later days are loaded")
    warehouse.write("forecasts/forecast_accuracy", table)
    return table_made(warehouse, "forecasts/forecast_accuracy")


@asset(
    **GROUP,
    kinds={"polars"},
    deps=upstream("core/dim_product", "models/fit", "backtests/prediction", "features/panel", "features/series_segment"),
)
def forecast_value_added(storage: Storage) -> MaterializeResult:
    """What each stage adds to the one before: naive, seasonal naive, the best single type, the ensemble, the champions."""
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.champion import series_frame
    from pipelines.forecasts.value_added import value_added_frame
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import candidates

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    table = value_added_frame(
        panel,
        warehouse.read("backtests/prediction"),
        folds(panel.days, declared.evaluation),
        candidates(declared, fitted_models(warehouse, declared)),
        series_frame(warehouse.read("features/series_segment"), warehouse.read("core/dim_product")),
        declared.evaluation,
    )
    warehouse.write("forecasts/forecast_value_added", table)
    wape = dict(table.filter(segment="all").select("stage", "wape").iter_rows())
    return table_made(warehouse, "forecasts/forecast_value_added", wape=wape)


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream("features/panel"), forecast, forecast_level])
def interval_coverage(storage: Storage) -> MaterializeResult:
    """How often demand fell within q05 and q95 in backtests, by horizon and kind of demand, with a binomial band."""
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.coverage import coverage_frame

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    of_series, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    table = coverage_frame(panel, of_series, levels, folds(panel.days, declared.evaluation))
    warehouse.write("forecasts/interval_coverage", table)
    return table_made(warehouse, "forecasts/interval_coverage")


@asset_check(
    asset=forecast,
    additional_deps=[interval_coverage],
    description="The 90 % ranges hold 88 to 93 % of demand in backtests, where more than one unit is sold a day.",
)
def coverage_is_nominal(storage: Storage) -> AssetCheckResult:
    """Names the horizons and patterns where they do not, as a warning: forecasts are published all the same."""
    from pipelines.forecasts.coverage import misses

    found = misses(storage.warehouse().read("forecasts/interval_coverage"))
    return AssetCheckResult(passed=not found, severity=AssetCheckSeverity.WARN, metadata={"outside": found})


ASSETS = [
    *(champion, ensemble, model_run, forecast, forecast_level),
    *(frozen, forecast_accuracy, forecast_value_added, interval_coverage),
]
CHECKS = [artifacts_are_whole, coverage_is_nominal]
