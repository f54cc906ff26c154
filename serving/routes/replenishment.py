"""Which stock will run out or be left over, and what is to be ordered?"""

from typing import Annotated, Any, Literal

from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta

from assets_config.contract.inventory import ReplenishmentProposal, StockRisk, StockState
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Order, Page, PageSize, page_from
from serving.parameters import OfProduct, OfStore
from serving.snapshot import Snapshot

Code = Annotated[str, Meta(description="Business code of the store.")]
Sku = Annotated[str, Meta(description="Stock-keeping unit of the product.")]


class RiskSaid(StockRisk, frozen=True, kw_only=True):
    """What may become of the newest stock of one store and product."""

    code: Code
    sku: Sku


class ProposalSaid(ReplenishmentProposal, frozen=True, kw_only=True):
    """An order that is proposed."""

    code: Code
    sku: Sku


@table("/inventory/risks", operation_id="list_stock_risks", tags=["inventory"])
async def list_stock_risks(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    stock_state: Annotated[StockState | None, QueryParameter(description="Only stock in this state.")] = None,
    sort_by: Annotated[
        Literal["stockout_risk", "shortage_value", "overstock_value", "lost_value", "days_of_cover"],
        QueryParameter(description="Field to sort by; nulls last."),
    ] = "stockout_risk",
    sort_order: Order = "desc",
) -> Listed[RiskSaid]:
    """The chance that each stock runs out before an order could arrive, what will be left over, and what was lost, in money.

    Sort by shortage_value or overstock_value for what costs most. /inventory/replenishment says what is to be ordered.
    """
    wanted = {**_series(lease, store_id, product_id), "state = ?": stock_state}
    order = f"{sort_by} {sort_order.upper()} NULLS LAST, store_id, product_id"
    return await page_from(lease, "stock_risk", _named(lease, RiskSaid), wanted, order=order, page=page, page_size=page_size)


@table("/inventory/replenishment", operation_id="list_replenishment_proposals", tags=["inventory"])
async def list_replenishment_proposals(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    sort_by: Annotated[
        Literal["stockout_risk", "quantity", "cost", "store_id"], QueryParameter(description="Field to sort by; nulls last.")
    ] = "stockout_risk",
    sort_order: Order = "desc",
) -> Listed[ProposalSaid]:
    """What is to be ordered now, how much of it in whole packs, and why. Nothing is ordered by asking.

    /inventory/{product} has the policy behind it, /dimensions/products/{product}/supply the lead time and packs.
    """
    order = f"{sort_by} {sort_order.upper()} NULLS LAST, store_id, product_id"
    say, wanted = _named(lease, ProposalSaid), _series(lease, store_id, product_id)
    return await page_from(lease, "replenishment_proposal", say, wanted, order=order, page=page, page_size=page_size)


def _series(lease: Snapshot, store: str | None, product: str | None) -> dict[str, Any]:
    return {
        "store_id = ?": store_of(lease, store) if store else None,
        "product_id = ?": product_of(lease, product) if product else None,
    }


def _named(lease: Snapshot, shape: Any) -> Any:
    """A row as the Struct `shape`, with the names of its store and product."""
    codes, skus = lease.labels["store"], lease.labels["product"]
    return lambda **row: shape(**row, code=codes[row["store_id"]], sku=skus[row["product_id"]])
