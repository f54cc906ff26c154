"""What season plans wait for, and the decisions."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.plans import DecideApprovalParams, Decision, PlanPath, why_not_decide, wrong_value
from assets_config.contract.season import Approval, ApprovalKind, ApprovalStatus
from assets_config.contract.sessions import DecideToolCallParams, ToolApproval, why_not_decide_call
from assets_config.contract.state import NOT_NUL
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_of
from serving.plans import plan_of, said
from serving.problems import Conflict, NotFound, invalid
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.sessions import tool_approvals, utc
from serving.snapshot import Snapshot

ApprovalPath = Annotated[str, PathParameter(description="approval_id of an approval; see /approvals.")]
Note = Annotated[Annotated[str, Meta(max_length=500, pattern=NOT_NUL)] | None, Meta(description="Why.")]


Kind = ApprovalKind | Literal["tool_call"]


class ApprovalSaid(Struct, frozen=True):
    """A decision that a plan, or an agent's call, waits or waited for."""

    approval_id: Annotated[str, Meta(description="Decide it at /approvals/{approval_id}/decision.")]
    plan_id: Annotated[str | None, Meta(description="The plan; read it at /workflows/{workflow_id}. Null for an agent's call.")]
    kind: Annotated[Kind, Meta(description="What is decided: units to manufacture, a markdown, or a call of an agent.")]
    status: Annotated[ApprovalStatus, Meta(description="open, or what was decided.")]
    proposed: Annotated[float | None, Meta(description="What is proposed: units, or a ratio of the price; null for a call.")]
    value: Annotated[float | None, Meta(description="What holds, in the same unit; null before, and where rejected.")]
    reason: Annotated[str, Meta(description="Why that is proposed.")]
    opened_at: Annotated[datetime, Meta(description="Since when it may be decided, UTC.")]
    deadline: Annotated[datetime, Meta(description="When the default is decided where nobody did, UTC.")]
    default_action: Annotated[str, Meta(description="What is decided then: approve or reject.")]
    decided_at: Annotated[datetime | None, Meta(description="When it was decided, UTC; null while it is open.")]
    decided_by: Annotated[str | None, Meta(description="Job that decided it, or `deadline`; null while it is open.")]
    note: Annotated[str | None, Meta(description="Why it was decided so.")]
    session_id: Annotated[str | None, Meta(description="The session whose agent asks; null for a plan.")] = None
    tool_name: Annotated[str | None, Meta(description="What the agent would do; null for a plan.")] = None
    arguments: Annotated[dict[str, Any] | None, Meta(description="With what it would do it; null for a plan.")] = None


class ApprovalAnswer(ApprovalSaid, frozen=True, kw_only=True):
    """A decision, and where it was read."""

    metadata: Metadata


class DecisionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision."""

    decision: Annotated[Decision, Meta(description="approve takes what is proposed, modify the value sent, reject neither.")]
    value: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None, Meta(description="With modify: units, or the markdown as a ratio.")
    ] = None
    note: Note = None


class ManufacturingRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a plan is to manufacture."""

    workflow_id: PlanPath
    quantity: Annotated[int, Meta(ge=0, le=10**12, description="Units; other than those proposed: the plan is modified. [units]")]
    note: Note = None


class MarkdownRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the prices of a plan are cut."""

    workflow_id: PlanPath
    markdown: Annotated[float, Meta(ge=0, le=0.95, description="The cut; other than the one proposed: it is modified. [ratio]")]
    note: Note = None


@table("/approvals", operation_id="list_approvals", tags=["planning"])
async def list_approvals(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    which: Annotated[
        Literal["open", "decided"] | None, QueryParameter(name="state", description="Only those that wait, or only decided ones.")
    ] = None,
    kind: Annotated[Kind | None, QueryParameter(description="Only of a buy, only of a markdown, or only calls of agents.")] = None,
) -> Listed[ApprovalSaid]:
    """What season plans and agents wait or waited for, newest first. Decide with POST /approvals/{approval_id}/decision."""
    rows = await lease.rows("season", "approval", "true ORDER BY opened_at DESC, approval_id")
    calls = [said_of_call(ApprovalSaid, each) for each in await tool_approvals(lease)]
    found: list[ApprovalSaid] = [
        each
        for each in (*(said(ApprovalSaid, Approval(**row)) for row in rows), *calls)
        if (which is None or (each.status == "open") == (which == "open")) and (kind is None or each.kind == kind)
    ]
    found.sort(key=lambda each: each.opened_at, reverse=True)
    return page_of(found, page, page_size, metadata(lease, "season"))


@get("/approvals/{approval_id:str}", operation_id="get_approval", tags=["planning"])
async def get_approval(lease: NamedDependency[Snapshot], approval_id: ApprovalPath) -> ApprovalAnswer:
    """One decision: what is proposed and why, until when, and what was decided."""
    for each in await tool_approvals(lease, "approval_id = ?", [approval_id]):
        told: ApprovalAnswer = said_of_call(ApprovalAnswer, each, metadata=metadata(lease, "state"))
        return told
    found: ApprovalAnswer = said(ApprovalAnswer, await _approval(lease, approval_id), metadata=metadata(lease, "season"))
    return found


@post("/approvals/{approval_id:str}/decision", operation_id="decide_approval", tags=["planning"], status_code=202, opt=OPERATOR)
async def decide_approval(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    approval_id: ApprovalPath,
    data: JSONBody[DecisionRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Approve, reject or modify what is proposed; the plan goes on in the job that is answered. 409 where it is decided.

    An agent's call is approved or rejected; approved, the job carries it out.
    """
    for each in await tool_approvals(lease, "approval_id = ?", [approval_id]):
        return await _decide_call(request, state, each, data, idempotency_key)
    approval = await _approval(lease, approval_id)
    params = DecideApprovalParams(approval_id=approval_id, decision=data.decision, value=data.value, note=data.note)
    return await _decide(request, state, params, approval, idempotency_key, "value")


