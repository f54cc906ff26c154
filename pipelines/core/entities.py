"""Where stores and products come from: their own kinds, an ERP extract, and, before anybody told of any, the sales."""

import duckdb
import polars as pl

from pipelines.core.calendar import dim_calendar
from pipelines.core.history import PRODUCT_COLUMNS, STORE_COLUMNS, newest, versions
from pipelines.core.ids import crosswalk
from pipelines.core.lines import Incoming
from pipelines.core.surrogates import given
from pipelines.errors import SourceError
from pipelines.warehouse import Warehouse


def write_stores(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Write core/hist_store. Raises SourceError, when there is no store at all."""
    history = versions(store_lines(Incoming(warehouse), connection), code="code", columns=STORE_COLUMNS)
    _write_history(warehouse, "store", history, code="code")


def write_products(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Write core/hist_product. Raises SourceError, when there is no product at all."""
    incoming = Incoming(warehouse)
    lines = product_lines(incoming, crosswalk(incoming, connection), connection)
    _write_history(warehouse, "product", versions(lines, code="sku", columns=PRODUCT_COLUMNS), code="sku")


def _write_history(warehouse: Warehouse, entity: str, history: pl.DataFrame, *, code: str) -> None:
    if history.is_empty():
        raise SourceError(f"the source names no {entity} at all")
    key, identity = f"core/hist_{entity}", f"{entity}_id"
    ids = given(warehouse, entity, history[code], table=key, code=code)
    warehouse.write(key, history.join(ids, on=code).select(identity, *history.columns).sort(identity, "valid_from"))


def write_newest(warehouse: Warehouse, entity: str) -> None:
    """Write core/dim_store or core/dim_product from its history, as it is on the day on which the newest batch came in."""
    today = max(batch.received_at.date() for batch in Incoming(warehouse).batches)
    warehouse.write(f"core/dim_{entity}", newest(warehouse.read(f"core/hist_{entity}"), f"{entity}_id", today=today))


def write_calendar(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Write core/dim_calendar, from the first day of sales to 90 days after the last."""
    index = warehouse.partitioned("core/sales_daily").index()
    days = [day for part in (index.partitions.values() if index else ()) for day in (part.first_date, part.last_date) if day]
    holidays = Incoming(warehouse).frame("holidays", connection)
    warehouse.write("core/dim_calendar", dim_calendar(min(days), max(days), holidays))


def write_categories(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Write core/dim_category; gives the categories that were not seen before."""
    sales = warehouse.parquet("core/sales_daily")
    sold = connection.sql(
        f"SELECT product_id, min(date) AS first_seen, count(*) AS row_count FROM {sales} GROUP BY product_id"
    ).pl()
    previous, products = warehouse.previous("core/dim_category"), warehouse.read("core/dim_product")
    ids = given(warehouse, "category", products["category"].drop_nulls(), table="core/dim_category", code="category")
    made = dim_category(products, sold, ids)
    warehouse.write("core/dim_category", made)
    return sorted(set(made["category"]) - set(previous["category"])) if previous is not None else []


def write_supply(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Write core/dim_process."""
    incoming = Incoming(warehouse)
    items = erp_items(incoming, crosswalk(incoming, connection), connection)
    warehouse.write("core/dim_process", dim_process(items, warehouse.read("core/dim_product")))


PLACE = ("valid_from", "received_on", "rank", "row")


def store_lines(incoming: Incoming, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every line that tells of a store, and the stores that sales named before anybody told of any."""
    told = incoming.frame("stores", connection)
    named = _named(incoming.codes("store", until=("stores",)), told, "code")
    return pl.concat([named, told]).select(*STORE_COLUMNS, *PLACE)


def product_lines(incoming: Incoming, known: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every line that tells of a product; `known` is the crosswalk, for the numbers of an ERP system.

    And the products that sales named before anybody told of any. Categories of category-level sales are products of their
    own name.
    """
    told, items = incoming.frame("products", connection), erp_items(incoming, known, connection)
    named = _named(incoming.codes("product", until=("products", "erp-items")), told, "sku")
    supplied = items.select(
        "sku",
        name="description",
        category="item_group",
        base_cost="unit_cost",
        base_price="list_price",
        received_on="received_on",
        rank="rank",
        row="row",
    )
    categories = _named(incoming.codes("category"), told, "sku").with_columns(category="sku")
    return pl.concat([named, told, supplied, categories], how="diagonal").select(*PRODUCT_COLUMNS, *PLACE)


def erp_items(incoming: Incoming, known: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The lines of ERP extracts with `sku`: what the crosswalk says the item's number is, else the number itself."""
    items = incoming.frame("erp-items", connection)
    ours = known.filter(pl.col("entity") == "product").select("source", "external_id", "code")
    shared = ours.filter(pl.col("source") == "*").select("external_id", any_code="code")
    return (
        items.join(ours, left_on=["source", "item_code"], right_on=["source", "external_id"], how="left", maintain_order="left")
        .join(shared, left_on="item_code", right_on="external_id", how="left", maintain_order="left")
        .with_columns(sku=pl.coalesce("code", "any_code", "item_code"))
        .drop("code", "any_code")
    )


def dim_process(items: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """How each product is supplied: the newest word of the ERP extracts, by product_id. Empty values leave what was said."""
    columns = ("supplier", "process", "lead_time_days", "moq", "pack_size", "unit_cost")
    return (
        items.sort("rank", "row")
        .with_columns(pl.col(columns).forward_fill().over("sku"))
        .unique("sku", keep="last", maintain_order=True)
        .join(products.select("sku", "product_id"), on="sku")
        .select("product_id", *columns)
        .sort("product_id")
    )


def dim_category(products: pl.DataFrame, sold: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """The categories that occur: products a category, first day and number of sales records.

    `sold` has product_id, first_seen and row_count; `ids` category and category_id.
    """
    found = (
        products.join(sold, on="product_id", how="left")
        .filter(pl.col("category").is_not_null())
        .group_by("category")
        .agg(
            pl.len().cast(pl.Int64).alias("products"),
            pl.col("first_seen").min(),
            pl.col("row_count").sum().cast(pl.Int64),
        )
        .sort("category")
    )
    return (
        found.join(ids, on="category").select("category_id", "category", "products", "first_seen", "row_count").sort("category_id")
    )


def _named(codes: pl.DataFrame, like: pl.DataFrame, code: str) -> pl.DataFrame:
    """Codes that sales name, as lines that say nothing else."""
    first = codes.sort("rank").unique("code", keep="first", maintain_order=True).rename({"code": code})
    lines = first.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
    missing = [pl.lit(None, kind).alias(name) for name, kind in like.schema.items() if name not in lines.columns]
    return lines.with_columns(missing).select(like.columns)
