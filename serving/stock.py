"""The newest count of each store and product, and how many days it lasts at what is forecast."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from serving.snapshot import Snapshot

OLD_AFTER = timedelta(days=7)
NO_POLICY = "no inventory policy is published"
NOT_COUNTED = "nothing was counted"
NO_POLICY_HERE = "there is no policy for it: nothing is forecast of it"
OLD_POLICY = "policies are of the last day of sales, as_of lies before"
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

COLUMNS = (
    *("store_id", "product_id", "date", "on_hand", "on_order", "is_stockout", "days", "outlasts"),
    *("reorder_point", "safety_stock"),
)
BELOW = {"rop": "on_hand + on_order <= reorder_point", "safety": "on_hand < safety_stock"}


async def newest_counts(
    lease: Snapshot,
    *,
    store: int | None = None,
    product: int | None = None,
    as_of: date | None = None,
    is_stockout: bool | None = None,
    below: str | None = None,
    order: str = "store_id",
    is_descending: bool = False,
    page: int = 1,
    page_size: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """The rows COLUMNS of one page, and how many there are on all pages. `below` is a key of BELOW.

    `days` is null where nothing is forecast, where the count is old, or where `as_of` lies before the last day of sales.
    """
    if "stock" not in lease.manifest.parts or (below and not is_policy_known(lease, as_of)):
        return [], 0
    values: list[Any] = [store, store, product, product, as_of, as_of]
    sql, joined, cover = COUNTED, "", "NULL::DOUBLE AS days, NULL::BOOLEAN AS outlasts"
    if is_cover_known(lease, as_of):
        sql, joined, cover = COUNTED + AHEAD, " LEFT JOIN covered USING (store_id, product_id)", "days, outlasts"
        values.append(lease.manifest.as_of - OLD_AFTER)
    planned, policy = "", "NULL::DOUBLE AS reorder_point, NULL::DOUBLE AS safety_stock"
    if is_policy_known(lease, as_of):
        planned, policy = " LEFT JOIN inventory.inventory_policy USING (store_id, product_id)", "reorder_point, safety_stock"
    where = f"(?::BOOLEAN IS NULL OR is_stockout = ?){f' AND {BELOW[below]}' if below else ''}"
    direction = "DESC" if is_descending else "ASC"
    by = ", ".join(f"{name} {direction} NULLS LAST" for name in ORDERS[order].split(", "))
    found = await lease.query(
        f"{sql} SELECT store_id, product_id, date, on_hand, on_order, is_stockout, {cover}, {policy}, count(*) OVER () "  # noqa: S608
        f"FROM counted{joined}{planned} WHERE {where} ORDER BY {by}, store_id, product_id LIMIT ? OFFSET ?",
        [*values, is_stockout, is_stockout, page_size, (page - 1) * (page_size or 0)],
    )
    total = found[0][-1] if found else 0
    if not found and page > 1:
        counted = f"{COUNTED} SELECT count(*) FROM counted{planned} WHERE {where}"  # noqa: S608 - ours
        [(total,)] = await lease.query(counted, [*values[:6], is_stockout, is_stockout])
    return [dict(zip(COLUMNS, row[:-1], strict=True)) for row in found], int(total)


def is_policy_known(lease: Snapshot, as_of: date | None) -> bool:
    """Whether a policy is published, and the question is about now."""
    return lease.has("inventory", "inventory_policy") and (as_of is None or as_of >= lease.manifest.as_of)


def why_no_policy(lease: Snapshot, as_of: date | None, reorder_point: float | None) -> str | None:
    """The reason of a null in the policy; None where it is known."""
    if reorder_point is not None:
        return None
    if is_policy_known(lease, as_of):
        return NO_POLICY_HERE
    return OLD_POLICY if is_policy_known(lease, None) else NO_POLICY


def is_cover_known(lease: Snapshot, as_of: date | None) -> bool:
    """Whether stock can be walked down: something is forecast, and the question is about now."""
    return "forecasts" in lease.manifest.parts and (as_of is None or as_of >= lease.manifest.as_of)


def why_no_cover(lease: Snapshot, as_of: date | None, days: float | None, counted: date | None) -> str | None:
    """The reason of a null in days of cover; None where it is known."""
    if days is not None:
        return None
    if counted is None:
        return NOT_COUNTED
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
