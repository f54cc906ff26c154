"""What an asset says of itself in the Dagster UI after it was made."""

from collections.abc import Mapping
from typing import Any

import duckdb
from dagster import AssetKey, MaterializeResult, MetadataValue, TableColumn, TableRecord, TableSchema

from pipelines.warehouse import Warehouse


def table_made(warehouse: Warehouse, key: str, **extra: Any) -> MaterializeResult:
    """Row count, columns, place and the first rows of a table that was just written, and what else is worth saying."""
    path = warehouse.existing(key)
    with duckdb.connect() as connection:
        source = warehouse.parquet(key)
        columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        [(rows,)] = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
        first = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {source} LIMIT 5").fetchall()
    names = [column[0] for column in columns]
    metadata: Mapping[str, Any] = {
        "dagster/row_count": rows,
        "dagster/uri": path.as_uri(),
        "dagster/column_schema": TableSchema([TableColumn(column[0], column[1].lower()) for column in columns]),
        **extra,
    }
    if first:
        records = [TableRecord(dict(zip(names, (cell or "" for cell in row), strict=True))) for row in first]
        schema = TableSchema([TableColumn(name) for name in names])
        metadata = {**metadata, "first rows": MetadataValue.table(records, schema=schema)}
    return MaterializeResult(metadata=metadata)


def upstream(*keys: str) -> list[AssetKey]:
    """Assets of earlier stages that an asset reads, as `deps`: `upstream("core/sales_daily")`."""
    return [AssetKey(key.split("/")) for key in keys]
