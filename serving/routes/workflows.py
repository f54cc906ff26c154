"""Season plans: start one, follow it, forecast it again. What came of it is told in results.py."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.plans import ReforecastParams, SeasonPlanParams, why_not_plan, why_not_reforecast
from assets_config.contract.season import Agent, PlanStatus, StepStatus, Trigger
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_of
from serving.plans import Told, plan_of, plans_of, said, told
from serving.problems import Conflict, NotFound, invalid
from serving.reply import Metadata, metadata
from serving.routes.approvals import ApprovalSaid
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

WorkflowPath = Annotated[str, PathParameter(description="workflow_id of a season plan; see /workflows.")]
EventType = Literal["agent_started", "agent_completed", "human_input_required", "decision_taken", "reforecast", "error"]


class WorkflowSaid(Struct, frozen=True):
    """A season plan."""

    workflow_id: Annotated[str, Meta(description="Read it at /workflows/{workflow_id}; its forecast has the same id.")]
    name: Annotated[str, Meta(description="What people call it.")]
    category: Annotated[str | None, Meta(description="Category that is planned; null: everything.")]
    status: Annotated[
        PlanStatus, Meta(description="How it stands; awaiting_approval: see /approvals; resting: its source is not loaded.")
    ]
    season: Annotated[str | None, Meta(description="Name of the season; null before its forecast.")]
    start_date: Annotated[date, Meta(description="First day of the season.")]
    weeks: Annotated[int, Meta(description="Length of the season. [weeks]")]
    version: Annotated[int, Meta(description="1, and one more each time it was forecast again.")]
    total_season_demand: Annotated[int | None, Meta(description="Demand by the newest forecast; null before one. [units]")]
    weeks_sold: Annotated[int, Meta(description="Weeks whose sales were reported. [weeks]")]
    created_at: Annotated[datetime, Meta(description="When it was asked for, UTC.")]


class StepSaid(Struct, frozen=True):
    """A step of a workflow."""

    step_name: Annotated[str, Meta(description="What is done.")]
    step_index: Annotated[int, Meta(description="Position, from 0.")]
    total_steps: Annotated[int, Meta(description="Number of steps.")]
    agent: Annotated[Agent, Meta(description="Who does it.")]
    status: Annotated[StepStatus, Meta(description="pass, skip, running, waiting for a person or for sales, or fail.")]
    detail: Annotated[str, Meta(description="What came of it, in words.")]


class EventSaid(Struct, frozen=True):
    """Something that happened to a plan."""

    type: Annotated[EventType, Meta(description="What happened.")]
    agent: Annotated[Agent, Meta(description="Whom it happened to.")]
    ts: Annotated[datetime, Meta(description="When, UTC.")]
    data: Annotated[dict[str, Any], Meta(description="What belongs to it.")]


class VersionSaid(Struct, frozen=True):
    """A version of a plan."""

    version: Annotated[int, Meta(description="1 for the plan as it was asked for.")]
    trigger: Annotated[Trigger, Meta(description="Why there is this version.")]
    from_week: Annotated[int, Meta(description="Weeks that were sold when it was made. [weeks]")]
    requested_at: Annotated[datetime, Meta(description="When it was asked for, UTC.")]
    requested_by: Annotated[str, Meta(description="Job that asked for it; read it at /jobs/{job_id}.")]


class ParametersSaid(Struct, frozen=True):
    """What a plan was asked for."""

    forecast_horizon_weeks: Annotated[int, Meta(description="Length of the season. [weeks]")]
    season_start_date: Annotated[date, Meta(description="First day of the season.")]
    replenishment_strategy: Annotated[str, Meta(description="How often stores are sent what they lack.")]
    dc_holdback_percentage: Annotated[float, Meta(description="Part of the buy that is kept at first. [ratio]")]
    markdown_checkpoint_week: Annotated[int | None, Meta(description="Week at whose end prices are looked at; null: never.")]
    safety_stock_percentage: Annotated[float, Meta(description="Bought beyond demand, of it. [ratio]")]


class WorkflowAnswer(WorkflowSaid, frozen=True):
    """A season plan: its parameters, how far it is, and what it waits for."""

    parameters: Annotated[ParametersSaid, Meta(description="What it was asked for.")]
    steps: Annotated[list[StepSaid], Meta(description="Its steps, by agent.")]
    approvals: Annotated[list[ApprovalSaid], Meta(description="What it waits or waited for a decision on.")]
    versions: Annotated[list[VersionSaid], Meta(description="Its versions, oldest first.")]
    events: Annotated[list[EventSaid], Meta(description="What happened, oldest first.")]
    links: Annotated[dict[str, str], Meta(description="Where to read on.")]
    metadata: Metadata


class WorkflowStarted(Struct, frozen=True):
    """A season that is being planned."""

    workflow_id: Annotated[str, Meta(description="Read it at /workflows/{workflow_id} once the job has ended.")]
    job: Job
    links: Annotated[dict[str, str], Meta(description="Where to follow it.")]


@table("/workflows", operation_id="list_workflows", tags=["planning"])
async def list_workflows(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    status: Annotated[PlanStatus | None, QueryParameter(description="Only plans that stand so.")] = None,
) -> Listed[WorkflowSaid]:
    """The season plans, newest first. POST /workflows/forecast makes one."""
    plans = await plans_of(lease)
    found = [_workflow(each) for each in plans.values() if status is None or each.status == status]
    return page_of(found, page, page_size, metadata(lease, "season"))


@post("/workflows/forecast", operation_id="create_workflow", tags=["planning"], status_code=202, opt=OPERATOR)
async def create_workflow(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[SeasonPlanParams],
    idempotency_key: IdempotencyKey = None,
) -> Response[WorkflowStarted]:
    """Plan a season: it is forecast, what to manufacture is proposed, and the plan waits for the decision at /approvals.

    The parameters may come from POST /parameters/extract. 404 for an unknown category.
    """
    why = why_not_plan(data)
    if why is not None:
        field = "max_per_store" if why.startswith("max_per_store") else "markdown_checkpoint_week"
        raise invalid(field, getattr(data, field), why)
    if data.category is not None and data.category not in lease.members["category"]:
        known = ", ".join(sorted(lease.members["category"])[:20])
        raise NotFound(f"No category is called '{data.category[:60]}'; there are {known}.")
    launched = await start(request, state, "season_plan", data, idempotency_key)
    job = launched.content
    links = {"workflow": f"/api/v1/workflows/{job.job_id}", "events": f"/api/v1/jobs/{job.job_id}/events"}
    links["stream"] = f"/api/v1/workflows/{job.job_id}/stream"
    return Response(WorkflowStarted(job.job_id, job, links), status_code=202, headers=launched.headers)


@post("/workflows/reforecast", operation_id="create_reforecast", tags=["planning"], status_code=202, opt=OPERATOR)
async def create_reforecast(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[ReforecastParams],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Forecast the weeks of a season that remain again, from those sold: reported ones, or those that are sent.

    Where sales are more than a fifth off the plan, a sensor does so by itself. 409 where no week is sold, or none remains.
    """
    found = await plan_of(lease, data.forecast_id)
    if not state.jobs.is_repeated("reforecast", data, idempotency_key):
        why = why_not_reforecast(data, found.versions, len(found.variances))
        if why is not None:
            raise Conflict(why)
    return await start(request, state, "reforecast", data, idempotency_key)


