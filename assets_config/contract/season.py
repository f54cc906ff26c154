"""The published tables of season plans: what was planned, decided, sold, and what came of it.

A plan, its forecast and its workflow have one id: that of the job that asked for it.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Struct

from assets_config.contract.columns import Money, StoreId, column

Trigger = Literal["plan", "manual", "variance"]
ApprovalKind = Literal["manufacturing", "markdown"]
ApprovalStatus = Literal["open", "approved", "modified", "rejected"]
Agent = Literal["orchestrator", "demand", "inventory", "pricing"]
StepStatus = Literal["pass", "skip", "running", "waiting", "fail"]
PlanStatus = Literal["resting", "awaiting_approval", "in_season", "rejected", "completed", "failed"]
Policy = Literal["plan", "naive", "perfect_foresight"]
ElasticityLevel = Literal["category", "product"]
ElasticitySource = Literal["own", "shrunk", "prior"]

PlanId = Annotated[str, column("The plan; read it at /workflows/{id}.")]


class SeasonPlan(Struct, frozen=True):
    """One row a version of a plan: 1 as it was asked for, one more each time it was forecast again."""

    plan_id: PlanId
    version: Annotated[int, column("1 for the plan as it was asked for.")]
    trigger: Annotated[Trigger, column("Why there is this version: the plan itself, a person, or sales off the plan.")]
    from_week: Annotated[int, column("Weeks that were sold when it was made; 0 for the first.", unit="weeks")]
    actuals: Annotated[str, column("Units sold in those weeks, as a JSON list.")]
    name: Annotated[str, column("What people call the plan.")]
    category: Annotated[str | None, column("Category that is planned; null: everything.")]
    start_date: Annotated[date, column("First day of the season.")]
    weeks: Annotated[int, column("Length of the season.", unit="weeks")]
    cutoff: Annotated[date, column("Last day of sales that it is planned with.")]
    replenishment: Annotated[str, column("How often stores are sent what they lack: none, weekly or bi-weekly.")]
    holdback: Annotated[float, column("Part of the buy that the distribution centre keeps at first.", unit="ratio")]
    markdown_week: Annotated[int | None, column("Week at whose end prices are looked at; null: never.")]
    safety_stock: Annotated[float, column("Bought beyond demand, of it.", unit="ratio")]
    pack_size: Annotated[int, column("Stores are sent whole packs of so many.", unit="units")]
    min_per_store: Annotated[int, column("Least that a store gets at first.", unit="units")]
    max_per_store: Annotated[int | None, column("Most that a store gets at first; null: no bound.", unit="units")]
    approval_hours: Annotated[float, column("Time for a decision.", unit="hours")]
    approval_default: Annotated[str, column("What is decided where nobody did in time: approve or reject.")]
    lineage: Annotated[str, column("Source that it was planned from, as a hash: it lives on while that is loaded.")]
    requested_at: Annotated[datetime, column("When it was asked for, UTC.")]
    requested_by: Annotated[str, column("Job that asked for it; read it at /jobs/{job_id}.")]


class SeasonForecast(Struct, frozen=True):
    """One row a version of a plan: what the season is forecast to sell, and how that was worked out. Never altered."""

    plan_id: PlanId
    version: Annotated[int, column("Version of the plan.")]
    category: Annotated[str | None, column("Category that is planned; null: everything.")]
    season: Annotated[str, column("Name of the season by its middle, for example Autumn 2024.")]
    cutoff: Annotated[date, column("Last day that the models were allowed to see; later weeks are told as units sold.")]
    start_date: Annotated[date, column("First day of the season.")]
    end_date: Annotated[date, column("Last day of the season.")]
    weeks: Annotated[int, column("Length of the season.", unit="weeks")]
    units: Annotated[int, column("Demand of the season: units sold so far and forecast.", unit="units")]
    prophet_like: Annotated[float, column("What the trend and season regression expects of the season.", unit="units")]
    sarimax: Annotated[float, column("What SARIMAX expects of the season.", unit="units")]
    weight_prophet_like: Annotated[float, column("Weight of prophet_like; SARIMAX has the rest.", unit="ratio")]
    wape_prophet_like: Annotated[float | None, column("Error of its weeks in a backtest as long; null: too short.", unit="ratio")]
    wape_sarimax: Annotated[float | None, column("Error of its weeks in a backtest as long; null: too short.", unit="ratio")]
    factor: Annotated[float, column("What the weeks that remain were multiplied by; 1 for the first version.", unit="ratio")]
    price: Annotated[Money, column("Mean price of the category in the year before.", unit="money/unit")]
    cost: Annotated[Money | None, column("Mean cost of the category; null where no product has one.", unit="money/unit")]
    method: Annotated[str, column("How it was worked out, in words.")]
    made_at: Annotated[datetime, column("When it was made, UTC.")]


class SeasonWeek(Struct, frozen=True):
    """One week of a version of a plan. The weeks add up to the season."""

    plan_id: PlanId
    version: Annotated[int, column("Version of the plan.")]
    week: Annotated[int, column("Week of the season, from 1.")]
    start_date: Annotated[date, column("First day of the week.")]
    units: Annotated[int, column("Expected demand; units sold where the week was over.", unit="units")]
    prophet_like: Annotated[float, column("What prophet_like alone expected.", unit="units")]
    sarimax: Annotated[float, column("What SARIMAX alone expected.", unit="units")]
    is_actual: Annotated[bool, column("Whether the week was over when the version was made.")]


class SeasonStore(Struct, frozen=True):
    """What a store is to sell of a season, and the cluster that it belongs to. The stores add up to the season."""

    plan_id: PlanId
    store_id: StoreId
    cluster: Annotated[str, column("Cluster of the store.")]
    share: Annotated[float, column("Part of the last year's sales; equal where there were none.", unit="ratio")]
    units: Annotated[int, column("Demand of the store over the season.", unit="units")]


class SeasonBuy(Struct, frozen=True):
    """One row a plan: how much to manufacture, and how it is split."""

    plan_id: PlanId
    demand: Annotated[int, column("Demand of the season, of the first version.", unit="units")]
    safety_stock: Annotated[float, column("Bought beyond demand, of it.", unit="ratio")]
    proposed: Annotated[int, column("Units that were proposed to manufacture.", unit="units")]
    manufactured: Annotated[int | None, column("Units that were decided; null before, and where it was rejected.", unit="units")]
    initial: Annotated[int | None, column("Units that go to stores at the start; null before the decision.", unit="units")]
    holdback: Annotated[int | None, column("Units that the distribution centre keeps; null before the decision.", unit="units")]
    unallocated: Annotated[int | None, column("Units that no store could take in whole packs within its bounds.", unit="units")]
    is_relaxed: Annotated[bool, column("Whether the supply did not reach for the minima, so that each was cut.")]
    reason: Annotated[str, column("The arithmetic, in words.")]


class Allocation(Struct, frozen=True):
    """What a store gets at the start of a season, with its arithmetic."""

    plan_id: PlanId
    store_id: StoreId
    cluster: Annotated[str, column("Cluster of the store.")]
    need: Annotated[int, column("Demand of the store over the season, which supply is shared by.", unit="units")]
    least: Annotated[int, column("Least that the store gets.", unit="units")]
    most: Annotated[int | None, column("Most that the store gets; null: no bound.", unit="units")]
    units: Annotated[int, column("Units that it gets.", unit="units")]
    reason: Annotated[str, column("The arithmetic, in words.")]


class Replenishment(Struct, frozen=True):
    """A week of a store: what it had, was sent and sold; weeks to come as they are expected."""

    plan_id: PlanId
    week: Annotated[int, column("Week of the season, from 1.")]
    store_id: StoreId
    opening: Annotated[int, column("Units in the store before the shipment.", unit="units")]
    needed: Annotated[int, column("Units that it lacked until the next shipment.", unit="units")]
    shipped: Annotated[int, column("Units that it is sent.", unit="units")]
    sold: Annotated[int, column("Units sold of those there were; expected ones in weeks to come.", unit="units")]
    lost: Annotated[int, column("Units asked for and not there.", unit="units")]
    is_actual: Annotated[bool, column("Whether the week is over.")]


class VarianceWeek(Struct, frozen=True):
    """A week that is over: plan and sales up to its end."""

    plan_id: PlanId
    week: Annotated[int, column("Week of the season, from 1.")]
    version: Annotated[int, column("Version of the plan that it is measured against: the newest of before that week.")]
    forecasted_cumulative: Annotated[int, column("Units planned up to its end.", unit="units")]
    actual_cumulative: Annotated[int, column("Units sold up to its end.", unit="units")]
    variance: Annotated[float | None, column("(sold - planned) / planned; null where nothing was planned.", unit="ratio")]
    is_exceeded: Annotated[bool, column("Whether it is more than 0.2, up or down; 0.2 exactly is not.")]
    action_taken: Annotated[str, column("What came of it: none, reforecast, or waiting for one.")]


class Markdown(Struct, frozen=True):
    """A cut of the price at the checkpoint, and what it would bring until the end of the season."""

    plan_id: PlanId
    week: Annotated[int, column("Week at whose end prices are looked at.")]
    cut: Annotated[float, column("The cut, of the price.", unit="ratio")]
    is_recommended: Annotated[bool, column("Whether it is the one that clears the stock.")]
    sell_through: Annotated[float, column("Sold of what was made, up to the week.", unit="ratio")]
    planned_sell_through: Annotated[float, column("The same as it was planned first.", unit="ratio")]
    stock: Annotated[int, column("Units that are left.", unit="units")]
    rate: Annotated[float, column("Units that a week is expected to sell without a cut.", unit="units/week")]
    elasticity: Annotated[float, column("Percent that demand moves with a percent of the price.", unit="ratio")]
    units: Annotated[float, column("Units that are sold until the end.", unit="units")]
    revenue: Annotated[Money, column("What they bring.", unit="money")]
    margin: Annotated[Money | None, column("That less their cost; null where it is not known.", unit="money")]
    reason: Annotated[str, column("The arithmetic, in words.")]


class Approval(Struct, frozen=True):
    """A decision that a plan waits or waited for."""

    approval_id: Annotated[str, column("The approval; decide it at /approvals/{approval_id}/decision.")]
    plan_id: PlanId
    kind: Annotated[ApprovalKind, column("What is decided: units to manufacture, or a markdown.")]
    status: Annotated[ApprovalStatus, column("open, or what was decided.")]
    proposed: Annotated[float, column("What is proposed: units, or a ratio of the price.")]
    value: Annotated[float | None, column("What holds: units, or a ratio of the price; null before, and where rejected.")]
    reason: Annotated[str, column("Why that is proposed.")]
    opened_at: Annotated[datetime, column("Since when it may be decided, UTC.")]
    deadline: Annotated[datetime, column("When the default is decided where nobody did, UTC.")]
    default_action: Annotated[str, column("What is decided then: approve or reject.")]
    decided_at: Annotated[datetime | None, column("When it was decided, UTC; null while it is open.")]
    decided_by: Annotated[str | None, column("Job that decided it, or `deadline`; null while it is open.")]
    note: Annotated[str | None, column("Why it was decided so.")]


class SeasonResult(Struct, frozen=True):
    """A season that is over, in money: as it was planned, as last year's sales would have had it, and with all known before."""

    plan_id: PlanId
    policy: Annotated[
        Policy, column("plan; naive: bought and shared by the same weeks a year ago; perfect_foresight: what was asked for.")
    ]
    bought: Annotated[int, column("Units manufactured.", unit="units")]
    sold: Annotated[int, column("Units sold, with the shipments that the policy had made.", unit="units")]
    lost: Annotated[int, column("Units asked for in a store that had none.", unit="units")]
    left: Annotated[int, column("Units left at the end.", unit="units")]
    revenue: Annotated[Money, column("What the sold ones brought; after the checkpoint at the cut price.", unit="money")]
    cost: Annotated[Money, column("What the bought ones cost.", unit="money")]
    salvage: Annotated[Money, column("What the rest brings: half its cost.", unit="money")]
    profit: Annotated[Money, column("Revenue and salvage less cost.", unit="money")]
    regret: Annotated[Money, column("Profit of perfect foresight less this one.", unit="money")]


