"""Which day is it, what does a product cost then, and is it promoted?"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.columns import ProductId
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, Search, page_from
from serving.parameters import FromDay, OfProduct, ToDay
from serving.reply import check_span, metadata
from serving.snapshot import Snapshot

OfStoreOrAll = Annotated[
    str | None,
    QueryParameter(description="What holds in this store, that of every store too. Code, id or external id."),
]


class CalendarDaySaid(Struct, frozen=True):
    """One day."""

    date: Annotated[date, Meta(description="The day.")]
    day_of_week: Annotated[int, Meta(description="0 is Monday, 6 is Sunday.")]
    month: Annotated[int, Meta(description="1 to 12.")]
    quarter: Annotated[int, Meta(description="1 to 4.")]
    year: Annotated[int, Meta(description="Calendar year.")]
    is_holiday: Annotated[bool, Meta(description="Whether the source's calendar names a holiday or event.")]
    holiday_name: Annotated[str | None, Meta(description="Name of the holiday or event; null on other days.")]
    promotions: Annotated[int, Meta(description="Promotions that run on the day; see /dimensions/promotions.")]


class PriceSaid(Struct, frozen=True):
    """A price over an interval of days."""

    product_id: ProductId
    store_id: Annotated[int | None, Meta(description="Store; null: every store without a price of its own.")]
    price: Annotated[float, Meta(description="Price. [money/unit]")]
    valid_from: Annotated[date, Meta(description="First day.")]
    valid_to: Annotated[date | None, Meta(description="Last day, inclusive; null: it holds now.")]


class PromotionSaid(Struct, frozen=True):
    """A promotion over an interval of days."""

    product_id: ProductId
    store_id: Annotated[int | None, Meta(description="Store; null: every store.")]
    name: Annotated[str, Meta(description="Name of the promotion.")]
    discount_pct: Annotated[float | None, Meta(description="Part of the price that is cut; null where an amount is. [ratio]")]
    discount_amount: Annotated[float | None, Meta(description="Amount cut off the price; null where a part is. [money/unit]")]
    start_date: Annotated[date, Meta(description="First day.")]
    end_date: Annotated[date, Meta(description="Last day, inclusive.")]


@table("/dimensions/calendar", operation_id="list_calendar_days", tags=["dimensions"])
async def list_calendar_days(
    lease: NamedDependency[Snapshot],
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    start_date: FromDay = None,
    end_date: ToDay = None,
    is_holiday: Annotated[bool | None, QueryParameter(description="Only holidays and events, or only the other days.")] = None,
    search: Search = None,
) -> Listed[CalendarDaySaid]:
    """The days from the first of sales to 90 after the last, with holidays, events and how many promotions run."""
    check_span(start_date, end_date, state.settings.max_days)
    wanted = {
        "date >= ?": start_date,
        "date <= ?": end_date,
        "is_holiday = ?": is_holiday,
        "contains(lower(holiday_name), lower(?))": search,
    }
    found: Listed[dict[str, Any]] = await page_from(
        lease, "dim_calendar", dict, wanted, order="date", page=page, page_size=page_size
    )
    running = await _promotions_on(lease, [day["date"] for day in found.items])
    items = [CalendarDaySaid(**day, promotions=running.get(day["date"], 0)) for day in found.items]
    return Listed(items, page, page_size, found.total, metadata(lease, "catalogue"))


@table("/dimensions/prices", operation_id="list_prices", tags=["dimensions"])
async def list_prices(
    lease: NamedDependency[Snapshot],
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    product_id: OfProduct = None,
    store_id: OfStoreOrAll = None,
    start_date: FromDay = None,
    end_date: ToDay = None,
    as_of: Annotated[date | None, QueryParameter(description="Only prices that hold on this day.")] = None,
) -> Listed[PriceSaid]:
    """Prices over time by product and store, each an interval of days; planned ones reach past the last day of sales."""
    check_span(start_date, end_date, state.settings.max_days)
    wanted = {
        "product_id = ?": product_of(lease, product_id) if product_id else None,
        "coalesce(store_id = ?, true)": store_of(lease, store_id) if store_id else None,
        "coalesce(valid_to >= ?, true)": start_date,
        "valid_from <= ?": end_date,
        "? BETWEEN valid_from AND coalesce(valid_to, DATE '9999-12-31')": as_of,
    }
    order = "product_id, store_id NULLS FIRST, valid_from"
    return await page_from(lease, "price_history", _price, wanted, order=order, page=page, page_size=page_size)


@table("/dimensions/promotions", operation_id="list_promotions", tags=["dimensions"])
async def list_promotions(
    lease: NamedDependency[Snapshot],
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    product_id: OfProduct = None,
    store_id: OfStoreOrAll = None,
    start_date: FromDay = None,
    end_date: ToDay = None,
    search: Search = None,
) -> Listed[PromotionSaid]:
    """Promotions that run on a day of the range, past and planned, first started first."""
    check_span(start_date, end_date, state.settings.max_days)
    wanted = {
        "product_id = ?": product_of(lease, product_id) if product_id else None,
        "coalesce(store_id = ?, true)": store_of(lease, store_id) if store_id else None,
        "end_date >= ?": start_date,
        "start_date <= ?": end_date,
        "contains(lower(name), lower(?))": search,
    }
    order = "start_date, product_id, store_id NULLS FIRST, name"
    return await page_from(lease, "promotion", _promotion, wanted, order=order, page=page, page_size=page_size)


async def _promotions_on(lease: Snapshot, days: list[date]) -> dict[date, int]:
    """How many promotions run on each of the days; days without one are left out."""
    if not days:
        return {}
    rows = await lease.query(
        "SELECT day, count(*) FROM (SELECT unnest(?::DATE[]) AS day) "
        "JOIN catalogue.promotion ON day BETWEEN start_date AND end_date GROUP BY day",
        [days],
    )
    return dict(rows)


def _price(*, price: Decimal, **others: Any) -> PriceSaid:
    return PriceSaid(**others, price=float(price))


def _promotion(*, discount_amount: Decimal | None, **others: Any) -> PromotionSaid:
    return PromotionSaid(**others, discount_amount=None if discount_amount is None else float(discount_amount))
