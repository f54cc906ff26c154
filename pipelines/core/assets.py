"""Assets of the stage core."""

from typing import Any

import polars as pl
from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.core.calendar import dim_calendar as make_calendar
from pipelines.core.dimensions import dim_product as make_products
from pipelines.core.dimensions import dim_store as make_stores
from pipelines.core.sales import write_sales
from pipelines.report import table_made, upstream
from pipelines.resources import Storage
from pipelines.warehouse import Warehouse

GROUP: dict[str, Any] = {"key_prefix": "core", "group_name": "core", "owners": ["team:data"]}
FEW = 0.01  # share of rejected rows above which the check warns


@asset(**GROUP, kinds={"polars", "parquet"}, deps=upstream("sources/raw_stores", "sources/raw_sales"))
def dim_store(storage: Storage) -> MaterializeResult:
    """One row a store, with its surrogate id, which stays the same from load to load."""
    warehouse = storage.warehouse()
    raw, sold_in = warehouse.read("sources/raw_stores"), _distinct(warehouse, "store")
    warehouse.write("core/dim_store", make_stores(raw, sold_in, _previous(warehouse, "core/dim_store")))
    return table_made(warehouse, "core/dim_store")


@asset(**GROUP, kinds={"polars", "parquet"}, deps=upstream("sources/raw_products", "sources/raw_sales"))
def dim_product(storage: Storage) -> MaterializeResult:
    """One row a product, with its surrogate id, which stays the same from load to load."""
    warehouse = storage.warehouse()
    raw, sold = warehouse.read("sources/raw_products"), _distinct(warehouse, "product")
    warehouse.write("core/dim_product", make_products(raw, sold, _previous(warehouse, "core/dim_product")))
    return table_made(warehouse, "core/dim_product")


@asset(
    **GROUP,
    kinds={"duckdb", "parquet"},
    deps=[*upstream("sources/raw_sales"), dim_store, dim_product],
    check_specs=[AssetCheckSpec("rejects_are_few", asset=AssetKey(["core", "sales_daily"]))],
)
def sales_daily(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Sales unique at store x product x day, ids resolved, bounds checked; rejected rows are in sales_daily_rejects."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        codes = write_sales(warehouse, connection)
    made = table_made(warehouse, "core/sales_daily", rejected=codes)
    rows = int(made.metadata["dagster/row_count"])  # type: ignore[index, arg-type]
    share = sum(codes.values()) / (rows + sum(codes.values()))
    check = AssetCheckResult(
        check_name="rejects_are_few",
        passed=share <= FEW,
        severity=AssetCheckSeverity.WARN,
        metadata={"share": share, "limit": FEW, **codes},
    )
    return MaterializeResult(metadata=made.metadata, check_results=[check])


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[*upstream("sources/raw_calendar"), sales_daily])
def dim_calendar(storage: Storage) -> MaterializeResult:
    """One row a day, from the first day of sales to 90 days after the last, with holidays and events."""
    warehouse = storage.warehouse()
    days = pl.scan_parquet(warehouse.existing("core/sales_daily")).select(
        pl.col("date").min().alias("first"), pl.col("date").max().alias("last")
    )
    first, last = days.collect().row(0)
    warehouse.write("core/dim_calendar", make_calendar(first, last, warehouse.read("sources/raw_calendar")))
    return table_made(warehouse, "core/dim_calendar")


def _distinct(warehouse: Warehouse, column: str) -> pl.Series:
    path = warehouse.existing("sources/raw_sales")
    return pl.scan_parquet(path).select(pl.col(column).unique()).collect()[column]


def _previous(warehouse: Warehouse, key: str) -> pl.DataFrame | None:
    """The table as it was, where it belongs to the source that is loaded now."""
    if not warehouse.path(key).exists() or warehouse.stamp(key).lineage != warehouse.new_stamp(key).lineage:
        return None
    return warehouse.read(key)


ASSETS = [dim_store, dim_product, sales_daily, dim_calendar]
