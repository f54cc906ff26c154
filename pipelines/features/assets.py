"""Assets of the stage features."""

from dagster import MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.report import upstream
from pipelines.resources import Storage


@asset(
    key_prefix="features",
    group_name="features",
    kinds={"numpy"},
    owners=["team:forecasting"],
    deps=upstream(
        *("core/sales_daily", "core/dim_store", "core/dim_product", "core/dim_calendar"),
        *("core/demand_unconstrained", "core/lifecycle", "core/price_history", "core/promotion", "core/exogenous"),
    ),
)
def panel(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Demand and price of every series on every day, dense: what models and backtests read."""
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
            "price known ahead": f"{int(made.planned.sum())} of {made.series} series",
            "series from outside": ", ".join(made.outside_names.tolist()) or "none",
        }
    )


ASSETS = [panel]
