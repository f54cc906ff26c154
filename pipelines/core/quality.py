"""Expectations about the data that are more than a row's: shares of rejects, gaps in the calendar, age."""

from datetime import date, timedelta

import duckdb

from assets_config.contract.seeds import SEED_KIND
from pipelines.core.lines import Incoming
from pipelines.partitions import Index
from pipelines.warehouse import Warehouse

UNSEEN_GAP = 7
"""Days from the last sale to the newest batch above which sales are late."""


def reject_share(incoming: Incoming, sales: Index) -> tuple[float, dict[str, int]]:
    """The share of rejected lines among those of all sales batches, and their number a code."""
    codes: dict[str, int] = {}
    kept = sum(each.rows for each in sales.partitions.values())
    for batch in incoming.batches:
        loaded = incoming.loaded.get(batch.batch_id)
        if loaded is not None and batch.kind in ("sales-daily", "historical-sales"):
            for code, count in loaded.rejected.items():
                codes[code] = codes.get(code, 0) + count
    for part in sales.partitions.values():
        for account in part.accounts.values():
            for code, count in account.rejected.items():
                codes[code] = codes.get(code, 0) + count
    rejected = sum(codes.values())
    return (rejected / (kept + rejected) if kept + rejected else 0.0), dict(sorted(codes.items()))


def closed_days(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> tuple[int, list[str]]:
    """How many store-days lie within a store's trading life and have no sale of any product; and days without any store's."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE traded AS SELECT DISTINCT store_id, date FROM {warehouse.parquet('core/sales_daily')} "
        "WHERE quantity > 0"
    )
    rows = connection.execute("SELECT store_id, min(date), max(date), count(*) FROM traded GROUP BY store_id").fetchall()
    closed = sum((last - first).days + 1 - days for _, first, last, days in rows)
    present = {row[0] for row in connection.execute("SELECT DISTINCT date FROM traded").fetchall()}
    if not present:
        return closed, []
    first, last = min(present), max(present)
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return closed, [str(day) for day in every if day not in present]


def stale_days(incoming: Incoming, sales: Index) -> int:
    """Days from the last sale to the day on which the newest batch came in; 0 for generated sales, which have no today."""
    if not incoming.batches or any(batch.kind == SEED_KIND for batch in incoming.batches):
        return 0
    last: date = max(each.last_date for each in sales.partitions.values() if each.last_date is not None)
    return max((incoming.batches[-1].received_at.date() - last).days, 0)
