"""How much was sold, by whom, and when?"""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Meta, Struct

from serving.cubes import Sums, day_bounds, sums
from serving.figures import metrics, shares
from serving.filters import Filters, resolve
from serving.problems import invalid
from serving.reply import End, Metadata, Start, check_range, metadata
from serving.snapshot import Snapshot

Metrics = Annotated[
    dict[str, int | float | None],
    Meta(description="Each KPI of the snapshot by name; null where it divides by zero. Money has two places."),
]
Stores = Annotated[list[str] | None, QueryParameter(description="Store ids or codes; repeat for several.")]
Products = Annotated[list[str] | None, QueryParameter(description="Product ids or SKUs; repeat for several.")]
Names = Annotated[list[str] | None, QueryParameter(description="Names; repeat for several.")]


class FiltersSaid(Struct, frozen=True):
    """The filters of the request, as they were given."""

    store_id: list[str]
    product_id: list[str]
    category: list[str]
    department: list[str]
    region: list[str]


class KpiAnswer(Struct, frozen=True):
    """KPIs of a range."""

    metrics: Metrics
    start_date: date
    end_date: date
    filters: FiltersSaid
    metadata: Metadata
    comparison: None = None


class DrilldownItem(Struct, frozen=True):
    """One member of the dimension."""

    dimension_value: str
    dimension_id: Annotated[int | None, Meta(description="Id of the store or product; null for other dimensions.")]
    metrics: Metrics
    rank: Annotated[int, Meta(description="From 1; ties are broken by dimension_value.")]
    revenue_share_pct: Annotated[float, Meta(description="Percent of the revenue of all members, before the cut.")]


class DrilldownAnswer(Struct, frozen=True):
    """The members of a dimension, ranked."""

    dimension: str
    items: list[DrilldownItem]
    total_items: Annotated[int, Meta(description="Members with sales in the range, before the cut.")]
    start_date: date
    end_date: date
    filters: FiltersSaid
    metadata: Metadata


class Point(Struct, frozen=True):
    """One period; the first and last are cut at the range."""

    period_start: date
    period_end: date
    metrics: Metrics


class TimeseriesAnswer(Struct, frozen=True):
    """KPIs a period."""

    granularity: str
    points: list[Point]
    filters: FiltersSaid
    metadata: Metadata


@get("/analytics/kpis", operation_id="get_kpis", tags=["analytics"])
async def get_kpis(
    lease: NamedDependency[Snapshot],
    state: State,
    start_date: Start,
    end_date: End,
    store_id: Stores = None,
    product_id: Products = None,
    category: Names = None,
    department: Names = None,
    region: Names = None,
) -> KpiAnswer:
    """KPIs of a range of days, of everything or of the given stores, products, categories, departments and regions."""
    check_range(start_date, end_date, state.settings.max_days)
    filters = _resolve(lease, store_id, product_id, category, department, region)
    found = await sums(lease, filters, [start_date, end_date + timedelta(days=1)])
    said = FiltersSaid(store_id or [], product_id or [], category or [], department or [], region or [])
    values = metrics(lease.manifest, found.values[0, 0].tolist())
    return KpiAnswer(values, start_date, end_date, said, metadata(lease, "kpis"))


@get("/analytics/drilldowns", operation_id="get_drilldown", tags=["analytics"])
async def get_drilldown(
    lease: NamedDependency[Snapshot],
    state: State,
    dimension: FromQuery[Literal["store", "product", "category", "department", "region", "date"]],
    start_date: Start,
    end_date: End,
    store_id: Stores = None,
    product_id: Products = None,
    category: Names = None,
    department: Names = None,
    region: Names = None,
    max_items: Annotated[int, QueryParameter(ge=1, le=100, description="Members to give, the first by rank.")] = 20,
    order_by: Annotated[str, QueryParameter(description="The KPI to rank by.")] = "total_revenue",
    sort_order: FromQuery[Literal["asc", "desc"]] = "desc",
) -> DrilldownAnswer:
    """Members of a dimension ranked by a KPI, with their share of the revenue. A missing name is the member (unknown)."""
    check_range(start_date, end_date, state.settings.max_days)
    known = [kpi.name for kpi in lease.manifest.kpis]
    if order_by not in known:
        raise invalid("order_by", order_by, f"use one of {', '.join(known)}")
    filters = _resolve(lease, store_id, product_id, category, department, region)
    if dimension == "date":
        days = await sums(lease, filters, day_bounds(start_date, end_date))
        members = [start_date + timedelta(days=n) for n in range((end_date - start_date).days + 1)]
        found = Sums(members, days.values[0][:, None, :])
    else:
        found = await sums(lease, filters, [start_date, end_date + timedelta(days=1)], group=dimension)
    items = _ranked(lease, dimension, found, order_by, is_descending=sort_order == "desc")
    said = FiltersSaid(store_id or [], product_id or [], category or [], department or [], region or [])
    return DrilldownAnswer(dimension, items[:max_items], len(items), start_date, end_date, said, metadata(lease, "kpis"))


