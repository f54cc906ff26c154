"""What did one product sell, and what is it forecast to sell?"""

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated
from urllib.parse import quote

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct

from serving.cubes import sums
from serving.figures import said
from serving.filters import FiltersSaid, product_of, resolve, store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, Search, matches, page_of
from serving.periods import day_bounds
from serving.reply import End, Metadata, Start, check_range, metadata
from serving.snapshot import Snapshot


class Item(Struct, frozen=True):
    """A product, in the short form."""

    id: int
    name: str
    category: str | None
    sku: str


class ItemPoint(Struct, frozen=True):
    """One day of an item."""

    date: date
    forecast: Annotated[float | None, Meta(description="Expected demand; null where no forecast covers the day. [units]")]
    q10: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    q50: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    q90: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    actual: Annotated[int | None, Meta(description="Units sold; null after the last day of sales. [units]")]
    unconstrained: Annotated[float | None, Meta(description="Demand had stock not run out; null on days with stock. [units]")]
    source: Annotated[str | None, Meta(description="forecast (days ahead) or backtest (as of a past cutoff).")]
    model_version: Annotated[str | None, Meta(description="run_id, where one model is behind the day's forecast.")]
    generated_at: datetime | None
    q05: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    q25: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    q75: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]
    q95: Annotated[float | None, Meta(description="Null for more than one store: quantiles do not add up. [units]")]


class ItemAnswer(Struct, frozen=True):
    """The days of an item."""

    item_id: int
    sku: str
    timeseries: list[ItemPoint]
    metadata: Metadata
    reason: Annotated[str | None, Meta(description="Why quantiles of days with a forecast are null, where they are.")] = None


@table("/items", operation_id="list_items", tags=["items"])
async def list_items(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    category: FromQuery[str | None] = None,
    search: Search = None,
) -> Listed[Item]:
    """Products in the short form {id, name, category, sku}. Use the id or SKU in /items/{id}/timeseries.

    /dimensions/products has all attributes, and more to filter and sort by.
    """
    found = [
        Item(each.product_id, each.name, each.category, each.sku)
        for each in sorted(lease.products, key=lambda each: each.sku)
        if (category is None or each.category == category) and matches(search, each.sku, each.name)
    ]
    return page_of(found, page, page_size, metadata(lease, "catalogue"))


@table("/items/{item:str}/timeseries", field="timeseries", operation_id="get_item_timeseries", tags=["items"])
async def get_item_timeseries(
    request: Request,  # type: ignore[type-arg]
    lease: NamedDependency[Snapshot],
    state: State,
    item: FromPath[str],
    start: Start,
    end: End,
    store_id: FromQuery[str | None] = None,
) -> ItemAnswer:
    """Units sold and forecast of a product a day, of one store or summed over all. Days without either are left out.

    Past days have the sales, and what a backtest had forecast; days ahead have the forecast. /items/{item}/explanation says why.
    """
    check_range(start, end, state.settings.max_days)
    product = product_of(lease, item)
    sku = next(each.sku for each in lease.products if each.product_id == product)
    filters = resolve(lease, FiltersSaid(store_id=[store_id] if store_id else [], product_id=[sku]))
    bounds = day_bounds(start, end)
    measures = [each.name for each in lease.manifest.measures]
    sold = (await sums(lease, filters, bounds)).values[0]
    store = store_of(lease, store_id) if store_id else None
    forecasts = await _forecasts(lease, product, start, end, store)
    lost = await _lost(lease, product, start, end, store)
    generated_at = lease.manifest.parts["forecasts"].made_at if "forecasts" in lease.manifest.parts else None
    versions = {version for _, _, version, _ in forecasts.values() if version}
    request.scope["state"]["model_version"] = ",".join(sorted(versions)) or None
    points = []
    for n, day in enumerate(bounds[:-1]):
        is_known = lease.manifest.first_day <= day <= lease.manifest.as_of
        found = forecasts.get(day)
        if not is_known and found is None:
            continue
        actual = int(sold[n, measures.index("units")]) if is_known else None
        yhat, source, version, quantiles = found or (None, None, None, (None,) * len(QUANTILES))
        q10, q50, q90, *rest = (_units(value) for value in quantiles)
        at = generated_at if found else None
        wanted = _units(actual + lost[day]) if actual is not None and day in lost else None
        points.append(ItemPoint(day, _units(yhat), q10, q50, q90, actual, wanted, source, version, at, *rest))
    only = versions.pop() if len(versions) == 1 else None
    reason = None
    if any(quantiles[0] is None for _, _, _, quantiles in forecasts.values()):
        reason = (
            "quantiles of stores do not add up: name one by store_id, or read those of their sum at "
            f"/api/v1/forecasts/levels?level=product&member={quote(sku)}"
        )
    return ItemAnswer(product, sku, points, metadata(lease, "forecasts", model_version=only), reason)


QUANTILES = ("q10", "q50", "q90", "q05", "q25", "q75", "q95")
"""In the order of ItemPoint."""
_Forecast = tuple[float, str, str | None, tuple[float | None, ...]]


async def _forecasts(lease: Snapshot, product: int, start: date, end: date, store: int | None) -> dict[date, _Forecast]:
    if "forecasts" not in lease.manifest.parts:
        return {}
    rows = await lease.query(
        "SELECT date, sum(yhat), min(source), min(model_version), count(*), count(DISTINCT model_version), "
        "min(q10), min(q50), min(q90), min(q05), min(q25), min(q75), min(q95) FROM forecasts.forecast "
        "WHERE product_id = ? AND date BETWEEN ? AND ? AND (?::BIGINT IS NULL OR store_id = ?) GROUP BY date",
        [product, start, end, store, store],
    )
    return {
        day: (yhat, source, version if kinds == 1 else None, tuple(quantiles) if count == 1 else (None,) * len(QUANTILES))
        for day, yhat, source, version, count, kinds, *quantiles in rows
    }


async def _lost(lease: Snapshot, product: int, start: date, end: date, store: int | None) -> dict[date, float]:
    """Units that were wanted and not sold, of the days on which a store was out of stock."""
    if "stock" not in lease.manifest.parts:
        return {}
    rows = await lease.query(
        "SELECT date, sum(unconstrained - sold) FROM stock.demand_unconstrained "
        "WHERE product_id = ? AND date BETWEEN ? AND ? AND (?::BIGINT IS NULL OR store_id = ?) GROUP BY date",
        [product, start, end, store, store],
    )
    return dict(rows)


def _units(value: float | None) -> float | None:
    return None if value is None else said(Fraction(value), places=2)