@get("/workflows/{workflow_id:str}", operation_id="get_workflow", tags=["planning"])
async def get_workflow(lease: NamedDependency[Snapshot], workflow_id: WorkflowPath) -> WorkflowAnswer:
    """How far a season plan is: steps by agent, what it waits for, what happened. 404 until its first job has published it."""
    found = await plan_of(lease, workflow_id)
    plan = found.versions[0]
    parameters = ParametersSaid(
        plan.weeks, plan.start_date, plan.replenishment, told(plan.holdback), plan.markdown_week, told(plan.safety_stock)
    )
    below = {name: f"workflows/{workflow_id}/{name}" for name in ("results", "stream")}
    below |= {name: f"{name}/{workflow_id}" for name in _LINKED}
    return WorkflowAnswer(
        **structs.asdict(_workflow(found)),
        parameters=parameters,
        steps=[said(StepSaid, each) for each in found.steps],
        approvals=[said(ApprovalSaid, each) for each in found.approvals],
        versions=[said(VersionSaid, each) for each in found.versions],
        events=sorted(_events(found), key=lambda each: each.ts),
        links={name: f"/api/v1/{path}" for name, path in below.items()},
        metadata=metadata(lease, "season"),
    )


_LINKED = ("allocations", "markdowns", "variance")


def _workflow(found: Told) -> WorkflowSaid:
    plan, forecast = found.plan, found.forecasts[-1] if found.forecasts else None
    return WorkflowSaid(
        workflow_id=plan.plan_id,
        name=plan.name,
        category=plan.category,
        status=found.status,
        season=forecast.season if forecast else None,
        start_date=plan.start_date,
        weeks=plan.weeks,
        version=plan.version,
        total_season_demand=forecast.units if forecast else None,
        weeks_sold=len(found.variances),
        created_at=found.versions[0].requested_at.replace(tzinfo=UTC),
    )


def _events(found: Told) -> Iterator[EventSaid]:
    """What happened to a plan, under the names that agents of planning have for it."""

    def event(kind: EventType, agent: Agent, at: datetime, /, **data: Any) -> EventSaid:
        return EventSaid(kind, agent, at.replace(tzinfo=UTC), data)

    made = {each.version: each for each in found.forecasts}
    for plan in found.versions:
        kind: EventType = "agent_started" if plan.version == 1 else "reforecast"
        yield event(kind, "demand", plan.requested_at, version=plan.version, trigger=plan.trigger, job_id=plan.requested_by)
        if plan.version in made:
            forecast = made[plan.version]
            yield event("agent_completed", "demand", forecast.made_at, version=plan.version, total_season_demand=forecast.units)
        elif any(each.status == "fail" for each in found.steps):
            yield event("error", "demand", plan.requested_at, version=plan.version, job_id=plan.requested_by)
    for each in found.approvals:
        agent: Agent = "inventory" if each.kind == "manufacturing" else "pricing"
        asked = {"approval_id": each.approval_id, "kind": each.kind, "proposed": told(each.proposed)}
        yield event("human_input_required", agent, each.opened_at, **asked, options=["approve", "modify", "reject"])
        if each.decided_at is not None:
            yield event("decision_taken", agent, each.decided_at, **asked, status=each.status, value=told(each.value))