class SeasonStep(Struct, frozen=True):
    """A step of a plan's workflow."""

    plan_id: PlanId
    step_index: Annotated[int, column("Position, from 0.")]
    total_steps: Annotated[int, column("Number of steps.")]
    step_name: Annotated[str, column("What is done.")]
    agent: Annotated[Agent, column("Who does it; a group of assets.")]
    status: Annotated[StepStatus, column("pass, skip, running, waiting for a person or for sales, or fail.")]
    detail: Annotated[str, column("What came of it, in words.")]


class PriceElasticity(Struct, frozen=True):
    """How demand of a product or category answers to its price, by regression over the sales."""

    level: Annotated[ElasticityLevel, column("Whether the member is a category or a product.")]
    member: Annotated[str, column("Name of the category, or SKU.")]
    elasticity: Annotated[float, column("Percent that demand moves with a percent of the price; what plans use.", unit="ratio")]
    estimate: Annotated[float | None, column("The same by its own sales alone; null where they tell nothing.", unit="ratio")]
    std_error: Annotated[float | None, column("Standard error of the estimate; null where there is none.", unit="ratio")]
    rows: Annotated[int, column("Days of series that it was estimated from.", unit="days")]
    price_changes: Annotated[int, column("Days on which the price of a series was another than on its day before.", unit="days")]
    source: Annotated[ElasticitySource, column("own: the estimate; shrunk: drawn to the category's; prior: assumed.")]
    flag: Annotated[
        str | None, column("implausible: the estimate was positive, clamped: out of -5 to -0.1, sparse: too few changes.")
    ]
