"""The kinds of data that may be brought in: one Struct a kind, its fields in column order.

The Structs are the only definition: `GET /ingest/kinds` tells columns, types, bounds and an example from them, and the
pipeline makes from them the SQL that types and checks each row.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated

from msgspec import Struct

from assets_config.contract.cells import MOST, day, flag, number, text

Day = date  # for Structs with a field called date
STORE_NAMES = ("store", "store_id", "branch")
PRODUCT_NAMES = ("product", "product_id", "item_id", "item")
StoreCode = Annotated[
    str, text("What the source calls the store: its code, or an external id.", "S001", most=50, aliases=STORE_NAMES)
]
Sku = Annotated[
    str, text("What the source calls the product: its SKU, or an external id.", "SKU-0001", most=50, aliases=PRODUCT_NAMES)
]
AnyStore = Annotated[str | None, text("Store that this holds for; empty: every store.", "S001", most=50, aliases=STORE_NAMES)]
Since = Annotated[date | None, day("First day that these attributes hold; the day of receipt where it is empty.", "2024-06-01")]


class SalesDaily(Struct, frozen=True):
    """What was sold of a product in a store on a day. One of unit_price and total_amount must be there."""

    date: Annotated[date, day("Day of the sale.", "2024-06-01")]
    store_code: StoreCode
    sku: Sku
    quantity: Annotated[int, number("Units sold.", 3)]
    unit_price: Annotated[Decimal | None, number("Price of a unit.", 2.49, scale=4)] = None
    total_amount: Annotated[Decimal | None, number("What was taken for all units.", 7.47, scale=2)] = None


class HistoricalSales(Struct, frozen=True):
    """Sales a category, store and day. The category becomes a product of its own name, so that it can be planned."""

    date: Annotated[date, day("Day of the sale.", "2023-11-24")]
    category: Annotated[str, text("Category; each one that occurs is found by itself.", "Dresses", most=50)]
    store_id: Annotated[str, text("Code of the store.", "S001", most=50, aliases=("store_code", "store"))]
    quantity_sold: Annotated[int, number("Units sold.", 42)]
    revenue: Annotated[Decimal, number("What was taken for all units.", 2099.58, scale=2)]


class WeeklySales(Struct, frozen=True):
    """Units sold in a store in a week of a plan; the batch names the plan as forecast_id."""

    store_id: Annotated[str, text("Code of the store.", "S001", most=50, aliases=("store_code", "store"))]
    week_number: Annotated[int, number("Week of the plan, from 1.", 4, least=1, most=53)]
    units_sold: Annotated[int, number("Units sold in the week.", 120)]


class Returns(Struct, frozen=True):
    """What customers brought back on a day."""

    date: Annotated[date, day("Day of the return.", "2024-06-03")]
    store_code: StoreCode
    sku: Sku
    quantity: Annotated[int, number("Units brought back, as a positive number.", 1)]
    total_amount: Annotated[Decimal | None, number("What was paid back, as a positive number.", 2.49, scale=2)] = None
    reason: Annotated[str | None, text("Why.", "damaged", most=100)] = None


class Stores(Struct, frozen=True):
    """One row a store. A column that is empty or missing leaves what is known."""

    code: Annotated[str, text("Business code, unique.", "S001", most=50, aliases=("store_code", "store", "store_id"))]
    name: Annotated[str | None, text("Name for people.", "Ashford market")] = None
    region: Annotated[str | None, text("Sales region or state.", "North")] = None
    city: Annotated[str | None, text("City.", "Ashford")] = None
    store_type: Annotated[str | None, text("Format.", "supermarket")] = None
    external_id: Annotated[
        str | None, text("What sales of this source call the store, where not by its code.", "1042", aliases=("key",))
    ] = None
    size_sqft: Annotated[int | None, number("Sales floor in square feet.", 12000, most=10**7)] = None
    location_tier: Annotated[str | None, text("Tier of the location, A best.", "A", most=20)] = None
    median_income: Annotated[int | None, number("Median household income around the store.", 65000, most=10**9)] = None
    opened_on: Annotated[date | None, day("First day of trade.", "2015-03-02")] = None
    closed_on: Annotated[date | None, day("Last day of trade.", "2026-01-31")] = None
    valid_from: Since = None


class Products(Struct, frozen=True):
    """One row a product. A column that is empty or missing leaves what is known."""

    sku: Annotated[str, text("Stock-keeping unit, unique.", "SKU-0001", most=50, aliases=PRODUCT_NAMES)]
    name: Annotated[str | None, text("Name for people.", "Rye bread 750 g")] = None
    category: Annotated[str | None, text("Category, the upper level.", "Bakery", most=100)] = None
    department: Annotated[str | None, text("Department, between category and product.", "Bread", most=100)] = None
    brand: Annotated[str | None, text("Brand.", "Alder", most=100)] = None
    base_price: Annotated[Decimal | None, number("List price of a unit.", 2.99, scale=2)] = None
    base_cost: Annotated[Decimal | None, number("Purchase cost of a unit.", 1.2, scale=2)] = None
    external_id: Annotated[
        str | None, text("What sales of this source call the product, where not by its SKU.", "5000112637922", aliases=("key",))
    ] = None
    launched_on: Annotated[date | None, day("First day on sale.", "2024-02-01")] = None
    discontinued_on: Annotated[date | None, day("Last day on sale.", "2025-12-31")] = None
    valid_from: Since = None


class Prices(Struct, frozen=True):
    """A price over an interval of days."""

    sku: Sku
    price: Annotated[Decimal, number("Price of a unit.", 2.79, scale=2)]
    valid_from: Annotated[date, day("First day.", "2024-06-01")]
    valid_to: Annotated[date | None, day("Last day, inclusive; empty: until the next price.", "2024-06-30")] = None
    store_code: AnyStore = None


class Promotions(Struct, frozen=True):
    """A promotion over an interval of days."""

    sku: Sku
    name: Annotated[str, text("Name of the promotion.", "Summer deal")]
    start_date: Annotated[date, day("First day.", "2024-06-01")]
    end_date: Annotated[date, day("Last day, inclusive.", "2024-06-14")]
    discount_pct: Annotated[Decimal | None, number("Share of the price that is cut, 0 to 1.", 0.2, most=1, scale=4)] = None
    discount_amount: Annotated[Decimal | None, number("Amount cut off the price of a unit.", 0.5, scale=2)] = None
    store_code: AnyStore = None


class Holidays(Struct, frozen=True):
    """A holiday or event."""

    date: Annotated[date, day("Day.", "2024-12-25")]
    holiday_name: Annotated[str, text("Name; several of one day are joined.", "Christmas Day", most=100, aliases=("name", "event"))]


class Inventory(Struct, frozen=True):
    """Stock at the end of a day. Without is_stockout, a stock of 0 is a stock-out."""

    date: Annotated[date, day("Day of the count.", "2024-06-01")]
    store_code: StoreCode
    sku: Sku
    on_hand: Annotated[int, number("Units in the store.", 42)]
    on_order: Annotated[int | None, number("Units ordered and not received.", 100)] = None
    is_stockout: Annotated[bool | None, flag("Whether the product could not be bought on that day.", False)] = None


class Receipts(Struct, frozen=True):
    """Goods received in a store."""

    date: Annotated[date, day("Day of receipt.", "2024-06-05")]
    store_code: StoreCode
    sku: Sku
    quantity: Annotated[int, number("Units received.", 240)]
    order_id: Annotated[str | None, text("Order that they came with.", "PO-10077", most=50)] = None
    ordered_on: Annotated[Day | None, day("Day of the order; receipt minus order is the lead time.", "2024-05-29")] = None


class ErpItems(Struct, frozen=True):
    """An item as an ERP system exports it: attributes of the product, and how it is supplied."""

    item_code: Annotated[str, text("The item's number: our SKU, or an external id.", "SKU-0001", most=50, aliases=PRODUCT_NAMES)]
    description: Annotated[str | None, text("Name of the item.", "Rye bread 750 g")] = None
    item_group: Annotated[str | None, text("Group; becomes the category.", "Bakery", most=100)] = None
    supplier: Annotated[str | None, text("Supplier.", "Mill & Sons", most=100)] = None
    process: Annotated[str | None, text("How the item is made or bought.", "purchase", most=100)] = None
    lead_time_days: Annotated[int | None, number("Days from order to receipt.", 7, most=730)] = None
    moq: Annotated[int | None, number("Smallest order.", 24, least=1, most=10**9)] = None
    pack_size: Annotated[int | None, number("Units of a pack; orders are whole packs.", 12, least=1, most=10**9)] = None
    unit_cost: Annotated[Decimal | None, number("Purchase cost of a unit.", 1.2, scale=2)] = None
    list_price: Annotated[Decimal | None, number("List price of a unit.", 2.99, scale=2)] = None


class ExternalIds(Struct, frozen=True):
    """Crosswalk: what another system calls a store or product, and our code for it."""

    entity: Annotated[str, text("`store` or `product`.", "product", most=10)]
    external_id: Annotated[str, text("Id in the other system.", "5000112637922", most=50)]
    code: Annotated[str, text("Our store code or SKU.", "SKU-0001", most=50)]


class Lifecycle(Struct, frozen=True):
    """When a product is on sale, in one store or in all. Days outside are no zero demand."""

    sku: Sku
    launched_on: Annotated[date, day("First day on sale.", "2024-03-01")]
    discontinued_on: Annotated[date | None, day("Last day on sale.", "2024-12-31")] = None
    store_code: AnyStore = None


class Exogenous(Struct, frozen=True):
    """A daily series from outside, such as a temperature, for one store or for all."""

    date: Annotated[date, day("Day.", "2024-06-01")]
    name: Annotated[str, text("Name of the series.", "temperature", most=50)]
    value: Annotated[float, number("Value of the day.", 21.5, least=-MOST)]
    store_code: AnyStore = None


class Kind(Struct, frozen=True):
    """One kind: what a row is, and what makes two rows speak of the same thing."""

    rows: type[Struct]
    grain: tuple[str, ...]
    by_month: str | None = None  # the date that bulk kinds are kept by, month by month
    parameters: tuple[str, ...] = ()  # what a batch of it must say beside its rows

    @property
    def about(self) -> str:
        return (self.rows.__doc__ or "").strip()


KINDS: dict[str, Kind] = {
    "sales-daily": Kind(SalesDaily, ("store_code", "sku", "date"), by_month="date"),
    "historical-sales": Kind(HistoricalSales, ("store_id", "category", "date"), by_month="date"),
    "weekly-sales": Kind(WeeklySales, ("store_id", "week_number"), parameters=("forecast_id",)),
    "returns": Kind(Returns, ("store_code", "sku", "date", "reason"), by_month="date"),
    "stores": Kind(Stores, ("code", "valid_from")),
    "products": Kind(Products, ("sku", "valid_from")),
    "prices": Kind(Prices, ("sku", "store_code", "valid_from")),
    "promotions": Kind(Promotions, ("sku", "store_code", "name", "start_date")),
    "holidays": Kind(Holidays, ("date", "holiday_name")),
    "inventory": Kind(Inventory, ("store_code", "sku", "date"), by_month="date"),
    "receipts": Kind(Receipts, ("store_code", "sku", "date", "order_id"), by_month="date"),
    "erp-items": Kind(ErpItems, ("item_code",)),
    "external-ids": Kind(ExternalIds, ("entity", "external_id")),
    "lifecycle": Kind(Lifecycle, ("sku", "store_code")),
    "exogenous": Kind(Exogenous, ("date", "name", "store_code"), by_month="date"),
}
"""Every kind by name: the path segment of `POST /ingest/{kind}`, and the folder in the inbox."""
