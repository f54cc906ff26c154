"""kpi_daily: the additive measures of each store, product and day, month by month."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date

import duckdb

from assets_config.declared import MeasureDeclaration
from pipelines.errors import ContractError, PipelineError
from pipelines.partitions import Index, Partition
from pipelines.warehouse import Warehouse, scan

SQL_TYPES = {"money": "DECIMAL(18,2)", "count": "BIGINT"}


def write_kpi_daily(
    warehouse: Warehouse, measures: Sequence[MeasureDeclaration], connection: duckdb.DuckDBPyConnection
) -> list[str]:
    """Bring kpis/kpi_daily up to date: store_id, product_id, date and a column a measure, sorted; gives the months made again.

    Raises ContractError, when an expression of kpis.yaml is not SQL over core/sales_daily, naming the measure; PipelineError,
    when core/sales_daily was never materialised.
    """
    index = warehouse.partitioned("core/sales_daily").index()
    if index is None:
        raise PipelineError("core/sales_daily is not there yet: materialise core/sales_daily (or everything) first")
    columns = _columns(measures, warehouse.parquet("core/sales_daily"), connection)
    with warehouse.partitioned("kpis/kpi_daily").locked():
        return _write(warehouse, index, columns, connection)


def columns_of(expression: str, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of core/sales_daily that the expression of a measure reads, by DuckDB's own parser.

    >>> columns_of("quantity * coalesce(unit_price, 0)", duckdb.connect())
    ['quantity', 'unit_price']
    """
    [(said,)] = connection.execute("SELECT json_serialize_sql('SELECT ' || ?)", [expression]).fetchall()
    found: set[str] = set()
    waiting = [json.loads(said)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("class") == "COLUMN_REF":
                found.add(node["column_names"][-1])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return sorted(found)


def weekly(warehouse: Warehouse, measure: str, connection: duckdb.DuckDBPyConnection) -> list[tuple[date, float]]:
    """The sums of a measure over the whole chain, by the Mondays of the weeks that lie within the days that are known.

    Days on which the chain is closed are no gap.
    """
    facts = warehouse.parquet("kpis/kpi_daily")
    query = f"""
        SELECT date_trunc('week', date)::DATE AS week, sum("{measure}")::DOUBLE FROM {facts}
        GROUP BY week HAVING week >= (SELECT min(date) FROM {facts}) AND week + 6 <= (SELECT max(date) FROM {facts})
        ORDER BY week"""
    return connection.execute(query).fetchall()


def _write(warehouse: Warehouse, index: Index, columns: str, connection: duckdb.DuckDBPyConnection) -> list[str]:
    sales, table = warehouse.partitioned("core/sales_daily"), warehouse.partitioned("kpis/kpi_daily")
    before = table.index()
    known = before.partitions if before is not None else {}
    partitions: dict[str, Partition] = {}
    for month, part in index.partitions.items():
        signature = hashlib.sha256(f"{part.sha256}\n{columns}".encode()).hexdigest()[:16]
        if month in known and known[month].signature == signature and (table.folder / known[month].file).exists():
            partitions[month] = known[month]
            continue
        # core/sales_daily is unique at this grain and sorted, so that a projection is all there is to do.
        query = f"SELECT store_id, product_id, date, {columns} FROM {scan([sales.folder / part.file])} ORDER BY 1, 2, 3"
        partitions[month] = table.write(month, signature, query, connection)
    stamp = warehouse.new_stamp("kpis/kpi_daily")
    table.replace(Index(partitions, stamp.source, stamp.lineage, stamp.dataset_id))
    return [month for month in partitions if partitions[month] != known.get(month)]


def _columns(measures: Sequence[MeasureDeclaration], sales: str, connection: duckdb.DuckDBPyConnection) -> str:
    columns = []
    for measure in measures:
        column = f"coalesce({measure.expression}, 0)::{SQL_TYPES[measure.unit]} AS {measure.name}"
        try:
            connection.execute(f"SELECT {column} FROM {sales} LIMIT 0").fetchall()
        except duckdb.Error as error:
            raise ContractError(f"kpis.yaml: measure {measure.name}: {error}") from error
        columns.append(column)
    return ", ".join(columns)
