"""Assets of the stage features."""

from dagster import MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.report import table_made, upstream
from pipelines.resources import Storage


@asset(
    key_prefix="features",
    group_name="features",
    kinds={"numpy"},
    owners=["team:forecasting"],
    deps=upstream(
        *("core/sales_daily", "core/dim_store", "core/dim_product", "core/dim_calendar"),
        *("core/demand_unconstrained", "core/lifecycle"),
    ),
)
def panel(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Demand and price of every series on every day, dense: what models and backtests read."""
    from pipelines.features.blocks import NAMES
    from pipelines.features.panel import STATES, panel_path, write_panel

    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        made = write_panel(warehouse, connection)
    return MaterializeResult(
        metadata={
            "dagster/uri": panel_path(warehouse).as_uri(),
            "series": made.series,
            "days": made.days,
            "series-days a state": {name: int((made.state == n).sum()) for n, name in enumerate(STATES)},
            "features": ", ".join(NAMES),
        }
    )


@asset(key_prefix="features", group_name="features", kinds={"numpy"}, owners=["team:forecasting"], deps=[panel])
def series_segment(storage: Storage) -> MaterializeResult:
    """The demand pattern of every series: smooth, intermittent, erratic or lumpy."""
    from pipelines.features.panel import read_panel
    from pipelines.features.patterns import segment_frame

    warehouse = storage.warehouse()
    segments = segment_frame(read_panel(warehouse))
    warehouse.write("features/series_segment", segments)
    counts = dict(segments.group_by("pattern").len().sort("pattern").iter_rows())
    return table_made(warehouse, "features/series_segment", series_of=counts)


ASSETS = [panel, series_segment]
