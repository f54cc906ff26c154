"""The columns of the raw tables: our names, their SQL types, and which of them a source must have."""

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One column of a raw table."""

    name: str
    sql_type: str
    required: bool = False


RAW: dict[str, tuple[Column, ...]] = {
    "raw_stores": (
        Column("key", "VARCHAR"),
        Column("code", "VARCHAR", required=True),
        Column("name", "VARCHAR"),
        Column("region", "VARCHAR"),
        Column("city", "VARCHAR"),
        Column("store_type", "VARCHAR"),
    ),
    "raw_products": (
        Column("key", "VARCHAR"),
        Column("sku", "VARCHAR", required=True),
        Column("name", "VARCHAR"),
        Column("category", "VARCHAR"),
        Column("department", "VARCHAR"),
        Column("brand", "VARCHAR"),
        Column("base_price", "DECIMAL(18,2)"),
        Column("base_cost", "DECIMAL(18,2)"),
    ),
    "raw_calendar": (
        Column("date", "DATE", required=True),
        Column("holiday_name", "VARCHAR"),
    ),
    "raw_sales": (
        Column("store", "VARCHAR", required=True),
        Column("product", "VARCHAR", required=True),
        Column("date", "DATE", required=True),
        Column("quantity", "BIGINT", required=True),
        Column("unit_price", "DECIMAL(18,4)"),
        Column("total_amount", "DECIMAL(18,2)"),
    ),
}

PLACE = (Column("file", "VARCHAR"), Column("row", "BIGINT"))
"""Where a raw row stood: file name, and its number among the data rows of that file, from 1."""
