"""What if: assumptions about the days ahead, and the published tables of what comes of them (outlook.py).

The heuristic multiplies a forecast; `model_exogenous` asks the model again with other prices, promotions and holidays. Stock and
lifecycle are no inputs of a model, and so are reckoned afterwards with either.
"""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from assets_config.contract.columns import column
from assets_config.contract.state import MOST_TAGS, NOT_NUL, Named, RunId, Tag

Method = Literal["heuristic", "model_exogenous"]
RankBy = Literal["revenue", "units", "lost"]
PRIOR = -1.5
"""Elasticity where sales tell nothing of it."""
MOST = 500  # saved scenarios
ScenarioId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="A scenario of /scenarios.")]
First = Annotated[date | None, Meta(description="First day; null: the first that is forecast.")]
Last = Annotated[date | None, Meta(description="Last day; null: the last that is forecast.")]


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another price."""

    change: Annotated[float, Meta(ge=-0.95, le=5, description="-0.1: a tenth less. [ratio]")]
    elasticity: Annotated[
        Annotated[float, Meta(ge=-5, le=0)] | None,
        Meta(description="Percent that demand moves with one of the price; null: the estimate for the product. Heuristic only."),
    ] = None
    start_date: First = None
    end_date: Last = None


class PromotionPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotion."""

    lift: Annotated[float, Meta(ge=-0.9, le=10, description="Demand more than without it. Heuristic only. [ratio]")] = 0.0
    discount: Annotated[float, Meta(ge=0, le=0.95, description="Cut of the price. [ratio]")] = 0.0
    start_date: First = None
    end_date: Last = None


