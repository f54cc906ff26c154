"""Stores and products: every version of their attributes (SCD2), and the newest one.

A line of a batch holds from its valid_from on, else from the day on which its batch came in. What a line leaves empty stays
as it was. Of two lines for one day the later batch holds, so that the order in which batches are read does not matter.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

STORE_COLUMNS = (
    *("code", "name", "region", "city", "store_type"),
    *("size_sqft", "location_tier", "median_income", "opened_on", "closed_on"),
)
PRODUCT_COLUMNS = (
    *("sku", "name", "category", "department", "brand", "base_price", "base_cost", "launched_on", "discontinued_on"),
)


def versions(lines: pl.DataFrame, *, code: str, columns: Sequence[str]) -> pl.DataFrame:
    """Every version of every entity, by code and day.

    Takes    lines with `columns`, valid_from (null where the line does not say), received_on, rank and row.
    Gives    columns, valid_from (null: since ever), valid_to (null: now); versions that do not differ are one.
    """
    attributes = [name for name in columns if name != code]
    placed = (
        lines.with_columns(since=pl.coalesce("valid_from", "received_on"))
        .sort(code, "since", "rank", "row")
        .with_columns(pl.col(attributes).forward_fill().over(code))
        .with_columns(name=pl.coalesce("name", code))
        .unique([code, "since"], keep="last", maintain_order=True)
    )
    state = pl.struct(attributes)
    changed = placed.filter((state != state.shift().over(code)) | pl.col(code).ne_missing(pl.col(code).shift()))
    first = pl.col(code).ne_missing(pl.col(code).shift())
    told = pl.col("valid_from").is_not_null()
    return changed.select(
        *columns,
        valid_from=pl.when(first & ~told).then(None).otherwise(pl.col("since")),
        valid_to=(pl.col("since").shift(-1) - pl.duration(days=1)).over(code),
    )


def newest(history: pl.DataFrame, identity: str, *, today: date) -> pl.DataFrame:
    """The version of each entity that holds today; the first one where all begin later."""
    begun = history.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") <= today)).unique(
        identity, keep="last", maintain_order=True
    )
    later = history.join(begun, on=identity, how="anti").unique(identity, keep="first", maintain_order=True)
    return pl.concat([begun, later]).drop("valid_from", "valid_to").sort(identity)
