"""Assets of the stage kpis."""

from datetime import date

from dagster import MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.charts import line_chart
from pipelines.kpis.cubes import cubes_folder, write_cubes
from pipelines.kpis.measures import columns_of, weekly, write_kpi_daily
from pipelines.report import GRAPH_POOL, came_from, drawn, table_made, upstream
from pipelines.resources import Storage

NEWEST_WEEKS = 156  # of a plot: three years


@asset(
    key_prefix="kpis",
    group_name="kpis",
    kinds={"duckdb", "parquet"},
    owners=["team:data"],
    pool=GRAPH_POOL,
    deps=upstream("core/sales_daily"),
)
def kpi_daily(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """The additive measures of kpis.yaml of each store, product and day: what every KPI is summed from."""
    warehouse = storage.warehouse()
    measures = storage.declarations().measures
    with duckdb.get_connection() as connection:
        write_kpi_daily(warehouse, measures, connection)
        sources = {each.name: [("core/sales_daily", name) for name in columns_of(each.expression, connection)] for each in measures}
        shown = {
            f"{each.name} a week": drawn(_weeks(each.name, weekly(warehouse, each.name, connection)), each.meaning)
            for each in measures
        }
    keys = {name: [("core/sales_daily", name)] for name in ("store_id", "product_id", "date")}
    return table_made(warehouse, "kpis/kpi_daily", **came_from({**keys, **sources}), **shown)


def _weeks(name: str, sums: list[tuple[date, float]]) -> str:
    newest = sums[-NEWEST_WEEKS:]
    return line_chart(f"{name} a week, all stores", [week for week, _ in newest], {name: [value for _, value in newest]})


@asset(
    key_prefix="kpis",
    group_name="kpis",
    pool=GRAPH_POOL,
    kinds={"numpy"},
    owners=["team:data"],
    deps=[*upstream("core/dim_store", "core/dim_product"), kpi_daily],
)
def cubes(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Sums a day at the grains of kpis.yaml, a file a year: what the API answers KPIs from."""
    warehouse, declared = storage.warehouse(), storage.declarations()
    with duckdb.get_connection() as connection:
        made = write_cubes(warehouse, declared.published_measures(), declared.grains, connection).cubes
    left_out = ["_".join(grain) for grain in declared.grains if ("_".join(grain) or "total") not in made.grains]
    return MaterializeResult(
        metadata={
            "dagster/uri": cubes_folder(warehouse).as_uri(),
            "days": made.days,
            "bytes a grain": {name: grain.bytes for name, grain in made.grains.items()},
            "left to DuckDB": left_out,
        }
    )


ASSETS = [kpi_daily, cubes]