@get("/analytics/timeseries", operation_id="get_kpi_timeseries", tags=["analytics"])
async def get_kpi_timeseries(
    lease: NamedDependency[Snapshot],
    state: State,
    granularity: FromQuery[Literal["day", "week", "month", "quarter"]],
    start_date: Start,
    end_date: End,
    store_id: Stores = None,
    product_id: Products = None,
    category: Names = None,
    department: Names = None,
    region: Names = None,
) -> TimeseriesAnswer:
    """KPIs by day, week (from Monday), month or quarter; the periods add up to the range."""
    check_range(start_date, end_date, state.settings.max_days)
    filters = _resolve(lease, store_id, product_id, category, department, region)
    bounds = period_bounds(start_date, end_date, granularity)
    found = await sums(lease, filters, bounds)
    points = [
        Point(first, after - timedelta(days=1), metrics(lease.manifest, values))
        for first, after, values in zip(bounds, bounds[1:], found.values[0].tolist(), strict=False)
    ]
    said = FiltersSaid(store_id or [], product_id or [], category or [], department or [], region or [])
    return TimeseriesAnswer(granularity, points, said, metadata(lease, "kpis"))


def period_bounds(start: date, end: date, granularity: str) -> list[date]:
    """The first day of each period that touches the range, cut at `start`, and the day after `end`.

    >>> [str(day) for day in period_bounds(date(2024, 1, 30), date(2024, 2, 2), "month")]
    ['2024-01-30', '2024-02-01', '2024-02-03']
    """
    bounds = [start]
    day = start
    while day < end:
        day += timedelta(days=1)
        starts = {
            "day": True,
            "week": day.weekday() == 0,
            "month": day.day == 1,
            "quarter": day.day == 1 and day.month in (1, 4, 7, 10),
        }
        if starts[granularity]:
            bounds.append(day)
    return [*bounds, end + timedelta(days=1)]


def _resolve(lease: Snapshot, store_id: Stores, product_id: Products, category: Names, department: Names, region: Names) -> Filters:
    return resolve(lease, store_id=store_id, product_id=product_id, category=category, department=department, region=region)


def _ranked(lease: Snapshot, dimension: str, found: Sums, order_by: str, *, is_descending: bool) -> list[DrilldownItem]:
    names: dict[Any, str] = {}
    if dimension == "store":
        names = {each.store_id: each.code for each in lease.stores}
    if dimension == "product":
        names = {each.product_id: each.sku for each in lease.products}
    revenue_at = next((n for n, each in enumerate(lease.manifest.measures) if each.name == "revenue"), None)
    rows = []
    for member, values in zip(found.members, found.values[:, 0, :].tolist(), strict=True):
        if any(values):
            revenue = values[revenue_at] if revenue_at is not None else 0
            rows.append((names.get(member, str(member)), member, metrics(lease.manifest, values), revenue))

    def place(row: tuple[str, Any, dict[str, int | float | None], int]) -> tuple[bool, float, str]:
        value = row[2][order_by]
        return value is None, -(value or 0) if is_descending else (value or 0), row[0]

    rows.sort(key=place)
    percent = shares([revenue for *_, revenue in rows])
    return [
        DrilldownItem(name, member if names else None, values, n + 1, percent[n])
        for n, (name, member, values, _) in enumerate(rows)
    ]