@post("/approvals/manufacturing", operation_id="decide_manufacturing", tags=["planning"], status_code=202, opt=OPERATOR)
async def decide_manufacturing(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[ManufacturingRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Decide how much a plan manufactures, by its workflow_id. 409 where that is decided."""
    approval = await _of_plan(lease, data.workflow_id, "manufacturing")
    params = _taken(approval, float(data.quantity), data.note)
    return await _decide(request, state, params, approval, idempotency_key, "quantity")


@post("/approvals/markdown", operation_id="decide_markdown", tags=["planning"], status_code=202, opt=OPERATOR)
async def decide_markdown(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[MarkdownRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Decide how much the prices of a plan are cut, by its workflow_id. 409 where that is decided, or not asked yet."""
    approval = await _of_plan(lease, data.workflow_id, "markdown")
    return await _decide(request, state, _taken(approval, data.markdown, data.note), approval, idempotency_key, "markdown")


async def _decide(
    request: Request[Any, Any, Any],
    state: State,
    params: DecideApprovalParams,
    approval: Approval,
    key: str | None,
    field: str,
) -> Response[Job]:
    """Launch the job of a decision. Raises Conflict for a decided approval, Validation for a value that cannot be."""
    if not state.jobs.is_repeated("decide_approval", params, key):
        wrong = wrong_value(params, approval.kind)
        if wrong is not None:
            raise invalid(field, params.value, wrong)
        why = why_not_decide(approval)
        if why is not None:
            raise Conflict(why)
    return await start(request, state, "decide_approval", params, key)


async def _decide_call(
    request: Request[Any, Any, Any], state: State, approval: ToolApproval, data: DecisionRequest, key: str | None
) -> Response[Job]:
    """Launch the job that decides, and does, what an agent waits for."""
    if data.decision == "modify" or data.value is not None:
        raise invalid("decision", data.decision, "an agent's call is approved or rejected as it is: use approve or reject")
    params = DecideToolCallParams(approval_id=approval.approval_id, decision=data.decision, note=data.note)
    if not state.jobs.is_repeated("decide_tool_call", params, key):
        why = why_not_decide_call(approval, utc())
        if why is not None:
            raise Conflict(why)
    return await start(request, state, "decide_tool_call", params, key)


def said_of_call(shape: type[Any], approval: ToolApproval, **more: Any) -> Any:
    """An approval of an agent's call, in the shape of all approvals."""
    own = {"plan_id": None, "kind": "tool_call", "proposed": None, "value": None, "default_action": "reject"}
    arguments = msgspec.json.decode(approval.arguments)
    return said(shape, approval, **{**own, "arguments": arguments, **more})


def _taken(approval: Approval, value: float, note: str | None) -> DecideApprovalParams:
    """Approve a value that is the one proposed, else modify. What was decided already stays what it was."""
    if value == approval.proposed:
        return DecideApprovalParams(approval_id=approval.approval_id, decision="approve", note=note)
    return DecideApprovalParams(approval_id=approval.approval_id, decision="modify", value=value, note=note)


async def _of_plan(lease: Snapshot, plan_id: str, kind: ApprovalKind) -> Approval:
    """Raises NotFound for an unknown plan, Conflict where it does not ask for this."""
    told = await plan_of(lease, plan_id)
    for each in told.approvals:
        if each.kind == kind:
            return each
    raise Conflict(f"Plan {plan_id} asks for no decision on a {kind} now: it is {told.status}.")


async def _approval(lease: Snapshot, approval_id: str) -> Approval:
    for row in await lease.rows("season", "approval", "approval_id = ?", [approval_id]):
        return Approval(**row)
    raise NotFound(f"No approval has the id '{approval_id[:60]}'; /api/v1/approvals lists them.")
