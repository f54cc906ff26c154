"""The season plans that people asked for, and what they decided: state, changed by commands, all or none.

It is made of no table, so that a run of the graph leaves it as it is. What follows from it is worked out by the assets after it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import polars as pl
from msgspec import Struct, structs

from assets_config.contract.durable import locked
from assets_config.contract.plans import (
    DecideApprovalParams,
    ReforecastParams,
    SeasonPlanParams,
    is_due,
    why_not_decide,
    why_not_plan,
    why_not_reforecast,
    wrong_value,
)
from assets_config.contract.season import Approval, SeasonPlan, SeasonStore
from pipelines.errors import PipelineError
from pipelines.planning.season.history import read_history
from pipelines.shapes import empty, frame_of
from pipelines.warehouse import Warehouse

PLANS, DECISIONS, APPROVALS = "planning/season_plan", "planning/approval_decision", "planning/approval"
STORES = "planning/season_store"
FARTHEST = 182  # days from the last sale to the first of the season
FEWEST = 56  # days of sales before the cutoff


class ApprovalDecision(Struct, frozen=True):
    """One decision, by a person or by the clock."""

    approval_id: str
    plan_id: str
    kind: str
    decision: str
    value: float | None
    note: str | None
    decided_at: datetime
    decided_by: str


@contextmanager
def changing(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of plans and decisions; waits for another process that holds it."""
    with locked(warehouse.folder / "planning" / "plans.lock"):
        yield


def versions(warehouse: Warehouse) -> dict[str, list[SeasonPlan]]:
    """The versions of every plan, oldest first, whichever source it was planned from."""
    found: dict[str, list[SeasonPlan]] = {}
    for row in state(warehouse, PLANS, SeasonPlan).sort("requested_at", "plan_id", "version").iter_rows(named=True):
        found.setdefault(row["plan_id"], []).append(SeasonPlan(**row))
    return found


def living(warehouse: Warehouse) -> dict[str, list[SeasonPlan]]:
    """The plans of the source that is loaded: those whose tables are worked out."""
    lineage = warehouse.stamp("core/sales_daily").lineage
    return {plan_id: found for plan_id, found in versions(warehouse).items() if found[0].lineage == lineage}


def decisions(warehouse: Warehouse) -> dict[str, ApprovalDecision]:
    """What was decided, by approval_id."""
    rows = state(warehouse, DECISIONS, ApprovalDecision).iter_rows(named=True)
    return {row["approval_id"]: ApprovalDecision(**row) for row in rows}


def approval_id(plan_id: str, kind: str) -> str:
    """The id of a plan's approval: 32 hex digits."""
    return hashlib.sha256(f"{plan_id} {kind}".encode()).hexdigest()[:32]


def weeks_sold(warehouse: Warehouse, plan_id: str) -> list[dict[int, int]]:
    """Units by store of each week of a plan that counts as reported, from the first week up to the first that does not.

    A week counts when every store of the plan has reported it, or any of them a later week: the sales of some stores are not those
    of a week, but a store that stays silent holds up no week but the last. Stores that are not of the plan, such as those that
    opened since, get nothing of its buy and are left out.
    """
    stores = set(state(warehouse, STORES, SeasonStore).filter(plan_id=plan_id)["store_id"].to_list())
    by_week: dict[int, dict[int, int]] = {}
    reported = warehouse.read("core/weekly_actuals").filter(pl.col("store_id").is_in(list(stores)), plan=plan_id)
    for store, week, units in reported.select("store_id", "week_number", "units_sold").iter_rows():
        by_week.setdefault(week, {})[store] = units
    last = max(by_week, default=0)
    found: list[dict[int, int]] = []
    while (week := len(found) + 1) in by_week and (week < last or by_week[week].keys() == stores):
        found.append(by_week[week])
    return found


def change_plans(
    warehouse: Warehouse,
    commands: Sequence[SeasonPlanParams | ReforecastParams],
    *,
    last_sale: date,
    first_sale: date,
    at: datetime,
    by: str,
) -> None:
    """Carry out commands on the plans, all or none; without any they stay as they are, to the byte.

    A job that was killed and is carried out again finds its plan or version there, and adds none.

    Takes    last_sale, first_sale: the days that sales reach to and from; at: now, in UTC without a zone; by: the job, whose id a
             plan gets.
    Raises   PipelineError, naming the plan or the parameter that cannot be.
    """
    with changing(warehouse):
        found = versions(warehouse)
        for command in commands:
            if isinstance(command, ReforecastParams):
                told = found.get(command.forecast_id)
                if told is None:
                    raise PipelineError(f"no plan has the id {command.forecast_id}; GET /workflows lists them")
                if told[-1].requested_by != by:
                    told.append(_again(warehouse, command, told, at=at, by=by))
            elif by not in found:
                found[by] = [_planned(warehouse, command, last_sale=last_sale, first_sale=first_sale, at=at, by=by)]
        warehouse.write_changed(PLANS, frame_of(SeasonPlan, [each for told in found.values() for each in told]))


