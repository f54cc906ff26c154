"""What people decide about season plans: parameters, the commands that change a plan, and when one is refused.

Serving refuses a command by these rules before a job exists; the asset that carries it out asks them again.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.season import Approval, SeasonPlan
from assets_config.contract.state import NOT_NUL

Strategy = Literal["none", "weekly", "bi-weekly"]
Decision = Literal["approve", "reject", "modify"]
Default = Literal["approve", "reject"]
LONGEST = 52
PlanPath = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,100}(?!\n)$", description="A plan of /workflows; its forecast has the same id.")
]


class SeasonParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The five parameters of a season, each with what holds where nothing is said."""

    forecast_horizon_weeks: Annotated[int, Meta(ge=1, le=LONGEST, description="Length of the season. [weeks]")] = 12
    season_start_date: Annotated[
        date | None,
        Meta(description="First day; the season is planned with the sales before it. Null: the Monday after the last sale."),
    ] = None
    replenishment_strategy: Annotated[Strategy, Meta(description="How often stores are sent what they lack.")] = "weekly"
    dc_holdback_percentage: Annotated[
        float, Meta(ge=0, le=1, description="Part of the buy that the distribution centre keeps at first. [ratio]")
    ] = 0.45
    markdown_checkpoint_week: Annotated[
        Annotated[int, Meta(ge=1, le=LONGEST)] | None,
        Meta(description="Week at whose end prices are looked at; before the last one. Null: there are no markdowns."),
    ] = None


class SeasonPlanParams(SeasonParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Plan a season: forecast it, propose what to manufacture, and wait for the decision."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_NUL, description="What people call the plan.")] = "Season"
    category: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_NUL)] | None,
        Meta(description="Category that is planned; see /dimensions/categories. Null: everything."),
    ] = None
    safety_stock_percentage: Annotated[float, Meta(ge=0, le=2, description="Bought beyond demand, of it. [ratio]")] = 0.2
    pack_size: Annotated[int, Meta(ge=1, le=1000, description="Stores are sent whole packs of so many. [units]")] = 1
    min_per_store: Annotated[int, Meta(ge=0, le=1_000_000, description="Least that a store gets at first. [units]")] = 0
    max_per_store: Annotated[
        Annotated[int, Meta(ge=1, le=10_000_000)] | None,
        Meta(description="Most that a store gets at first. Null: no bound. [units]"),
    ] = None
    approval_hours: Annotated[float, Meta(gt=0, le=8760, description="Time for a decision. [hours]")] = 72
    approval_default: Annotated[Default, Meta(description="What is decided where nobody did in time.")] = "approve"


class ReforecastParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forecast the weeks of a season that remain from those that were sold."""

    forecast_id: PlanPath
    actual_sales_week_1_to_n: Annotated[
        Annotated[list[Annotated[int, Meta(ge=0, le=2**40)]], Meta(min_length=1, max_length=LONGEST)] | None,
        Meta(description="Units that all stores sold, by week from the first. Null: what was brought in as weekly sales. [units]"),
    ] = None
    remaining_weeks: Annotated[
        Annotated[int, Meta(ge=1, le=LONGEST)] | None,
        Meta(description="Weeks that remain; it must agree with the season and the weeks given. Null: those that do. [weeks]"),
    ] = None
    trigger: Annotated[Literal["manual", "variance"], Meta(description="Why: a person asked, or sales were off the plan.")] = (
        "manual"
    )


class DecideApprovalParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decide what a plan waits for; the plan goes on."""

    approval_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="An approval of /approvals.")]
    decision: Annotated[
        Decision, Meta(description="approve takes what is proposed, modify the value that is sent, reject neither.")
    ]
    value: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None,
        Meta(description="With modify: units to manufacture, or the markdown as a ratio."),
    ] = None
    note: Annotated[Annotated[str, Meta(max_length=500, pattern=NOT_NUL)] | None, Meta(description="Why.")] = None


class SeasonReviewParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Work out again, for every plan, what follows from its forecast, decisions and the sales of its weeks."""


def why_not_plan(command: SeasonPlanParams) -> str | None:
    """Why a season may not be planned so, as a sentence; None where it may."""
    week, weeks = command.markdown_checkpoint_week, command.forecast_horizon_weeks
    if week is not None and week >= weeks:
        return (
            f"markdown_checkpoint_week {week} must be before the last week, which is {weeks}: later there is nothing left to sell"
        )
    if command.max_per_store is not None and command.max_per_store < command.min_per_store:
        return f"max_per_store {command.max_per_store} is below min_per_store {command.min_per_store}"
    return None


def why_not_reforecast(command: ReforecastParams, versions: Sequence[SeasonPlan], known: int) -> str | None:
    """Why a plan may not be forecast again so, as a sentence; None where it may.

    Takes the versions of the plan, oldest first, and of how many weeks from the first sales were brought in.
    """
    plan = versions[-1]
    given = command.actual_sales_week_1_to_n
    weeks = known if given is None else len(given)
    if weeks == 0:
        return (
            f"Plan {plan.plan_id} has no week yet that all its stores reported: "
            f"bring them in with POST /ingest/weekly-sales?forecast_id={plan.plan_id}."
        )
    if weeks >= plan.weeks:
        return f"Plan {plan.plan_id} has {plan.weeks} weeks, and {weeks} of them are over: none remains to be forecast."
    if weeks < plan.from_week:
        return f"Plan {plan.plan_id} was forecast again after week {plan.from_week} already; {weeks} weeks are fewer."
    if command.remaining_weeks is not None and command.remaining_weeks != plan.weeks - weeks:
        return f"After {weeks} of {plan.weeks} weeks {plan.weeks - weeks} remain, not {command.remaining_weeks}."
    return None


def why_not_decide(approval: Approval) -> str | None:
    """Why an approval may not be decided so, as a sentence; None where it may."""
    if approval.status != "open":
        return f"Approval {approval.approval_id} is {approval.status} already, by {approval.decided_by}: a decision is not changed."
    return None


def wrong_value(command: DecideApprovalParams, kind: str) -> str | None:
    """What is wrong with the value of a decision, as the end of a sentence; None where it is right."""
    if command.decision != "modify":
        return None if command.value is None else f"is sent with modify only, not with {command.decision}"
    if command.value is None:
        return "is missing: modify needs the value to take instead"
    if kind == "manufacturing" and command.value != int(command.value):
        return "must be whole units"
    if kind == "markdown" and command.value > 0.95:
        return "must be a ratio of the price, at most 0.95"
    return None


def is_due(approval: Approval, now: datetime) -> bool:
    """Whether nobody decided in time."""
    return approval.status == "open" and approval.deadline <= now