class Holiday(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A holiday or event."""

    dates: Annotated[list[date], Meta(min_length=1, max_length=90, description="Its days.")]
    lift: Annotated[float, Meta(ge=-1, le=10, description="Demand more than on other days. Heuristic only. [ratio]")] = 0.0
    name: Annotated[
        Annotated[str, Meta(max_length=100, pattern=NOT_NUL)] | None,
        Meta(description="As the calendar calls it, so that the model knows it. model_exogenous only, which needs it."),
    ] = None


class Inbound(Struct, frozen=True, forbid_unknown_fields=True):
    """A delivery."""

    date: Annotated[date, Meta(description="Day from whose morning it can be sold.")]
    units: Annotated[float, Meta(ge=0, le=1e12, description="Its units. [units]")]


class Stock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stock, so that no more is sold than there is."""

    on_hand: Annotated[float, Meta(ge=0, le=1e12, description="Units before the first day. [units]")]
    inbound: Annotated[list[Inbound], Meta(max_length=90, description="Deliveries.")] = []


class Lifecycle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product that comes up or goes out."""

    change_per_week: Annotated[float, Meta(ge=-0.9, le=2, description="Demand more each week, day by day, compounding. [ratio]")]


class Assumptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is assumed of the days ahead. Nothing: the forecast as it is."""

    price: Annotated[Price | None, Meta(description="Another price.")] = None
    promotion: Annotated[PromotionPlan | None, Meta(description="A promotion.")] = None
    holiday: Annotated[Holiday | None, Meta(description="A holiday or event.")] = None
    inventory: Annotated[Stock | None, Meta(description="Stock that bounds sales.")] = None
    lifecycle: Annotated[Lifecycle | None, Meta(description="A product that comes up or goes out.")] = None


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What if, for one product."""

    product_id: Annotated[Named, Meta(description="SKU, id or external id.")]
    store_id: Annotated[Named | None, Meta(description="Store: code, id or external id. Null: all stores together.")] = None
    horizon: Annotated[
        Annotated[int, Meta(ge=1, le=90)] | None, Meta(description="Days ahead. Null: all that are forecast. [days]")
    ] = None
    run_id: Annotated[RunId | None, Meta(description="Model run that the baseline must be of. Null: whichever forecasts.")] = None
    assumptions: Annotated[Assumptions | None, Meta(description="What is assumed. Null: nothing.")] = None

    @property
    def assumed(self) -> Assumptions:
        return self.assumptions or Assumptions()


class ScenarioParams(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Work a scenario out and save it."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_NUL, description="What people call it.")]
    method: Annotated[Method, Meta(description="heuristic multiplies the forecast; model_exogenous asks the model again.")] = (
        "heuristic"
    )
    tags: Annotated[list[Tag], Meta(max_length=MOST_TAGS, description="Words to find it by.")] = []
    cloned_from: Annotated[ScenarioId | None, Meta(description="Scenario that this is a changed copy of.")] = None


class DeleteScenarioParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Delete a saved scenario and its days."""

    scenario_id: ScenarioId


class Scenario(Struct, frozen=True):
    """A saved scenario, and what came of it in sum."""

    scenario_id: Annotated[str, column("The job that worked it out; read it at /scenarios/{scenario_id}.")]
    name: Annotated[str, column("What people call it.")]
    method: Annotated[Method, column("heuristic multiplies the forecast; model_exogenous asks the model again.")]
    question: Annotated[str, column("What was asked, as JSON.")]
    tags: Annotated[str, column("Words to find it by, as a JSON list.")]
    cloned_from: Annotated[str | None, column("Scenario that it is a changed copy of.")]
    product_id: Annotated[int, column("The product.")]
    store_id: Annotated[int | None, column("The store; null: all together.")]
    result_hash: Annotated[str, column("Hash of baseline and assumptions: the same is the same result.")]
    model_version: Annotated[str | None, column("Model run of the baseline; null where there are several.")]
    elasticity: Annotated[float, column("Percent that demand was taken to move with one of the price.", unit="ratio")]
    baseline_units: Annotated[float, column("Units of the forecast as it is.", unit="units")]
    units: Annotated[float, column("Units that would be sold.", unit="units")]
    lost: Annotated[float, column("Units that would be asked for without stock.", unit="units")]
    baseline_revenue: Annotated[float | None, column("Revenue of the forecast as it is; null without a price.", unit="money")]
    revenue: Annotated[float | None, column("Revenue that there would be; null without a price.", unit="money")]
    created_at: Annotated[datetime, column("When it was worked out, UTC.")]


class ScenarioDay(Struct, frozen=True):
    """One day of a saved scenario."""

    scenario_id: Annotated[str, column("The scenario.")]
    date: Annotated[date, column("The day.")]
    baseline: Annotated[float, column("Demand by the forecast as it is.", unit="units/day")]
    demand: Annotated[float, column("Demand that there would be.", unit="units/day")]
    sold: Annotated[float, column("Units that would be sold of the stock there is.", unit="units/day")]
    price: Annotated[float | None, column("Price of the day; null where none is known.", unit="money/unit")]


def why_not_ask(question: Question, method: Method) -> tuple[str, str] | None:
    """The member of a question that cannot be, and why, as the end of a sentence; None where all can."""
    assumed = question.assumed
    for name, plan in (("price", assumed.price), ("promotion", assumed.promotion)):
        if plan is not None and plan.start_date and plan.end_date and plan.start_date > plan.end_date:
            return f"assumptions.{name}.start_date", f"is after end_date, {plan.end_date}"
    if method == "model_exogenous" and assumed.holiday is not None and assumed.holiday.name is None:
        return "assumptions.holiday.name", "is needed by model_exogenous: a name of /dimensions/calendar"
    return None


def result_hash(
    versions: Sequence[str], first: date, days: int, *, product_id: int, store_id: int | None, method: Method, assumed: Assumptions
) -> str:
    """32 hex digits of all that a result depends on: the model runs and days of the baseline, what is asked for, and how."""
    asked = [sorted(versions), first.isoformat(), days, product_id, store_id, method, assumed]
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()[:32]
