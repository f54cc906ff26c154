"""How much stock was there, and how is more ordered?"""

from datetime import date
from typing import Annotated, Any, Literal

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.catalogue import DimProcess
from assets_config.contract.columns import ProductId, StoreId
from assets_config.contract.stock import InventoryDaily
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Order, Page, PageSize, page_from
from serving.parameters import FromDay, OfProduct, OfStore, ProductPath, ToDay
from serving.reply import Metadata, check_span, metadata, rounded
from serving.snapshot import Snapshot
from serving.stock import cover_of, demand_ahead, newest_counts, why_no_cover, why_no_policy

AsOfDay = Annotated[date | None, QueryParameter(description="Only counts of this day and before.")]


class Supply(Struct, frozen=True):
    """How a product is supplied; null where the ERP extract does not say."""

    product_id: ProductId
    sku: str
    supplier: str | None
    process: Annotated[str | None, Meta(description="How it is made or bought.")]
    lead_time_days: Annotated[int | None, Meta(description="From order to receipt. [days]")]
    moq: Annotated[int | None, Meta(description="Smallest order. [units]")]
    pack_size: Annotated[int | None, Meta(description="Units of a pack; orders are whole packs. [units]")]
    unit_cost: Annotated[float | None, Meta(description="Purchase cost. [money/unit]")]
    metadata: Metadata


class StoreStock(Struct, frozen=True):
    """The newest count of a product in one store."""

    store_id: StoreId
    code: Annotated[str, Meta(description="Business code of the store.")]
    date: Annotated[date, Meta(description="Day of the count.")]
    on_hand: Annotated[int, Meta(description="Units in the store. [units]")]
    on_order: Annotated[int, Meta(description="Units ordered and not received. [units]")]
    is_stockout: Annotated[bool, Meta(description="Whether the product could not be bought on that day.")]
    days_of_cover: Annotated[
        float | None, Meta(description="Days ahead that the count lasts at what is forecast; null: see reason. [days]")
    ]
    outlasts: Annotated[bool | None, Meta(description="Whether it lasts beyond the last forecast day: it may last longer then.")]
    reason: Annotated[str | None, Meta(description="Why days_of_cover is null.")]
    reorder_point: Annotated[float | None, Meta(description="Stock on hand and on order at which more is ordered. [units]")]
    safety_stock: Annotated[float | None, Meta(description="Stock against surprises. [units]")]
    policy_reason: Annotated[str | None, Meta(description="Why reorder_point and safety_stock are null.")]


class StockStatus(StoreStock, frozen=True):
    """The newest count of one store and product."""

    product_id: ProductId
    sku: Annotated[str, Meta(description="Stock-keeping unit of the product.")]


class ItemStock(Struct, frozen=True):
    """The newest stock of a product, in all stores together and in each."""

    item_id: ProductId
    sku: Annotated[str, Meta(description="Stock-keeping unit of the product.")]
    current_stock: Annotated[int | None, Meta(description="Sum of the newest counts; null where nothing was counted. [units]")]
    on_order: Annotated[int | None, Meta(description="Units ordered and not received; null where nothing was counted. [units]")]
    reorder_point: Annotated[float | None, Meta(description="Stock at which more is ordered; null: see policy_reason. [units]")]
    safety_stock: Annotated[float | None, Meta(description="Stock against surprises; null: see policy_reason. [units]")]
    policy_reason: Annotated[str | None, Meta(description="Why reorder_point and safety_stock are null.")]
    days_of_cover: Annotated[
        float | None, Meta(description="Days ahead that the sum lasts at what is forecast of the sum; null: see reason. [days]")
    ]
    outlasts: Annotated[bool | None, Meta(description="Whether it lasts beyond the last forecast day: it may last longer then.")]
    reason: Annotated[str | None, Meta(description="Why days_of_cover is null.")]
    last_updated: Annotated[date | None, Meta(description="Day of the newest count; null where nothing was counted.")]
    stores: Annotated[list[StoreStock], Meta(description="The newest count of each store, by store_id.")]
    metadata: Annotated[Metadata, Meta(description="Where this was read from.")]


@table("/analytics/inventory-status", operation_id="list_stock_status", tags=["inventory"])
async def list_stock_status(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    is_stockout: Annotated[bool | None, QueryParameter(description="Only what is out of stock, or only what is not.")] = None,
    below: Annotated[
        Literal["rop", "safety"] | None,
        QueryParameter(description="rop: position at the reorder point or below; safety: on hand below the safety stock."),
    ] = None,
    as_of: AsOfDay = None,
    sort_by: Annotated[
        Literal["store_id", "product_id", "on_hand", "days_of_cover"], QueryParameter(description="Field to sort by; nulls last.")
    ] = "store_id",
    sort_order: Order = "asc",
) -> Listed[StockStatus]:
    """The newest count of each store and product, and for how many days ahead it lasts at what is forecast.

    Sort by days_of_cover to see what runs out first; /inventory/replenishment says how much is to be ordered.
    /inventory/{product}/history has the counts before.
    """
    rows, total = await newest_counts(
        lease,
        store=store_of(lease, store_id) if store_id else None,
        product=product_of(lease, product_id) if product_id else None,
        as_of=as_of,
        is_stockout=is_stockout,
        below=below,
        order=sort_by,
        is_descending=sort_order == "desc",
        page=page,
        page_size=page_size,
    )
    skus = {each.product_id: each.sku for each in lease.products}
    items = [StockStatus(**_stock(lease, row, as_of), product_id=row["product_id"], sku=skus[row["product_id"]]) for row in rows]
    return Listed(items, page, page_size, total, metadata(lease, "stock"))


