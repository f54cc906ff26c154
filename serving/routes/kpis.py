"""How much was sold, when, and how is that measured?"""

from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from typing import Annotated

from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.expressions import is_additive, names
from serving.comparison import KpiComparison, Metrics, compared
from serving.cubes import sums
from serving.figures import values
from serving.filters import FiltersSaid, Names, Products, Segments, Stores, resolve
from serving.formats import RATIO, Table, kpi_columns, table
from serving.paging import Listed, Page, PageSize, page_of
from serving.periods import DAY, Compare, Granularity, period_bounds, whole
from serving.reply import End, Metadata, Start, check_range, metadata
from serving.snapshot import Snapshot

ComparedWith = Annotated[
    Compare | None,
    QueryParameter(description="Compare with as many days right before (previous), or with the same dates a year earlier (year)."),
]


class KpiAnswer(Struct, frozen=True):
    """KPIs of a range."""

    metrics: Metrics
    start_date: date
    end_date: date
    filters: FiltersSaid
    metadata: Metadata
    comparison: Annotated[KpiComparison | None, Meta(description="What changed; null where `compare` is not given.")] = None


class Point(Struct, frozen=True, gc=False):
    """One period; the first and last are cut at the range."""

    period_start: date
    period_end: date
    metrics: Metrics
    comparison: Annotated[KpiComparison | None, Meta(description="What changed; null where `compare` is not given.")] = None


class TimeseriesAnswer(Struct, frozen=True):
    """KPIs a period."""

    granularity: str
    points: list[Point]
    filters: FiltersSaid
    metadata: Metadata


class MeasureSaid(Struct, frozen=True):
    """A measure: what is summed."""

    name: str
    unit: Annotated[str, Meta(description="money or count.")]
    meaning: str


class Definition(Struct, frozen=True):
    """How a KPI is measured."""

    name: Annotated[str, Meta(description="Its name in `metrics`, and for `order_by`.")]
    formula: Annotated[str, Meta(description="Arithmetic over the sums of measures.")]
    unit: Annotated[str, Meta(description="money (two places), count or ratio.")]
    direction: Annotated[str, Meta(description="Which way is good: up, down or none.")]
    additivity: Annotated[
        str, Meta(description="additive: values of disjoint parts add up. ratio: computed again from the sums of the parts.")
    ]
    meaning: str
    measures: Annotated[list[MeasureSaid], Meta(description="The measures of the formula.")]
    source_table: Annotated[str, Meta(description="The published table that is summed.")]


def _rows(lease: Snapshot, periods: Iterable[tuple[date, date, Metrics, KpiComparison | None]]) -> Table:
    """A row a period; with a comparison the base's dates and figures and each change beside it."""
    periods, kpis = list(periods), lease.manifest.kpis
    columns = {"period_start": "DATE", "period_end": "DATE", **kpi_columns(kpis)}
    rows = [[first, last, *values(metrics)] for first, last, metrics, _ in periods]
    if any(comparison for *_, comparison in periods):
        columns |= {"base_start": "DATE", "base_end": "DATE", **kpi_columns(kpis, "base_{}")}
        columns |= kpi_columns(kpis, "{}_change") | {f"{kpi.name}_change_ratio": RATIO for kpi in kpis}
        for row, (*_, comparison) in zip(rows, periods, strict=True):
            assert comparison is not None
            changes = comparison.changes.values()
            row += [comparison.start_date, comparison.end_date, *values(comparison.metrics)]
            row += [*(each.absolute for each in changes), *(each.ratio for each in changes)]
    return Table(columns, rows)


def _kpi_row(answer: KpiAnswer, lease: Snapshot) -> Table:
    return _rows(lease, [(answer.start_date, answer.end_date, answer.metrics, answer.comparison)])


def _point_rows(answer: TimeseriesAnswer, lease: Snapshot) -> Table:
    return _rows(lease, ((each.period_start, each.period_end, each.metrics, each.comparison) for each in answer.points))


@table("/analytics/kpis", rows=_kpi_row, operation_id="get_kpis", tags=["analytics"])
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
    cluster: Names = None,
    segment: Segments = None,
    compare: ComparedWith = None,
) -> KpiAnswer:
    """KPIs of a range of days, of everything or of what the filters leave, and what changed since an earlier range."""
    check_range(start_date, end_date, state.settings.max_days)
    asked = FiltersSaid.of(store_id, product_id, category, department, region, cluster, segment)
    filters, bounds = resolve(lease, asked), whole(start_date, end_date)
    found = await sums(lease, filters, bounds)
    comparison = (await compared(lease, filters, bounds, compare, found))[0] if compare else None
    metrics = lease.figures.metrics(found.values[0, 0].tolist())
    return KpiAnswer(metrics, start_date, end_date, asked, metadata(lease, "kpis"), comparison)


@table("/analytics/timeseries", field="points", rows=_point_rows, operation_id="get_kpi_timeseries", tags=["analytics"])
async def get_kpi_timeseries(
    lease: NamedDependency[Snapshot],
    state: State,
    granularity: FromQuery[Granularity],
    start_date: Start,
    end_date: End,
    store_id: Stores = None,
    product_id: Products = None,
    category: Names = None,
    department: Names = None,
    region: Names = None,
    cluster: Names = None,
    segment: Segments = None,
    compare: ComparedWith = None,
) -> TimeseriesAnswer:
    """KPIs by day, week (from Monday), month or quarter; the periods, and what they are compared with, add up to the range."""
    check_range(start_date, end_date, state.settings.max_days)
    asked = FiltersSaid.of(store_id, product_id, category, department, region, cluster, segment)
    filters, bounds = resolve(lease, asked), period_bounds(start_date, end_date, granularity)
    found = await sums(lease, filters, bounds)
    comparisons: list[KpiComparison | None] = [None] * (len(bounds) - 1)
    if compare:
        comparisons = [*await compared(lease, filters, bounds, compare, found, daily=granularity == "day")]
    metrics_of_each = lease.figures.table(found.values[0].T.tolist())
    points = [
        Point(first, after - DAY, metrics, comparison)
        for (first, after), metrics, comparison in zip(pairwise(bounds), metrics_of_each, comparisons, strict=True)
    ]
    return TimeseriesAnswer(granularity, points, asked, metadata(lease, "kpis"))


@table("/analytics/definitions", operation_id="list_definitions", tags=["analytics"])
async def list_definitions(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[Definition]:
    """How each KPI of the snapshot is measured: formula, unit, which way is good, whether values of parts add up."""
    measures = {each.name: MeasureSaid(each.name, each.unit, each.meaning) for each in lease.manifest.measures}
    found = [
        Definition(
            name=each.name,
            formula=each.expression,
            unit=each.unit,
            direction=each.direction,
            additivity="additive" if is_additive(each.expression) else "ratio",
            meaning=each.meaning,
            measures=[measures[name] for name in names(each.expression)],
            source_table="kpi_daily",
        )
        for each in lease.manifest.kpis
    ]
    return page_of(found, page, page_size, metadata(lease, "kpis"))
