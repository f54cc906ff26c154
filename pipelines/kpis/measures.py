"""kpi_daily: the additive measures of each store, product and day, month by month."""

import hashlib
from collections.abc import Sequence

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