def decide(warehouse: Warehouse, commands: Sequence[DecideApprovalParams], *, at: datetime, by: str) -> list[str]:
    """Carry out decisions, all or none, and the default of every approval that is due; gives the ids of those that were due.

    Raises PipelineError, naming the approval: one that is not there, is decided, or cannot have the value.
    """
    with changing(warehouse):
        opened = {row["approval_id"]: Approval(**row) for row in state(warehouse, APPROVALS, Approval).iter_rows(named=True)}
        made, due = decisions(warehouse), []
        for command in commands:
            approval = opened.get(command.approval_id)
            if approval is None:
                raise PipelineError(f"no approval has the id {command.approval_id}; GET /approvals lists them")
            earlier = made.get(approval.approval_id)
            if earlier is not None and earlier.decided_by == by:
                continue
            if earlier is not None:
                approval = structs.replace(approval, status="approved", decided_by=earlier.decided_by)
            _refuse(why_not_decide(approval) or wrong_value(command, approval.kind))
            value = {"approve": approval.proposed, "modify": command.value, "reject": None}[command.decision]
            made[approval.approval_id] = _decided(approval, command.decision, value, command.note, at=at, by=by)
        for approval in opened.values():
            if approval.approval_id not in made and is_due(approval, at):
                value = approval.proposed if approval.default_action == "approve" else None
                note = "nobody decided in time"
                made[approval.approval_id] = _decided(approval, approval.default_action, value, note, at=at, by="deadline")
                due.append(approval.approval_id)
        warehouse.write_changed(DECISIONS, frame_of(ApprovalDecision, [made[key] for key in sorted(made)]))
    return due


def _decided(
    approval: Approval, decision: str, value: float | None, note: str | None, *, at: datetime, by: str
) -> ApprovalDecision:
    return ApprovalDecision(approval.approval_id, approval.plan_id, approval.kind, decision, value, note, at, by)


def _planned(
    warehouse: Warehouse, command: SeasonPlanParams, *, last_sale: date, first_sale: date, at: datetime, by: str
) -> SeasonPlan:
    _refuse(why_not_plan(command))
    start = command.season_start_date or last_sale + timedelta(days=7 - last_sale.weekday())
    cutoff = min(last_sale, start - timedelta(days=1))
    if (start - last_sale).days > FARTHEST:
        raise PipelineError(f"season_start_date {start} is more than {FARTHEST} days after the last sale, {last_sale}")
    if (cutoff - first_sale).days < FEWEST:
        raise PipelineError(f"season_start_date {start}: a plan needs {FEWEST} days of sales before it; they begin on {first_sale}")
    read_history(warehouse, command.category, cutoff, ahead=0)
    return SeasonPlan(
        plan_id=by,
        version=1,
        trigger="plan",
        from_week=0,
        actuals="[]",
        name=command.name,
        category=command.category,
        start_date=start,
        weeks=command.forecast_horizon_weeks,
        cutoff=cutoff,
        replenishment=command.replenishment_strategy,
        holdback=command.dc_holdback_percentage,
        markdown_week=command.markdown_checkpoint_week,
        safety_stock=command.safety_stock_percentage,
        pack_size=command.pack_size,
        min_per_store=command.min_per_store,
        max_per_store=command.max_per_store,
        approval_hours=command.approval_hours,
        approval_default=command.approval_default,
        lineage=warehouse.stamp("core/sales_daily").lineage,
        requested_at=at,
        requested_by=by,
    )


def _again(warehouse: Warehouse, command: ReforecastParams, told: Sequence[SeasonPlan], *, at: datetime, by: str) -> SeasonPlan:
    sold = [sum(week.values()) for week in weeks_sold(warehouse, command.forecast_id)]
    _refuse(why_not_reforecast(command, told, len(sold)))
    actuals = command.actual_sales_week_1_to_n or sold
    return structs.replace(
        told[-1],
        version=told[-1].version + 1,
        trigger=command.trigger,
        from_week=len(actuals),
        actuals=json.dumps(actuals),
        requested_at=at,
        requested_by=by,
    )


def _refuse(why: str | None) -> None:
    if why is not None:
        raise PipelineError(why)


def state(warehouse: Warehouse, key: str, shape: type[Struct]) -> pl.DataFrame:
    """The rows of a table as they are; none before the first time."""
    return warehouse.read(key) if warehouse.path(key).exists() else empty(shape)
