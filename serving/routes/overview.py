"""How is the business doing, and how far can the numbers be trusted?"""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from serving.comparison import KpiComparison, Metrics, compared
from serving.cubes import sums
from serving.filters import Filters
from serving.periods import Compare, whole
from serving.reply import Metadata, metadata, rounded
from serving.snapshot import Snapshot

DAYS = 28
POOLED = "level = 'series' AND bucket = 'all' AND model_type = 'all' AND segment = 'all'"
CHAMPIONS = "stage = 'champion' AND segment = 'all'"
NO_PART = "the snapshot has no accuracy: materialise forecasts and publish"


class Errors(Struct, frozen=True):
    """How wrong forecasts of series were, pooled."""

    n: Annotated[int, Meta(description="Scored points. [series-days]")]
    wape: Annotated[float | None, Meta(description="Sum of absolute errors over sum of demand. [ratio]")]
    bias_ratio: Annotated[float | None, Meta(description="Sum of forecast minus actual over demand; positive is over. [ratio]")]
    coverage_90: Annotated[float | None, Meta(description="Share of actuals within q05 and q95. [ratio]")]
    fva_naive: Annotated[float | None, Meta(description="WAPE of naive minus this one; positive is better. [ratio]")]


class Accuracy(Struct, frozen=True):
    """How good forecasts are: of days that came since, and in backtests."""

    realised: Annotated[Errors | None, Meta(description="Of frozen forecasts whose days are known by now.")]
    backtest: Annotated[Errors | None, Meta(description="Of the champions on the folds of the backtests.")]
    reason: Annotated[str | None, Meta(description="Why one of them is null, where it is.")]


class PartAge(Struct, frozen=True):
    """One part of the snapshot."""

    name: str
    made_at: Annotated[datetime, Meta(description="When it was made, UTC; older than the snapshot where nothing changed since.")]
    rows: Annotated[int, Meta(description="Rows of its tables. [rows]")]


class Freshness(Struct, frozen=True):
    """How new the numbers are."""

    first_day: Annotated[date, Meta(description="First day of sales.")]
    as_of: Annotated[date, Meta(description="Last day of sales.")]
    published_at: Annotated[datetime, Meta(description="When the snapshot was published, UTC.")]
    days_behind: Annotated[int, Meta(description="Days from the last day of sales to the day of publishing. [days]")]
    parts: Annotated[list[PartAge], Meta(description="How new each part of the snapshot is.")]
    omitted: Annotated[dict[str, str], Meta(description="Parts that could not be published, and why.")]


class StockConcerns(Struct, frozen=True):
    """What the stock there is will come to; null figures where the snapshot has no plan of it."""

    series: Annotated[int | None, Meta(description="Stores and products with a count that is not old. [series]")]
    stocked_out: Annotated[int | None, Meta(description="Of these, without stock. [series]")]
    below_reorder_point: Annotated[int | None, Meta(description="With stock, and to be ordered now. [series]")]
    overstocked: Annotated[int | None, Meta(description="With more than nine in ten forecast periods would sell. [series]")]
    shortage_value: Annotated[float | None, Meta(description="Sales expected to be missed over the lead times. [money]")]
    overstock_value: Annotated[float | None, Meta(description="What will be left over, at cost. [money]")]


class AlertCounts(Struct, frozen=True):
    """Alerts that are not resolved; null figures where the snapshot has no alerts."""

    open: Annotated[int | None, Meta(description="Alerts that nobody sees to. [alerts]")]
    critical: Annotated[int | None, Meta(description="Of these, critical ones. [alerts]")]
    seen_to: Annotated[int | None, Meta(description="Alerts that are acknowledged or snoozed. [alerts]")]


