"""Conversations with agents: the published tables of them, the commands that change them, and when one is refused.

Serving answers a message and refuses a command by these rules before a job exists; the asset that writes it down asks them again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from assets_config.contract.columns import column
from assets_config.contract.state import NOT_NUL

AgentType = Literal["experiment", "rag_assistant"]
SessionStatus = Literal["active", "expired", "closed"]
CallStatus = Literal["answered", "refused", "failed", "started", "awaiting_approval"]
GuardedTool = Literal["create_alias", "archive_run"]
ToolDecision = Literal["approve", "reject"]
DecisionStatus = Literal["open", "approved", "rejected"]
LONGEST_MESSAGE = 2000  # letters
MOST_MESSAGES = 200  # of one session
MOST_SESSIONS = 200  # that are kept, the newest
MOST_KEPT = 2000  # messages of all sessions that are kept: the oldest sessions go whole
HEX = r"^[0-9a-f]{32}(?!\n)$"  # `$` alone would let a line end through
SessionId = Annotated[str, Meta(pattern=HEX, description="A session of /agents/sessions.")]


class AgentSession(Struct, frozen=True):
    """A conversation with an agent. What was said in it are rows of agent_turn."""

    session_id: Annotated[str, column("The session, and the job that opened it; read it at /agents/sessions/{session_id}.")]
    agent_type: Annotated[AgentType, column("What it is for: reading, trying and naming models, or asking the documents.")]
    opened_by: Annotated[str | None, column("Name of the key that opened it; null where there was none.")]
    opened_at: Annotated[datetime, column("When it was opened, UTC.")]
    minutes: Annotated[int, column("So long after the last message it expires.", unit="minutes")]
    closed_at: Annotated[datetime | None, column("When it was closed, UTC; null where it was not.")]


class AgentTurn(Struct, frozen=True):
    """A message, and what was answered."""

    session_id: Annotated[str, column("The session that it was said in.")]
    position: Annotated[int, column("Place in the session, from 1.")]
    turn_id: Annotated[str, column("The message and its answer.")]
    at: Annotated[datetime, column("When it was answered, UTC.")]
    message: Annotated[str, column("What was said, without letters that nobody sees.")]
    reply: Annotated[str, column("What was answered.")]
    tool_calls: Annotated[str, column("The calls that the answer quotes, as a JSON list.")]
    made_by: Annotated[str, column("Job that wrote it down; read it at /jobs/{job_id}.")]


class ToolApproval(Struct, frozen=True):
    """A call that changes something and waits, or waited, for a person."""

    approval_id: Annotated[str, column("The approval; decide it at /approvals/{approval_id}/decision.")]
    session_id: Annotated[str, column("The session that asks.")]
    tool_call_id: Annotated[str, column("The call in its turn.")]
    tool_name: Annotated[GuardedTool, column("What would be done.")]
    arguments: Annotated[str, column("With what, as a JSON object.")]
    reason: Annotated[str, column("The message that asked for it.")]
    status: Annotated[DecisionStatus, column("open, or what was decided.")]
    opened_at: Annotated[datetime, column("Since when it may be decided, UTC.")]
    deadline: Annotated[datetime, column("From when it may be decided no more, UTC.")]
    decided_at: Annotated[datetime | None, column("When it was decided, UTC; null while it is open.")]
    decided_by: Annotated[str | None, column("Job that decided it, or that closed its session; null while it is open.")]
    note: Annotated[str | None, column("Why it was decided so.")]


class ToolCall(Struct, frozen=True, kw_only=True):
    """One call of a tool, as it went."""

    tool_call_id: Annotated[str, Meta(description="Names the call in the reply.")]
    tool_name: Annotated[str, Meta(description="The operation of /openapi.json, the job type, or the change that is asked for.")]
    arguments: Annotated[dict[str, Any], Meta(description="What it was called with.")]
    request: Annotated[str, Meta(description="The request that it made, with the snapshot that it read: send it again to check.")]
    status: Annotated[
        CallStatus,
        Meta(description="answered; refused, for what it was asked; failed, try again; started: a job; or awaiting_approval."),
    ]
    result: Annotated[Any, Meta(description="What it gave; long lists are cut, and `cut_to` says so. A problem where refused.")]
    duration_ms: Annotated[float, Meta(description="How long it took. [ms]")]
    job_id: Annotated[str | None, Meta(description="The job that it started; read it at /jobs/{job_id}.")] = None
    approval_id: Annotated[str | None, Meta(description="What it waits for; decide it at /approvals.")] = None


class Turn(Struct, frozen=True, kw_only=True):
    """A message and its answer, as bytes in the landing zone have it until a job has written it down."""

    session_id: str
    turn_id: str
    at: datetime
    message: str
    reply: str
    calls: list[ToolCall] = []
    approval_minutes: int = 60


class OpenSessionParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a conversation with an agent; its id is that of the job."""

    agent_type: Annotated[AgentType, Meta(description="What it is for: all tools, or the documents alone.")] = "experiment"
    user: Annotated[Annotated[str, Meta(max_length=100, pattern=NOT_NUL)] | None, Meta(description="Who opens it.")] = None
    minutes: Annotated[int, Meta(ge=1, le=10_080, description="So long after the last message it expires. [minutes]")] = 120
    most: Annotated[int, Meta(ge=1, le=1000, description="Sessions that the same user may have open at once.")] = 5


class ChatParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write down a message and its answer, which POST /agents/sessions/{session_id}/chat has put into the landing zone."""

    session_id: SessionId
    turn_id: Annotated[str, Meta(pattern=HEX, description="The message and its answer.")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="Hash of their bytes.")]


class CloseSessionParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close a conversation; what waits in it for an approval is rejected."""

    session_id: SessionId


class DecideToolCallParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decide what an agent waits for; once it is approved, it is done by the same job."""

    approval_id: Annotated[str, Meta(pattern=HEX, description="An approval of /approvals, of the kind tool_call.")]
    decision: Annotated[ToolDecision, Meta(description="approve: do it; reject: leave it.")]
    note: Annotated[Annotated[str, Meta(max_length=500, pattern=NOT_NUL)] | None, Meta(description="Why.")] = None


def expires_at(session: AgentSession, last: datetime | None) -> datetime:
    """When a session expires, after its last message or, before there is one, its opening."""
    return (last or session.opened_at) + timedelta(minutes=session.minutes)


def status_of(session: AgentSession, last: datetime | None, now: datetime) -> SessionStatus:
    """How a session stands; all times in UTC, with a zone or without."""
    if session.closed_at is not None:
        return "closed"
    return "active" if now < expires_at(session, last) else "expired"


def why_not_open(user: str | None, active: Sequence[AgentSession], most: int) -> str | None:
    """Why a user may not open one more session beside those that are active, as a sentence; None where they may."""
    own = [each.session_id for each in active if each.opened_by == user]
    if len(own) < most:
        return None
    return f"{user or 'nobody'} has {len(own)} sessions open, and {most} may be: close one, such as {own[0]}, or let it expire."


def why_not_chat(session: AgentSession, status: SessionStatus, messages: int) -> str | None:
    """Why nothing may be said in a session any more, as a sentence; None where it may."""
    if status != "active":
        return f"Session {session.session_id} is {status}: open another one with POST /api/v1/agents/sessions."
    if messages >= MOST_MESSAGES:
        return f"Session {session.session_id} has {messages} messages, the most that one may have: open another one."
    return None


def why_not_decide_call(approval: ToolApproval, now: datetime) -> str | None:
    """Why an approval may not be decided, as a sentence; None where it may."""
    if approval.status != "open":
        return f"Approval {approval.approval_id} is {approval.status} already, by {approval.decided_by}: a decision is not changed."
    if now >= approval.deadline:
        return (
            f"Approval {approval.approval_id} could be decided until {approval.deadline:%Y-%m-%d %H:%M} UTC: ask the agent again."
        )
    return None
