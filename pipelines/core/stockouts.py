"""Demand on days without stock: what was sold then is not what was wanted."""

import hashlib

import duckdb

from pipelines.partitions import ALL, Index, Partition
from pipelines.warehouse import Warehouse, scan

WEEKS = 16
"""How far back same weekdays are looked for; the newest USED of them with stock tell."""
USED = 8


def write_unconstrained(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Bring core/demand_unconstrained up to date; gives the months that were made again.

    One row a stock-out day: unconstrained is the mean of the last eight same weekdays on which the product was in stock, of
    the sixteen before, counting a day without a sale as 0; never below what was sold. Only the past is looked at, so that no
    later day moves it. Without such a day it is what was sold.
    """
    with warehouse.partitioned("core/demand_unconstrained").locked():
        return _write(warehouse, connection)


def _write(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> list[str]:
    stock, sales = warehouse.partitioned("core/inventory_daily").index(), warehouse.partitioned("core/sales_daily").index()
    assert stock is not None
    assert sales is not None
    stamp = warehouse.new_stamp("core/demand_unconstrained")
    table = warehouse.partitioned("core/demand_unconstrained")
    before = table.index()
    known = before.partitions if before is not None and before.lineage == stamp.lineage else {}
    partitions: dict[str, Partition] = {}
    made = []
    for month in sorted(stock.partitions):
        read = [each for each in sorted(sales.partitions) if _months_before(month, each) in range(5)]
        looked = [each for each in sorted(stock.partitions) if _months_before(month, each) in range(5)]
        signature = _signature(
            [stock.partitions[each].signature for each in looked] + [sales.partitions[each].signature for each in read]
        )
        if month in known and known[month].signature == signature and (table.folder / known[month].file).exists():
            partitions[month] = known[month]
            continue
        stocks = [warehouse.folder / "core/inventory_daily" / stock.partitions[each].file for each in looked]
        sold = [warehouse.folder / "core/sales_daily" / sales.partitions[each].file for each in read]
        here = warehouse.folder / "core/inventory_daily" / stock.partitions[month].file
        query = _query(
            scan([here]), scan(stocks), scan(sold) if sold else f"(SELECT * FROM {warehouse.parquet('core/sales_daily')} LIMIT 0)"
        )
        partitions[month] = table.write(month, signature, query, connection)
        made.append(month)
    if made or before is None or before.lineage != stamp.lineage or partitions.keys() != before.partitions.keys():
        table.replace(Index(partitions, stamp.source, stamp.lineage))
    return made


def _query(stockouts: str, stock: str, sales: str) -> str:
    return f"""
        WITH out_days AS (SELECT store_id, product_id, date FROM {stockouts} WHERE is_stockout),
        every_out AS (SELECT store_id, product_id, date FROM {stock} WHERE is_stockout),
        first_day AS (
            SELECT store_id, product_id, min(date) AS first FROM {sales}
            SEMI JOIN out_days USING (store_id, product_id) GROUP BY ALL
        ),
        looked AS (
            SELECT o.store_id, o.product_id, o.date, k, (o.date - 7 * k)::DATE AS past
            FROM out_days o JOIN first_day USING (store_id, product_id), (SELECT unnest(range(1, {WEEKS + 1}))::INTEGER) AS weeks(k)
            WHERE o.date - 7 * k >= first
        ),
        in_stock AS (
            SELECT l.*, coalesce(s.quantity, 0) AS quantity
            FROM looked l
            ANTI JOIN every_out e ON e.store_id = l.store_id AND e.product_id = l.product_id AND e.date = l.past
            LEFT JOIN {sales} s ON s.store_id = l.store_id AND s.product_id = l.product_id AND s.date = l.past
        ),
        newest AS (
            SELECT * FROM in_stock QUALIFY row_number() OVER (PARTITION BY store_id, product_id, date ORDER BY k) <= {USED}
        ),
        means AS (SELECT store_id, product_id, date, avg(quantity) AS mean FROM newest GROUP BY ALL)
        SELECT o.store_id, o.product_id, o.date, coalesce(s.quantity, 0) AS sold,
               greatest(coalesce(m.mean, 0), coalesce(s.quantity, 0))::DOUBLE AS unconstrained
        FROM out_days o
        LEFT JOIN means m USING (store_id, product_id, date)
        LEFT JOIN {sales} s USING (store_id, product_id, date)
        ORDER BY ALL
    """


def _months_before(month: str, other: str) -> int:
    """How many months `other` lies before `month`; -1 where one of them is no month."""
    if ALL in (month, other):
        return 0 if month == other else -1
    years, months = int(month[:4]) - int(other[:4]), int(month[5:]) - int(other[5:])
    return years * 12 + months


def _signature(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