@get("/inventory/{product:str}", operation_id="get_stock", tags=["inventory"])
async def get_stock(
    lease: NamedDependency[Snapshot], product: ProductPath, store_id: OfStore = None, as_of: AsOfDay = None
) -> ItemStock:
    """How much of a product there is now, in all stores or one, for how many days ahead it lasts, and when more is ordered.

    reorder_point and safety_stock are the sums of those of the stores; each store orders by its own.
    """
    wanted = product_of(lease, product)
    rows, _ = await newest_counts(
        lease, store=store_of(lease, store_id) if store_id else None, product=wanted, as_of=as_of, page_size=len(lease.stores)
    )
    sku = next(each.sku for each in lease.products if each.product_id == wanted)
    stores = [StoreStock(**_stock(lease, row, as_of)) for row in rows]
    oldest = min((each.date for each in stores), default=None)
    stock = sum(each.on_hand for each in stores)
    days, outlasts = None, None
    if stores and all(each.days_of_cover is not None for each in stores):
        days, outlasts = cover_of(stock, await demand_ahead(lease, wanted, [each.store_id for each in stores]))
        days = round(days, 6)
    return ItemStock(
        item_id=wanted,
        sku=sku,
        current_stock=stock if stores else None,
        on_order=sum(each.on_order for each in stores) if stores else None,
        reorder_point=_sum([each.reorder_point for each in stores]),
        safety_stock=_sum([each.safety_stock for each in stores]),
        policy_reason=next((each.policy_reason for each in stores if each.policy_reason), None)
        if stores
        else "nothing was counted",
        days_of_cover=days,
        outlasts=outlasts,
        reason=why_no_cover(lease, as_of, days, oldest),
        last_updated=max((each.date for each in stores), default=None),
        stores=stores,
        metadata=metadata(lease, "stock"),
    )


def _stock(lease: Snapshot, row: dict[str, Any], as_of: date | None) -> dict[str, Any]:
    """The fields of StoreStock."""
    said = {name: row[name] for name in ("store_id", "date", "on_hand", "on_order", "is_stockout", "outlasts")}
    days = rounded(row["days"])
    code = next(each.code for each in lease.stores if each.store_id == row["store_id"])
    planned = {name: rounded(row[name]) for name in ("reorder_point", "safety_stock")}
    said |= planned | {"policy_reason": why_no_policy(lease, as_of, row["reorder_point"])}
    return {**said, "code": code, "days_of_cover": days, "reason": why_no_cover(lease, as_of, days, row["date"])}


def _sum(values: list[float | None]) -> float | None:
    """None where one of them is not known, or there are none."""
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if known and len(known) == len(values) else None


@get("/dimensions/products/{product:str}/supply", operation_id="get_supply", tags=["dimensions"])
async def get_supply(lease: NamedDependency[Snapshot], product: ProductPath) -> Supply:
    """How a product is ordered: lead time, smallest order, pack size, supplier and cost."""
    wanted = product_of(lease, product)
    sku = next(each.sku for each in lease.products if each.product_id == wanted)
    rows = await lease.rows("catalogue", "dim_process", "product_id = ?", [wanted])
    told = rows[0] if rows else dict.fromkeys(DimProcess.__struct_fields__)
    cost = None if told["unit_cost"] is None else float(told["unit_cost"])
    return Supply(**{**told, "product_id": wanted, "unit_cost": cost}, sku=sku, metadata=metadata(lease, "catalogue"))


@table("/inventory/{product:str}/history", operation_id="list_stock", tags=["inventory"])
async def list_stock(
    lease: NamedDependency[Snapshot],
    state: State,
    product: ProductPath,
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    start_date: FromDay = None,
    end_date: ToDay = None,
    as_of: AsOfDay = None,
) -> Listed[InventoryDaily]:
    """Stock of a product (SKU, id or external id) a store and day, oldest first: on hand, on order, out of stock or not."""
    check_span(start_date, end_date, state.settings.max_days)
    wanted = {
        "product_id = ?": product_of(lease, product),
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "date >= ?": start_date,
        "date <= ?": min((day for day in (end_date, as_of) if day), default=None),
    }
    order = "date, store_id"
    return await page_from(lease, "inventory_daily", InventoryDaily, wanted, order=order, page=page, page_size=page_size)
