"""Assets of the stage features."""

from typing import Any

from dagster import MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.report import GRAPH_POOL, table_made, upstream
from pipelines.resources import Storage, settings

GROUP: dict[str, Any] = {"key_prefix": "features", "group_name": "features", "owners": ["team:forecasting"], "pool": GRAPH_POOL}


@asset(
    **GROUP,
    kinds={"numpy"},
    deps=upstream(
        *("core/sales_daily", "core/dim_store", "core/dim_product", "core/dim_calendar"),
        *("core/demand_unconstrained", "core/lifecycle", "core/price_history", "core/promotion", "core/exogenous"),
    ),
)
def panel(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Demand and price of every series on every day, dense: what models and backtests read."""
    from pipelines.features.panel import STATES, panel_path, write_panel
    from pipelines.features.scatter import build_panel

    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        made = build_panel(warehouse, connection)
    write_panel(warehouse, made)
    return MaterializeResult(
        metadata={
            "dagster/uri": panel_path(warehouse).as_uri(),
            "series": made.series,
            "days": made.days,
            "series-days a state": {name: int((made.state == n).sum()) for n, name in enumerate(STATES)},
            "price known ahead": f"{int(made.planned[:, made.days :].any(axis=1).sum())} of {made.series} series",
            "series from outside": ", ".join(made.outside_names.tolist()) or "none",
        }
    )


@asset(**GROUP, kinds={"numpy"}, deps=[panel])
def series_segment(storage: Storage) -> MaterializeResult:
    """The demand pattern of every series, its revenue class (ABC) and how steady its weeks are (XYZ)."""
    from assets_config.segments import segment_rules
    from pipelines.features.panel import read_panel
    from pipelines.features.patterns import segment_frame

    warehouse = storage.warehouse()
    segments = segment_frame(read_panel(warehouse), segment_rules(settings().config))
    warehouse.write("features/series_segment", segments)
    counts = dict(segments.group_by("pattern").len().sort("pattern").iter_rows())
    classes = dict(segments.group_by("abc").len().sort("abc").iter_rows())
    return table_made(warehouse, "features/series_segment", series_of=counts, classes=classes)


@asset(**GROUP, kinds={"numpy"}, deps=[panel])
def feature_catalog(storage: Storage) -> MaterializeResult:
    """Every feature of every feature set of features.yaml: its meaning, and what it may know."""
    from pipelines.features.catalog import catalog
    from pipelines.features.panel import read_panel

    warehouse = storage.warehouse()
    made = catalog(storage.declarations().feature_sets, read_panel(warehouse))
    warehouse.write("features/feature_catalog", made)
    return table_made(warehouse, "features/feature_catalog")


@asset(**GROUP, kinds={"numpy"}, deps=[panel])
def feature_preview(storage: Storage) -> MaterializeResult:
    """The newest rows of the series that sold most, as a model would see them one day ahead."""
    from pipelines.features.catalog import preview
    from pipelines.features.panel import read_panel

    warehouse = storage.warehouse()
    made = preview(storage.declarations().feature_sets, read_panel(warehouse))
    warehouse.write("features/feature_preview", made)
    return table_made(warehouse, "features/feature_preview")


ASSETS = [panel, series_segment, feature_catalog, feature_preview]
