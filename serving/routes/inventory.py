"""How much stock was there, and how is more ordered?"""

from datetime import date
from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.catalogue import DimProcess
from assets_config.contract.columns import ProductId
from assets_config.contract.stock import InventoryDaily
from serving.filters import product_of, store_of
from serving.paging import Listed, Page, PageSize, page_from
from serving.reply import Metadata, check_range, metadata
from serving.snapshot import Snapshot


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


@get("/dimensions/products/{product:str}/supply", operation_id="get_supply", tags=["dimensions"])
async def get_supply(lease: NamedDependency[Snapshot], product: FromPath[str]) -> Supply:
    """How a product is ordered: lead time, smallest order, pack size, supplier and cost."""
    wanted = product_of(lease, product)
    sku = next(each.sku for each in lease.products if each.product_id == wanted)
    rows = await lease.rows("catalogue", "dim_process", "product_id = ?", [wanted])
    told = rows[0] if rows else dict.fromkeys(DimProcess.__struct_fields__)
    cost = None if told["unit_cost"] is None else float(told["unit_cost"])
    return Supply(**{**told, "product_id": wanted, "unit_cost": cost}, sku=sku, metadata=metadata(lease, "catalogue"))


@get("/inventory/{product:str}/history", operation_id="list_stock", tags=["inventory"])
async def list_stock(
    lease: NamedDependency[Snapshot],
    state: State,
    product: FromPath[str],
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: FromQuery[str | None] = None,
    start_date: Annotated[date | None, QueryParameter(description="First day, inclusive.")] = None,
    end_date: Annotated[date | None, QueryParameter(description="Last day, inclusive.")] = None,
    as_of: Annotated[date | None, QueryParameter(description="Only counts of this day and before.")] = None,
) -> Listed[InventoryDaily]:
    """Stock of a product (SKU, id or external id) a store and day, oldest first: on hand, on order, out of stock or not."""
    if start_date is not None and end_date is not None:
        check_range(start_date, end_date, state.settings.max_days)
    wanted = {
        "product_id = ?": product_of(lease, product),
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "date >= ?": start_date,
        "date <= ?": min((day for day in (end_date, as_of) if day), default=None),
    }
    order = "date, store_id"
    return await page_from(lease, "inventory_daily", InventoryDaily, wanted, order=order, page=page, page_size=page_size)
