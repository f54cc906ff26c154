"""The published tables of inventory planning."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, ProductId, StoreId, column

PolicyMethod = Literal["normal", "empirical", "history"]
StockState = Literal["stocked_out", "below_safety", "below_reorder_point", "overstocked", "healthy"]

LeadTime = Annotated[int, column("From order to receipt.", unit="days")]
Position = Annotated[int, column("On hand and on order.", unit="units")]


class InventoryPolicy(Struct, frozen=True):
    """When and up to what a store orders a product."""

    store_id: StoreId
    product_id: ProductId
    service_level: Annotated[float, column("Share of order cycles that shall end without a stock-out.", unit="ratio")]
    lead_time_days: LeadTime
    lead_time_sd: Annotated[float, column("Standard deviation of the lead time.", unit="days")]
    review_days: Annotated[int, column("Days between two looks at the stock; 0: every sale is looked at.", unit="days")]
    mean_demand: Annotated[float, column("What is forecast, on average over the lead time.", unit="units/day")]
    lead_time_demand: Annotated[float, column("What is forecast over the lead time.", unit="units")]
    lead_time_sigma: Annotated[
        float,
        column("Standard deviation of demand around it, over lead time and review, with that of the lead time.", unit="units"),
    ]
    method: Annotated[
        PolicyMethod,
        column("normal: errors of the backtests; empirical: their quantile, for sparse demand; history: too few, past demand."),
    ]
    safety_stock: Annotated[float, column("Stock against surprises.", unit="units")]
    reorder_point: Annotated[float, column("At this position or below more is ordered.", unit="units")]
    order_up_to: Annotated[float, column("The position that an order brings the stock to.", unit="units")]
    max_stock: Annotated[float, column("The position that no order passes by more than a pack.", unit="units")]
    moq: Annotated[int, column("Smallest order.", unit="units")]
    pack_size: Annotated[int, column("Units of a pack; orders are whole packs.", unit="units")]
    fill_rate: Annotated[float, column("Share of demand that is served from the shelf under this policy.", unit="ratio")]
    as_of: Annotated[date, column("Last day of sales that was known.")]


class StockRisk(Struct, frozen=True):
    """What may become of the newest stock: it runs out, or too much of it is left."""

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day of the count.")]
    on_hand: Annotated[int, column("Units in the store.", unit="units")]
    position: Position
    state: Annotated[StockState, column("Where the stock stands in the policy of its series.")]
    days_of_cover: Annotated[
        float | None, column("Days that the stock on hand lasts at what is forecast; null: see beyond_horizon.", unit="days")
    ]
    beyond_horizon: Annotated[bool, column("Whether it outlasts the last forecast day.")]
    stockout_risk: Annotated[float, column("Chance that demand over the lead time passes the position.", unit="ratio")]
    shortage_units: Annotated[float, column("Units expected to be missed over the lead time.", unit="units")]
    shortage_value: Annotated[float | None, column("Their value at the newest price; null without a price.", unit="money")]
    overstock_units: Annotated[float, column("On hand above the demand that 90 % of forecast periods stay below.", unit="units")]
    overstock_value: Annotated[float | None, column("Their value at purchase cost; null without a cost.", unit="money")]
    lost_units: Annotated[float, column("Sales lost to empty shelves on the last days of history.", unit="units")]
    lost_value: Annotated[float | None, column("Their value at the newest price; null without a price.", unit="money")]
    as_of: Annotated[CalendarDay, column("Last day of sales that was known.")]


class ReplenishmentProposal(Struct, frozen=True):
    """An order that the policy asks for now."""

    store_id: StoreId
    product_id: ProductId
    position: Position
    reorder_point: Annotated[float, column("The position at which more is ordered.", unit="units")]
    order_up_to: Annotated[float, column("The position that the order is for.", unit="units")]
    quantity: Annotated[int, column("Units to order: whole packs.", unit="units")]
    packs: Annotated[int, column("Packs to order.", unit="packs")]
    cost: Annotated[float | None, column("Quantity at purchase cost; null without a cost.", unit="money")]
    stockout_risk: Annotated[float, column("Chance that demand over the lead time passes the position.", unit="ratio")]
    expected_on: Annotated[date, column("Day of receipt, ordered on the day after as_of.")]
    why: Annotated[str, column("Why it is ordered now.")]
    limits: Annotated[str, column("What made the quantity so: last_order, moq, pack, max_stock, joined by commas; empty: nothing.")]
    as_of: Annotated[date, column("Last day of sales that was known.")]
