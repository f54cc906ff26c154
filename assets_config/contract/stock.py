"""The published tables of stock, and of plans."""

from datetime import date
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import ProductId, StoreId, column


class InventoryDaily(Struct, frozen=True):
    """Stock of a product in a store at the end of a day; days without a count have no row."""

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day of the count.")]
    on_hand: Annotated[int, column("Units in the store.", unit="units")]
    on_order: Annotated[int, column("Units ordered and not received.", unit="units")]
    is_stockout: Annotated[bool, column("Whether the product could not be bought on that day.")]


class DemandUnconstrained(Struct, frozen=True):
    """A day on which a product was out of stock: what was sold, and what would have been."""

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day of the stock-out.")]
    sold: Annotated[int, column("Units that were sold nevertheless.", unit="units")]
    unconstrained: Annotated[
        float, column("Mean of the last eight same weekdays in stock, from the past only; never below sold.", unit="units/day")
    ]


class WeeklyActual(Struct, frozen=True):
    """Units sold in a store in a week of a plan, as they were reported."""

    plan: Annotated[str, column("The plan's id, sent as forecast_id with the batch.")]
    store_id: StoreId
    week_number: Annotated[int, column("Week of the plan, from 1.")]
    units_sold: Annotated[int, column("Units sold in the week.", unit="units")]
