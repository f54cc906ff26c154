"""The newest count of each store and product, and how many days it lasts at what is forecast."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from serving.snapshot import Snapshot

OLD_AFTER = timedelta(days=7)
NO_POLICY = "no inventory policy is published"
NO_FORECAST = "no forecast is published"
OLD_COUNT = "the newest count is more than 7 days older than the last day of sales, after which forecasts begin"
ORDERS = {"store_id": "store_id, product_id", "product_id": "product_id, store_id", "on_hand": "on_hand", "days_of_cover": "days"}

# A day that the stock outlasts counts whole, the day on which it ends in part. Without a forecast the sums are null.
COUNTED = """
WITH counted AS (
    SELECT store_id, product_id, max(date) AS date, arg_max(on_hand, date) AS on_hand, arg_max(on_order, date) AS on_order,
           arg_max(is_stockout, date) AS is_stockout
    FROM stock.inventory_daily
    WHERE (?::BIGINT IS NULL OR store_id = ?) AND (?::BIGINT IS NULL OR product_id = ?) AND (?::DATE IS NULL OR date <= ?)
    GROUP BY store_id, product_id
)"""
AHEAD = """, walked AS (
    SELECT store_id, product_id, yhat, greatest(on_hand, 0) AS stock,
           sum(yhat) OVER (PARTITION BY store_id, product_id ORDER BY forecast.date) AS wanted
    FROM forecasts.forecast JOIN counted USING (store_id, product_id)
    WHERE source = 'forecast' AND counted.date >= ?
), covered AS (
    SELECT store_id, product_id, max(wanted) <= any_value(stock) AS outlasts,
           sum(CASE WHEN wanted <= stock THEN 1 WHEN wanted - yhat < stock THEN (stock - wanted + yhat) / yhat ELSE 0 END) AS days
    FROM walked GROUP BY store_id, product_id
)"""


async def newest_counts(
    lease: Snapshot,
    *,
    store: int | None = None,
    product: int | None = None,
    as_of: date | None = None,
    is_stockout: bool | None = None,
    order: str = "store_id",
    is_descending: bool = False,
    page: int = 1,
    page_size: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Rows {store_id, product_id, date, on_hand, on_order, is_stockout, days, outlasts}, and how many there are on all pages.

    `days` is null where nothing is forecast, where the count is old, or where `as_of` lies before the last day of sales.
    """
    if "stock" not in lease.manifest.parts:
        return [], 0
    values: list[Any] = [store, store, product, product, as_of, as_of]
    has_cover = is_cover_known(lease, as_of)
    sql, joined, cover = COUNTED, "", "NULL::DOUBLE AS days, NULL::BOOLEAN AS outlasts"
    if has_cover:
        sql, joined, cover = COUNTED + AHEAD, " LEFT JOIN covered USING (store_id, product_id)", "days, outlasts"
        values.append(lease.manifest.as_of - OLD_AFTER)
    direction = "DESC" if is_descending else "ASC"
    by = ", ".join(f"{name} {direction} NULLS LAST" for name in ORDERS[order].split(", "))
    found = await lease.query(
        f"{sql} SELECT store_id, product_id, date, on_hand, on_order, is_stockout, {cover}, count(*) OVER () "  # noqa: S608 - ours
        f"FROM counted{joined} WHERE (?::BOOLEAN IS NULL OR is_stockout = ?) ORDER BY {by}, store_id, product_id LIMIT ? OFFSET ?",
        [*values, is_stockout, is_stockout, page_size, (page - 1) * (page_size or 0)],
    )
    names = ("store_id", "product_id", "date", "on_hand", "on_order", "is_stockout", "days", "outlasts")
    total = found[0][-1] if found else await _total(lease, store, product, as_of, is_stockout) if page > 1 else 0
    return [dict(zip(names, row[:-1], strict=True)) for row in found], total


async def _total(lease: Snapshot, store: int | None, product: int | None, as_of: date | None, is_stockout: bool | None) -> int:
    """How many there are, for a page past the end."""
    values = [store, store, product, product, as_of, as_of, is_stockout, is_stockout]
    counted = f"{COUNTED} SELECT count(*) FROM counted WHERE (?::BOOLEAN IS NULL OR is_stockout = ?)"  # noqa: S608 - ours
    [(total,)] = await lease.query(counted, values)
    return int(total)


def is_cover_known(lease: Snapshot, as_of: date | None) -> bool:
    """Whether stock can be walked down: something is forecast, and the question is about now."""
    return "forecasts" in lease.manifest.parts and (as_of is None or as_of >= lease.manifest.as_of)


def why_no_cover(lease: Snapshot, as_of: date | None, days: float | None, counted: date | None) -> str | None:
    """The reason of a null in days of cover; None where it is known."""
    if days is not None:
        return None
    if counted is None:
        return "nothing was counted"
    if as_of is not None and as_of < lease.manifest.as_of:
        return f"forecasts begin after {lease.manifest.as_of}, as_of lies before"
    if "forecasts" not in lease.manifest.parts:
        return NO_FORECAST
    return OLD_COUNT if counted < lease.manifest.as_of - OLD_AFTER else NO_FORECAST


async def demand_ahead(lease: Snapshot, product: int, stores: Sequence[int]) -> list[float]:
    """What is forecast of a product a day, in the stores together; from the first day ahead."""
    rows = await lease.query(
        "SELECT sum(yhat) FROM forecasts.forecast WHERE source = 'forecast' AND product_id = ? "
        "AND list_contains(?::BIGINT[], store_id) GROUP BY date ORDER BY date",
        [product, list(stores)],
    )
    return [units for (units,) in rows]


def cover_of(stock: float, demand: Sequence[float]) -> tuple[float, bool]:
    """How many days a stock lasts at a demand a day, the last one in part; and whether it outlasts all of them.

    >>> cover_of(5, [2, 2, 2])
    (2.5, False)
    """
    days = 0.0
    for units in demand:
        if units > stock:
            return days + max(stock, 0) / units, False
        stock, days = stock - units, days + 1
    return days, True
