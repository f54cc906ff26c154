"""The published explanations of forecasts, and the words that they use.

A driver is what a part of a forecast is put down to. It says what goes with the forecast in the model, never what causes demand.
"""

from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, ProductId, StoreId, column
from assets_config.contract.names import Confidence, Driver, Span


class Part(Struct, frozen=True):
    """One part of a forecast. The parts of a forecast add up to it."""

    name: Annotated[Driver, column("What the part is put down to.")]
    units: Annotated[float, column("What it adds to the forecast; negative where it takes away.", unit="units")]
    reason_code: Annotated[str, column("The driver and its direction, for programs: PRICE_RAISES.")]


class ForecastExplanation(Struct, frozen=True):
    """Why one series is forecast to sell what it is forecast to sell, on the next day and over the whole horizon."""

    store_id: StoreId
    product_id: ProductId
    span: Annotated[Span, column("`next_day`: the first day ahead; `horizon`: the sum of all days ahead.")]
    start_date: Annotated[CalendarDay, column("First day of the span.")]
    end_date: Annotated[CalendarDay, column("Last day of the span.")]
    cutoff: Annotated[CalendarDay, column("Last day that the model was allowed to see.")]
    yhat: Annotated[float, column("Forecast of the span, the sum of the parts.", unit="units")]
    parts: Annotated[str, column("The parts as a JSON list of {name, units, reason_code}, in the order of DRIVERS.")]
    band: Annotated[float | None, column("Width from q10 to q90 over the forecast; null where that is zero.", unit="ratio")]
    confidence: Annotated[Confidence, column("high: band up to 1; medium: up to 2; low: wider, or the series is too new to tell.")]
    caveats: Annotated[str, column("Codes of what limits the explanation, as a JSON list.")]
    summary: Annotated[str, column("All of it in one sentence.")]
    model_type: Annotated[str, column("Type of the champion, one of models.yaml.")]
    model_version: Annotated[str, column("run_id of the champion's model run; read it at /registry/runs/{run_id}.")]


DRIVERS: dict[Driver, str] = {
    "usual": "mean demand of the series over the last year of known days",
    "recent_sales": "the level of the newest days, beyond the usual",
    "trend": "the rise or fall since the cutoff",
    "weekday": "the weekdays of the span, against a whole week",
    "season": "the time of the month and year, and the days of a year ago",
    "similar_series": "what the same product sells elsewhere, and its department and store",
    "price": "the price, against what the product cost before and costs elsewhere",
    "promotion": "a planned promotion, or that there is none",
    "event": "events of the calendar on the days of the span and around them",
    "outside": "series from outside, such as weather",
    "stockouts": "days on which the shelf was empty of late",
    "other": "what is not told apart, such as holidays and the year in models of sums",
}
"""Every driver, with what it stands for."""

CAVEATS = {
    "NOT_BACKTESTED": "Too few days of the series were backtested; its model is the one that similar series have.",
    "FEW_DAYS": "The series has fewer than 56 days that count.",
    "NO_DEMAND": "The series has not sold so far.",
    "INTERMITTENT": "The series sells on few days: a forecast is a mean of days with and without a sale.",
    "RECENT_STOCKOUTS": "The shelf was empty on days of the last four weeks; what was wanted on them is not known.",
    "NOT_ON_SALE": "The series was not on sale on the last day.",
    "SHARE_OF_SUM": "The model forecasts a store's department; the series gets its share of the last four weeks.",
    "PARTS_FAILED": "The contributions of a model could not be computed; its part is split by shape alone.",
}
"""Every caveat, with what it says."""


def reason_code(driver: Driver, units: float) -> str:
    """The driver and its direction.

    >>> reason_code("price", -1.5)
    'PRICE_LOWERS'
    """
    return "USUAL_LEVEL" if driver == "usual" else f"{driver.upper()}_{'RAISES' if units >= 0 else 'LOWERS'}"
