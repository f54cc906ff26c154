"""The published tables of stores, products, their prices and the calendar."""

from datetime import date
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, Entity, Money, ProductId, StoreId, column


class DimStore(Struct, frozen=True):
    """One row a store."""

    store_id: StoreId
    code: Annotated[str, column("Business code of the store, unique, for example S001.")]
    name: Annotated[str, column("Name for people; the code where the source has none.")]
    region: Annotated[str | None, column("Sales region or state.")]
    city: Annotated[str | None, column("City.")]
    store_type: Annotated[str | None, column("Format of the store, for example supermarket.")]
    size_sqft: Annotated[int | None, column("Sales floor.", unit="square feet")]
    location_tier: Annotated[str | None, column("Tier of the location, A best.")]
    median_income: Annotated[int | None, column("Median household income around the store.", unit="money/year")]
    opened_on: Annotated[date | None, column("First day of trade.")]
    closed_on: Annotated[date | None, column("Last day of trade.")]


class DimProduct(Struct, frozen=True):
    """One row a product."""

    product_id: ProductId
    sku: Annotated[str, column("Stock-keeping unit, unique.")]
    name: Annotated[str, column("Name for people; the SKU where the source has none.")]
    category: Annotated[str | None, column("Category, the upper level of the product hierarchy.")]
    department: Annotated[str | None, column("Department, between category and product.")]
    brand: Annotated[str | None, column("Brand.")]
    base_price: Annotated[Money | None, column("List price.", unit="money/unit")]
    base_cost: Annotated[Money | None, column("Purchase cost.", unit="money/unit")]
    launched_on: Annotated[date | None, column("First day on sale.")]
    discontinued_on: Annotated[date | None, column("Last day on sale.")]


class HistStore(DimStore, frozen=True):
    """One row a version of a store's attributes; the versions of a store follow each other without a gap."""

    valid_from: Annotated[date | None, column("First day that these attributes held; null: since ever.")]
    valid_to: Annotated[date | None, column("Last day that they held; null: they hold now.")]


class HistProduct(DimProduct, frozen=True):
    """One row a version of a product's attributes; the versions of a product follow each other without a gap."""

    valid_from: Annotated[date | None, column("First day that these attributes held; null: since ever.")]
    valid_to: Annotated[date | None, column("Last day that they held; null: they hold now.")]


class DimCategory(Struct, frozen=True):
    """One row a category that occurs in the data."""

    category_id: Annotated[int, column("Surrogate key of the category, stable within a data root.")]
    category: Annotated[str, column("Name of the category.")]
    products: Annotated[int, column("Products of the category.")]
    first_seen: Annotated[CalendarDay | None, column("First day of sales in the category; null where it never sold.")]
    row_count: Annotated[int, column("Store-product-day records of the category.", unit="records")]


class DimProcess(Struct, frozen=True):
    """How a product is supplied: one row a product that the ERP extract knows."""

    product_id: ProductId
    supplier: Annotated[str | None, column("Supplier.")]
    process: Annotated[str | None, column("How the product is made or bought.")]
    lead_time_days: Annotated[int | None, column("From order to receipt.", unit="days")]
    moq: Annotated[int | None, column("Smallest order.", unit="units")]
    pack_size: Annotated[int | None, column("Units of a pack; orders are whole packs.", unit="units")]
    unit_cost: Annotated[Money | None, column("Purchase cost.", unit="money/unit")]


class IdMap(Struct, frozen=True):
    """Crosswalk: what a source calls a store or product, and which of ours that is."""

    source: Annotated[str, column("Entry of sources.yaml that uses the id; `api` for posted batches, `*` for every source.")]
    entity: Annotated[Entity, column("Whether it is a store or a product.")]
    external_id: Annotated[str, column("Id that the source uses.")]
    code: Annotated[str, column("Our store code or SKU.")]
    internal_id: Annotated[int | None, column("Our store_id or product_id; null where no store or product has that code.")]


class PriceHistory(Struct, frozen=True):
    """A price over an interval of days; intervals of one product and store do not overlap."""

    product_id: ProductId
    store_id: Annotated[int | None, column("Store; null: every store without a price of its own.")]
    price: Annotated[Money, column("Price.", unit="money/unit")]
    valid_from: Annotated[date, column("First day.")]
    valid_to: Annotated[date | None, column("Last day, inclusive; null: it holds now.")]


class Promotion(Struct, frozen=True):
    """A promotion over an interval of days."""

    product_id: ProductId
    store_id: Annotated[int | None, column("Store; null: every store.")]
    name: Annotated[str, column("Name of the promotion.")]
    discount_pct: Annotated[float | None, column("Share of the price that is cut.", unit="ratio")]
    discount_amount: Annotated[Money | None, column("Amount cut off the price.", unit="money/unit")]
    start_date: Annotated[date, column("First day.")]
    end_date: Annotated[date, column("Last day, inclusive.")]


class DimCalendar(Struct, frozen=True):
    """One row a day, from the first day of sales to 90 days after the last."""

    date: Annotated[date, column("Calendar day.")]
    day_of_week: Annotated[int, column("0 is Monday, 6 is Sunday.")]
    month: Annotated[int, column("1 to 12.")]
    quarter: Annotated[int, column("1 to 4.")]
    year: Annotated[int, column("Calendar year.")]
    is_holiday: Annotated[bool, column("Whether the source's calendar names a holiday or event.")]
    holiday_name: Annotated[str | None, column("Name of the holiday or event.")]
