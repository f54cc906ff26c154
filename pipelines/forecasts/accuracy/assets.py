"""Assets of accuracy."""

from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetExecutionContext, MaterializeResult, asset, asset_check

from pipelines.forecasts.champions.assets import forecast, forecast_level
from pipelines.report import GRAPH_POOL, drawn, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"], "pool": GRAPH_POOL}


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/series_segment"), forecast, forecast_level])
def frozen(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The sets of forecasts as they were said at each cutoff, never altered; how many stay says models.yaml: registry."""
    from pipelines.forecasts.accuracy.frozen import damaged_sets, freeze, frozen_frame

    warehouse, declared = storage.warehouse(), storage.declarations()
    made, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    rows = frozen_frame(made, levels, warehouse.read("features/series_segment"))
    cutoff = made.filter(source="forecast")["cutoff"][0]
    freeze(warehouse, rows, cutoff, keep=declared.registry.keep_frozen)
    damage = damaged_sets(warehouse)
    for file, fault in damage.items():
        context.log.warning(f"forecasts/frozen/{file} {fault}: it is not scored; a backup of the data root may have it")
    return table_made(warehouse, "forecasts/frozen", cutoff=cutoff.isoformat(), damage=damage)


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/series_segment"), forecast, forecast_level, frozen])
def forecast_set(storage: Storage) -> MaterializeResult:
    """The frozen sets, one row each: as of which cutoff, how many series and units, and whether it is what is served."""
    from pipelines.forecasts.accuracy.frozen import frozen_frame
    from pipelines.forecasts.accuracy.sets import set_frame

    warehouse = storage.warehouse()
    made, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    table = set_frame(warehouse, frozen_frame(made, levels, warehouse.read("features/series_segment")))
    warehouse.write("forecasts/forecast_set", table)
    return table_made(warehouse, "forecasts/forecast_set", current=table.filter(is_current=True)["set_id"].to_list())


@asset(**GROUP, kinds={"polars"}, deps=[frozen])
def forecast_set_level(storage: Storage) -> MaterializeResult:
    """What the frozen sets forecast of the total and of each region, store, category and department."""
    from pipelines.forecasts.accuracy.sets import level_frame

    warehouse = storage.warehouse()
    warehouse.write("forecasts/forecast_set_level", level_frame(warehouse))
    return table_made(warehouse, "forecasts/forecast_set_level")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), frozen])
def forecast_accuracy(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Realised accuracy: the errors of frozen forecasts on the days that are known by now, by days since the cutoff."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.accuracy.frozen import read_sets
    from pipelines.forecasts.accuracy.realised import accuracy_frame

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
    from pipelines.forecasts.accuracy.value_added import value_added_frame
    from pipelines.forecasts.champions.champion import series_frame
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
    from pipelines.forecasts.accuracy.coverage import coverage_frame
    from pipelines.forecasts.accuracy.plots import calibration

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    of_series, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    table = coverage_frame(panel, of_series, levels, folds(panel.days, declared.evaluation))
    warehouse.write("forecasts/interval_coverage", table)
    plot = drawn(calibration(table), "share of days within q05 and q95")
    return table_made(warehouse, "forecasts/interval_coverage", calibration=plot)


@asset_check(
    asset=forecast,
    additional_deps=[interval_coverage],
    description="The 90 % ranges hold 88 to 93 % of demand in backtests, where more than one unit is sold a day.",
)
def coverage_is_nominal(storage: Storage) -> AssetCheckResult:
    """Names the horizons and patterns where they do not, as a warning: forecasts are published all the same."""
    from pipelines.forecasts.accuracy.coverage import misses

    found = misses(storage.warehouse().read("forecasts/interval_coverage"))
    return AssetCheckResult(passed=not found, severity=AssetCheckSeverity.WARN, metadata={"outside": found})


ASSETS = [frozen, forecast_set, forecast_set_level, forecast_accuracy, forecast_value_added, interval_coverage]
CHECKS = [coverage_is_nominal]