class OverviewAnswer(Struct, frozen=True):
    """What a first page shows."""

    start_date: date
    end_date: date
    metrics: Metrics
    comparison: Annotated[KpiComparison, Meta(description="What changed since as many days right before.")]
    accuracy: Annotated[Accuracy, Meta(description="How good forecasts are.")]
    freshness: Annotated[Freshness, Meta(description="How new the numbers are.")]
    stock: Annotated[StockConcerns, Meta(description="What the stock there is will come to; /inventory/risks has each.")]
    alerts: Annotated[AlertCounts, Meta(description="What is worth a look; /alerts has each.")]
    metadata: Metadata


@get("/analytics/overview", operation_id="get_overview", tags=["analytics"])
async def get_overview(
    lease: NamedDependency[Snapshot],
    compare: Annotated[
        Compare, QueryParameter(description="Compare with the 28 days before (previous), or with a year earlier (year).")
    ] = "previous",
) -> OverviewAnswer:
    """KPIs of the last 28 days of sales and what changed, how good forecasts are, what is worth a look, and how new all that is."""
    end = lease.manifest.as_of
    start = end - timedelta(days=DAYS - 1)
    bounds = whole(start, end)
    found = await sums(lease, Filters(), bounds)
    [comparison] = await compared(lease, Filters(), bounds, compare, found)
    values = lease.figures.metrics(found.values[0, 0].tolist())
    return OverviewAnswer(
        start_date=start,
        end_date=end,
        metrics=values,
        comparison=comparison,
        accuracy=await _accuracy(lease),
        freshness=_freshness(lease),
        stock=await _stock(lease),
        alerts=await _alerts(lease),
        metadata=metadata(lease, "kpis"),
    )


async def _stock(lease: Snapshot) -> StockConcerns:
    if not lease.has("inventory", "stock_risk"):
        return StockConcerns(*[None] * len(StockConcerns.__struct_fields__))
    [row] = await lease.query(
        "SELECT count(*), count(*) FILTER (state = 'stocked_out'), "
        "count(*) FILTER (state IN ('below_safety', 'below_reorder_point')), count(*) FILTER (state = 'overstocked'), "
        "round(coalesce(sum(shortage_value), 0), 2), round(coalesce(sum(overstock_value), 0), 2) FROM inventory.stock_risk"
    )
    return StockConcerns(*row)


async def _alerts(lease: Snapshot) -> AlertCounts:
    if not lease.has("alerts", "alert"):
        return AlertCounts(None, None, None)
    [row] = await lease.query(
        "SELECT count(*) FILTER (state = 'open'), count(*) FILTER (state = 'open' AND severity = 'critical'), "
        "count(*) FILTER (state IN ('acknowledged', 'snoozed')) FROM alerts.alert"
    )
    return AlertCounts(*row)


async def _accuracy(lease: Snapshot) -> Accuracy:
    if "accuracy" not in lease.manifest.parts:
        return Accuracy(None, None, lease.manifest.omitted.get("accuracy", NO_PART))
    realised = [_errors(row) for row in await lease.rows("accuracy", "forecast_accuracy", POOLED)]
    backtest = [_errors(row) for row in await lease.rows("accuracy", "forecast_value_added", CHAMPIONS)]
    reasons = [] if realised else [f"no day of a frozen forecast is known yet: sales are loaded up to {lease.manifest.as_of}"]
    reasons += [] if backtest else ["no backtest was made"]
    return Accuracy(next(iter(realised), None), next(iter(backtest), None), "; ".join(reasons) or None)


def _errors(row: dict[str, Any]) -> Errors:
    named = {name: row.get(name) for name in ("wape", "bias_ratio", "coverage_90", "fva_naive")}
    return Errors(row["n"], **{name: rounded(value) for name, value in named.items()})


def _freshness(lease: Snapshot) -> Freshness:
    manifest = lease.manifest
    published_at = manifest.published_at.astimezone(UTC)
    return Freshness(
        first_day=manifest.first_day,
        as_of=manifest.as_of,
        published_at=published_at,
        days_behind=(published_at.date() - manifest.as_of).days,
        parts=[
            PartAge(name, part.made_at.astimezone(UTC), sum(part.tables.values())) for name, part in sorted(manifest.parts.items())
        ],
        omitted=manifest.omitted,
    )
