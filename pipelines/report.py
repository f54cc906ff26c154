"""What an asset says of itself in the Dagster UI after it was made."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from resource import RUSAGE_SELF, getrusage
from typing import Any

import duckdb
import msgspec
from dagster import (
    AssetExecutionContext,
    AssetKey,
    MarkdownMetadataValue,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableColumnDep,
    TableColumnLineage,
    TableRecord,
    TableSchema,
)
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from assets_config.contract.tables import TABLES
from pipelines.warehouse import Warehouse

GRAPH_POOL = "graph"
"""The pool of every asset that writes a table of the graph or publishes all of them: of the runs that have one, one runs at a time.

What is not in it (trials, state, what they amend a snapshot with) runs beside it."""


def table_made(warehouse: Warehouse, key: str, **extra: Any) -> MaterializeResult:
    """Row count, columns, place and the first rows of a table that was just written, and what else is worth saying."""
    path = warehouse.existing(key)
    with _reader().cursor() as connection:
        source = warehouse.parquet(key)
        columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        [(rows,)] = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
        first = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {source} LIMIT 5").fetchall()
    names, said = [column[0] for column in columns], descriptions(key)
    metadata: Mapping[str, Any] = {
        "dagster/row_count": rows,
        "dagster/uri": path.as_uri(),
        "dagster/column_schema": TableSchema([TableColumn(name, kind.lower(), said.get(name)) for name, kind, *_ in columns]),
        "peak memory [MiB]": getrusage(RUSAGE_SELF).ru_maxrss >> 10,  # of this process so far; Linux counts in KiB
        **extra,
    }
    if first:
        records = [TableRecord(dict(zip(names, (cell or "" for cell in row), strict=True))) for row in first]
        schema = TableSchema([TableColumn(name) for name in names])
        metadata = {**metadata, "first rows": MetadataValue.table(records, schema=schema)}
    return MaterializeResult(metadata=metadata)


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """One DuckDB for all tables of a process: making one takes 15 ms. It keeps nothing of files, which are replaced by others."""
    return duckdb.connect(config={"enable_external_file_cache": False})


def answer(result: msgspec.Struct | Mapping[str, Any]) -> dict[str, MetadataValue]:
    """What a job answers with, as metadata of the asset that it told what to do."""
    return {"result": MetadataValue.json(msgspec.to_builtins(result))}


def job_of(context: AssetExecutionContext) -> str:
    """The id under which the API tells this Dagster run as a job."""
    return context.run.run_id.replace("-", "")


def retried(context: AssetExecutionContext) -> str | None:
    """The id of the job that this one runs again, of several the first; None where it runs none again."""
    root = context.run.root_run_id
    return root.replace("-", "") if root else None


def drawn(svg: str, about: str) -> MarkdownMetadataValue:
    """A chart, as an entry of metadata that the UI shows."""
    return MetadataValue.md(f"![{about}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})")


def came_from(columns: Mapping[str, Iterable[tuple[str, str]]]) -> dict[str, Any]:
    """Where columns came from, as metadata: of each the tables and columns that it was made of."""
    deps = {name: [TableColumnDep(AssetKey(key.split("/")), column) for key, column in said] for name, said in columns.items()}
    return {"dagster/column_lineage": TableColumnLineage(deps)}


def as_in(warehouse: Warehouse, key: str, source: str) -> dict[str, Any]:
    """The same for a table whose columns are those of another one, wherever they are called alike."""
    with duckdb.connect() as connection:
        own, others = (
            [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {warehouse.parquet(each)}").fetchall()]
            for each in (key, source)
        )
    return came_from({name: [(source, name)] for name in own if name in others})


def graph_of(context: AssetExecutionContext) -> BaseAssetGraph:
    """The whole graph, from within a run of some of it: the command line's own job holds it, a launched one its repository."""
    if context.run.remote_job_origin is None:
        return context.job_def.asset_layer.asset_graph
    return context.repository_def.asset_graph


def now() -> datetime:
    """Now in UTC, without a zone, as tables have it."""
    return datetime.now(UTC).replace(tzinfo=None)


def descriptions(key: str) -> dict[str, str]:
    """What the columns of a published table mean, as the contract says; nothing for a table that is not published."""
    struct = TABLES.get(key.rpartition("/")[2])
    if struct is None:
        return {}
    properties = msgspec.json.schema(struct)["$defs"][struct.__name__]["properties"]
    return {name: said["description"] for name, said in properties.items() if "description" in said}


def upstream(*keys: str) -> list[AssetKey]:
    """Assets of earlier stages that an asset reads, as `deps`: `upstream("core/sales_daily")`."""
    return [AssetKey(key.split("/")) for key in keys]
