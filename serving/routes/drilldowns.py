"""Who sold how much?"""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import count, repeat
from typing import Annotated, Any, Literal

from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Meta, Struct

from serving.comparison import Metrics
from serving.cubes import Sums, sums
from serving.figures import shares
from serving.filters import FiltersSaid, Names, Products, Segments, Stores, resolve
from serving.formats import table
from serving.periods import day_bounds, whole
from serving.problems import invalid
from serving.reply import End, Metadata, Start, check_range, metadata
from serving.snapshot import Snapshot


class DrilldownItem(Struct, frozen=True, gc=False):
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


@table("/analytics/drilldowns", operation_id="get_drilldown", tags=["analytics"])
async def get_drilldown(
    lease: NamedDependency[Snapshot],
    state: State,
    dimension: FromQuery[Literal["store", "product", "category", "department", "region", "date", "cluster", "segment"]],
    start_date: Start,
    end_date: End,
    store_id: Stores = None,
    product_id: Products = None,
    category: Names = None,
    department: Names = None,
    region: Names = None,
    cluster: Names = None,
    segment: Segments = None,
    max_items: Annotated[int, QueryParameter(ge=1, le=100, description="Members to give, the first by rank.")] = 20,
    order_by: Annotated[str, QueryParameter(description="The KPI to rank by.")] = "total_revenue",
    sort_order: FromQuery[Literal["asc", "desc"]] = "desc",
) -> DrilldownAnswer:
    """Members of a dimension ranked by a KPI, with their share of the revenue. A missing name is the member (unknown)."""
    check_range(start_date, end_date, state.settings.max_days)
    if order_by not in lease.figures.kpis:
        raise invalid("order_by", order_by, f"use one of {', '.join(lease.figures.kpis)}")
    asked = FiltersSaid.of(store_id, product_id, category, department, region, cluster, segment)
    filters = resolve(lease, asked)
    if dimension == "date":
        days = (await sums(lease, filters, day_bounds(start_date, end_date))).values[0]
        found = Sums([start_date + timedelta(days=n) for n in range(len(days))], days[:, None, :])
    else:
        found = await sums(lease, filters, whole(start_date, end_date), group=dimension)
    items, total = _ranked(lease, dimension, found, order_by, most=max_items, is_descending=sort_order == "desc")
    return DrilldownAnswer(dimension, items, total, start_date, end_date, asked, metadata(lease, "kpis"))


def _ranked(
    lease: Snapshot, dimension: str, found: Sums, order_by: str, *, most: int, is_descending: bool
) -> tuple[list[DrilldownItem], int]:
    """The first members by rank, and how many there are. A KPI that is null comes last in either order."""
    figures, members, has_ids = lease.figures, found.members, dimension in lease.labels
    said, by_name = _named(lease, dimension, members)
    columns = found.values[:, 0, :].T.tolist()
    ranked_by: Sequence[Any] = figures.kpis[order_by](columns)
    sold, has_everyone = by_name, any(map(all, columns))  # of some measure everyone has something, most often
    if not has_everyone:
        is_sold: list[bool] = list(map(any, zip(*columns, strict=True)))
        sold = [n for n in by_name if is_sold[n]]
    nulls = [n for n in sold if ranked_by[n] is None] if None in ranked_by else []
    known = [n for n in sold if ranked_by[n] is not None] if nulls else sold
    known = sorted(known, key=ranked_by.__getitem__, reverse=is_descending)  # equal ones stay in the order of their names
    order = [*known, *nulls]
    first = order[:most]
    hundredths = [0] * len(members) if figures.revenue is None else shares(columns[figures.revenue], order)
    percent = [hundredths[n] / 100 for n in first]
    metrics = figures.table([[*map(column.__getitem__, first)] for column in columns])
    labels, ids = map(said.__getitem__, first), map(members.__getitem__, first) if has_ids else repeat(None)
    return list(map(DrilldownItem, labels, ids, metrics, count(1), percent)), len(order)


def _named(lease: Snapshot, dimension: str, members: list[Any]) -> tuple[list[str], list[int]]:
    """What members are called, and their places in the order of their names; of a whole axis it is found once a snapshot."""
    is_axis = members is lease.cubes.axes.get(dimension)
    found: tuple[list[str], list[int]] | None = lease.memo.get(("named", dimension)) if is_axis else None
    if found is None:
        names = lease.labels.get(dimension)
        said = [names[each] for each in members] if names else [str(each) for each in members]
        found = said, sorted(range(len(said)), key=said.__getitem__)
        if is_axis:
            lease.memo["named", dimension] = found
    return found
