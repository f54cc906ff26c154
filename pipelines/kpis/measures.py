"""The additive measures of kpis.yaml at the grain store x product x day."""

from collections.abc import Sequence

import duckdb

from assets_config.declared import MeasureDeclaration
from pipelines.errors import ContractError
from pipelines.warehouse import Warehouse, quoted

SQL_TYPES = {"money": "DECIMAL(18,2)", "count": "BIGINT"}


def write_kpi_daily(warehouse: Warehouse, measures: Sequence[MeasureDeclaration], connection: duckdb.DuckDBPyConnection) -> int:
    """Write kpis/kpi_daily: store_id, product_id, date and a column a measure, sorted; gives its rows.

    Raises ContractError, when an expression of kpis.yaml is not SQL over core/sales_daily, naming the measure.
    """
    columns = []
    sales = f"read_parquet('{quoted(warehouse.existing('core/sales_daily'))}')"
    for measure in measures:
        column = f"coalesce({measure.expression}, 0)::{SQL_TYPES[measure.unit]} AS {measure.name}"
        try:
            connection.execute(f"SELECT {column} FROM {sales} LIMIT 0").fetchall()
        except duckdb.Error as error:
            raise ContractError(f"kpis.yaml: measure {measure.name}: {error}") from error
        columns.append(column)
    # core/sales_daily is unique at this grain and sorted, so that a projection is all there is to do.
    query = f"SELECT store_id, product_id, date, {', '.join(columns)} FROM {sales} ORDER BY store_id, product_id, date"
    return warehouse.write_query("kpis/kpi_daily", connection, query)
