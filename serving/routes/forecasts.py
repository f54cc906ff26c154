"""How much is forecast in all, and how good were forecasts of days that are known by now?"""

from datetime import date
from fractions import Fraction
from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from serving.figures import said
from serving.filters import product_of
from serving.reply import End, Metadata, Start, check_range, metadata
from serving.snapshot import Snapshot


class Summary(Struct, frozen=True):
    """Totals over the range. The errors compare days that have both a forecast (as of an earlier cutoff) and sales."""

    total_forecast: Annotated[float, Meta(description="Sum of forecasts. [units]")]
    total_actual: Annotated[
        float | None, Meta(description="Sales on the days compared, as the backtest knew them; null where none is known. [units]")
    ]
    mape: Annotated[float | None, Meta(description="Mean absolute percentage error where sales are not zero. [percent]")]
    wape: Annotated[float | None, Meta(description="Sum of absolute errors over sum of sales. [ratio]")]
    bias_ratio: Annotated[float | None, Meta(description="Sum of forecast minus sales over sales; positive is over. [ratio]")]
    total_deviation: Annotated[float | None, Meta(description="Error of the totals over the total of sales. [ratio]")]
    items_count: Annotated[int, Meta(description="Products with a forecast in the range.")]
    reason: Annotated[str | None, Meta(description="Why errors are null, where they are.")]


class Period(Struct, frozen=True):
    """The range that was asked for."""

    start: date
    end: date


class SummaryAnswer(Struct, frozen=True):
    """The summary of forecasts."""

    summary: Summary
    period: Period
    metadata: Metadata


@get("/forecasts/summary", operation_id="get_forecast_summary", tags=["forecasts"])
async def get_forecast_summary(
    lease: NamedDependency[Snapshot],
    state: State,
    start: Start,
    end: End,
    item_ids: Annotated[str | None, QueryParameter(description="Product ids or SKUs, separated by commas.")] = None,
) -> SummaryAnswer:
    """Total forecast of a range, and its errors on the days whose sales are known.

    Sales are those that the backtest knew. What was corrected since counts from the next forecasts on; /analytics/kpis has it.
    For more than one sum: /forecasts/levels by region, store or category; /forecasts/accuracy for errors by days ahead.
    """
    check_range(start, end, state.settings.max_days)
    products = [product_of(lease, text.strip()) for text in item_ids.split(",")] if item_ids else None
    rows: list[tuple[float | int | None, ...]] = [(0.0, None, None, None, None, None, 0)]
    if "forecasts" in lease.manifest.parts:
        rows = await lease.query(
            "SELECT coalesce(sum(yhat), 0), sum(y), sum(abs(yhat - y)), sum(yhat - y), "
            "avg(abs(yhat - y) / y) FILTER (y <> 0), sum(yhat) FILTER (y IS NOT NULL), count(DISTINCT product_id) "
            "FROM forecasts.forecast WHERE date BETWEEN ? AND ? AND (?::BIGINT[] IS NULL OR list_contains(?, product_id))",
            [start, end, products, products],
        )
    total, actual, absolute, signed, mape, _, count = rows[0]
    reason = None
    if actual is None:
        reason = "no day of the range has both a forecast and known sales"
    elif actual == 0:
        reason = "nothing was sold on the days compared"

    def ratio(part: float | int | None) -> float | int | None:
        return None if not actual or part is None else said(Fraction(part) / Fraction(actual), places=6)

    summary = Summary(
        total_forecast=float(said(Fraction(total or 0), places=2)),
        total_actual=None if actual is None else float(said(Fraction(actual), places=2)),
        mape=None if mape is None else said(Fraction(mape) * 100, places=6),
        wape=ratio(absolute),
        bias_ratio=ratio(signed),
        total_deviation=ratio(abs(signed) if signed is not None else None),
        items_count=int(count or 0),
        reason=reason,
    )
    return SummaryAnswer(summary, Period(start, end), metadata(lease, "forecasts"))
