"""Sales a store, product and day: ids resolved, bounds checked, unique at the grain; what fails is kept with a code.

UNKNOWN_STORE, UNKNOWN_PRODUCT   the stores or products file does not have the key
MISSING_VALUE                    neither unit_price nor total_amount
NEGATIVE_QUANTITY, NEGATIVE_AMOUNT
OUT_OF_RANGE                     a date before 1990 or after 2100, a quantity or amount past 10^12
DUPLICATE_GRAIN                  a later row (by file name, then row) has the same store, product and day
"""

import duckdb

from pipelines.errors import SourceError
from pipelines.warehouse import Warehouse, quoted

FAULTS = (
    ("UNKNOWN_STORE", "store", "store_id IS NULL"),
    ("UNKNOWN_PRODUCT", "product", "product_id IS NULL"),
    ("OUT_OF_RANGE", "date", "date NOT BETWEEN DATE '1990-01-01' AND DATE '2100-12-31'"),
    ("NEGATIVE_QUANTITY", "quantity", "quantity < 0"),
    ("OUT_OF_RANGE", "quantity", "quantity > 1000000000000"),
    ("NEGATIVE_AMOUNT", "unit_price", "unit_price < 0"),
    ("NEGATIVE_AMOUNT", "total_amount", "total_amount < 0"),
    ("MISSING_VALUE", "total_amount", "unit_price IS NULL AND total_amount IS NULL"),
    ("OUT_OF_RANGE", "total_amount", "amount IS NULL OR amount > 1000000000000"),
)


def write_sales(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Write core/sales_daily and core/sales_daily_rejects from the raw tables; gives the number of rejects a code.

    sales_daily has store_id, product_id, date, quantity, unit_price, total_amount, sorted by the first three. A missing
    total_amount is quantity x unit_price to the cent; a missing unit_price is total_amount / quantity.

    Raises SourceError, when not one row is left; nothing is replaced then.
    """
    _resolve(warehouse, connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE repeated AS "
        "SELECT store_id, product_id, date, max({'file': file, 'row': row}) AS kept FROM resolved WHERE fault IS NULL "
        "GROUP BY ALL HAVING count(*) > 1"
    )
    rejects = _rejects()
    counts = dict(connection.execute(f"SELECT code, count(*) FROM ({rejects}) GROUP BY code ORDER BY code").fetchall())
    [(read,)] = connection.execute("SELECT count(*) FROM resolved").fetchall()
    if sum(counts.values()) == read:
        file, row, code, field, value, _ = connection.execute(f"FROM ({rejects}) ORDER BY file, row LIMIT 1").fetchall()[0]
        raise SourceError(f"not one of {read} sales rows is usable; the first, {file} row {row}: {code} ({field} = {value})")
    warehouse.write_query("core/sales_daily_rejects", connection, f"FROM ({rejects}) ORDER BY file, row")
    warehouse.write_query(
        "core/sales_daily",
        connection,
        "SELECT store_id, product_id, date, quantity, "
        "coalesce(unit_price, (amount / nullif(quantity, 0)))::DECIMAL(18,4) AS unit_price, amount AS total_amount "
        "FROM resolved LEFT JOIN repeated USING (store_id, product_id, date) "
        "WHERE fault IS NULL AND (kept IS NULL OR kept = {'file': file, 'row': row}) ORDER BY store_id, product_id, date",
    )
    return counts


def _resolve(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """A view `resolved`: raw sales with ids, the amount to the cent, and the number of the first fault, if any."""

    def table(key: str) -> str:
        return f"read_parquet('{quoted(warehouse.existing(key))}')"

    for name, code in (("store", "code"), ("product", "sku")):
        # Sales call an entity by its key; where there is no stores or products file, by its code.
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name}_keys AS "
            f"SELECT coalesce(r.key, d.{code}) AS {name}, any_value(d.{name}_id) AS {name}_id "
            f"FROM {table(f'core/dim_{name}')} d LEFT JOIN {table(f'sources/raw_{name}s')} r USING ({code}) GROUP BY 1"
        )
    fault = " ".join(f"WHEN {condition} THEN {n}" for n, (_, _, condition) in enumerate(FAULTS))
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW resolved AS SELECT *, CASE {fault} END AS fault FROM ("
        f"SELECT *, coalesce(total_amount, try_cast(quantity::DECIMAL(18,0) * unit_price AS DECIMAL(18,2))) AS amount "
        f"FROM {table('sources/raw_sales')} LEFT JOIN store_keys USING (store) LEFT JOIN product_keys USING (product))"
    )


def _rejects() -> str:
    def pick(values: list[str]) -> str:
        return "CASE fault " + " ".join(f"WHEN {n} THEN {value}" for n, value in enumerate(values)) + " END"

    record = "to_json({store: store, product: product, date: date, quantity: quantity, unit_price: unit_price, "
    record += "total_amount: total_amount})::VARCHAR AS record"
    code = pick([f"'{code}'" for code, _, _ in FAULTS])
    field = pick([f"'{field}'" for _, field, _ in FAULTS])
    value = pick([f"{field}::VARCHAR" for _, field, _ in FAULTS])
    return (
        f"SELECT file, row, {code} AS code, {field} AS field, {value} AS value, {record} "
        f"FROM resolved WHERE fault IS NOT NULL UNION ALL "
        f"SELECT file, row, 'DUPLICATE_GRAIN', 'date', date::VARCHAR, {record} "
        f"FROM resolved JOIN repeated USING (store_id, product_id, date) "
        f"WHERE fault IS NULL AND kept <> {{'file': file, 'row': row}}"
    )
