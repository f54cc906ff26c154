"""Talk to an agent: open a conversation, say something, read what was said, close it."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from assets_config.contract.sessions import (
    LONGEST_MESSAGE,
    AgentType,
    CloseSessionParams,
    SessionStatus,
    ToolCall,
    expires_at,
    status_of,
    why_not_open,
)
from serving.agents.tools import tools_of
from serving.layers.reads import outside
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.problems import Conflict
from serving.reply import Metadata, metadata
from serving.routes.approvals import ApprovalSaid, said_of_call
from serving.routes.jobs import IdempotencyKey, opened_by, start
from serving.sessions import active_sessions, reply, session_of, told_by_clock, utc
from serving.snapshot import Snapshot

SessionPath = Annotated[str, PathParameter(description="session_id of a session, as POST /agents/sessions gave it.")]


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A session to open."""

    agent_type: Annotated[
        AgentType, Meta(description="experiment: all tools, jobs and approvals too; rag_assistant: the documents alone.")
    ] = "experiment"


class SessionStarted(Struct, frozen=True):
    """A session that is being opened."""

    session_id: Annotated[str, Meta(description="The id of its job; it can be talked to once that is completed.")]
    job: Job
    links: Annotated[dict[str, str], Meta(description="Where to talk, and where to follow it.")]


class MessageSaid(Struct, frozen=True):
    """A message, and what was answered."""

    turn_id: Annotated[str, Meta(description="The message and its answer.")]
    at: Annotated[datetime, Meta(description="When it was answered, UTC.")]
    message: Annotated[str, Meta(description="What was said.")]
    reply: Annotated[str, Meta(description="What was answered.")]
    tool_calls: Annotated[list[ToolCall], Meta(description="The calls that the answer quotes.")]
    made_by: Annotated[str, Meta(description="Job that wrote it down; read it at /jobs/{job_id}.")]


class SessionAnswer(Struct, frozen=True):
    """A session: how it stands, and all that was said in it."""

    session_id: Annotated[str, Meta(description="The session.")]
    agent_type: Annotated[AgentType, Meta(description="What it is for.")]
    status: Annotated[SessionStatus, Meta(description="active; expired, after its time without a message; or closed.")]
    opened_by: Annotated[str | None, Meta(description="Name of the key that opened it; null where there was none.")]
    opened_at: Annotated[datetime, Meta(description="When it was opened, UTC.")]
    last_activity: Annotated[datetime, Meta(description="When something was last said, or it was opened, UTC.")]
    expires_at: Annotated[datetime, Meta(description="When it expires unless something is said, UTC.")]
    closed_at: Annotated[datetime | None, Meta(description="When it was closed, UTC; null where it was not.")]
    messages: Annotated[list[MessageSaid], Meta(description="What was said, oldest first.")]
    approvals: Annotated[list[ApprovalSaid], Meta(description="What waits or waited for a person.")]
    tools: Annotated[list[str], Meta(description="What the agent may call; an operation, a job type or a change.")]
    metadata: Metadata


class ChatRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Something to say."""

    message: Annotated[str, Meta(min_length=1, max_length=LONGEST_MESSAGE, description="English; one question or several.")]


class ChatAnswer(Struct, frozen=True):
    """What an agent answers. It is in the session once the job has written it down."""

    session_id: Annotated[str, Meta(description="The session.")]
    turn_id: Annotated[str, Meta(description="The message and its answer.")]
    message: Annotated[str, Meta(description="What is answered.")]
    tool_calls: Annotated[list[ToolCall], Meta(description="The calls that the answer quotes, each with its request and result.")]
    tool_calls_count: Annotated[int, Meta(description="How many they are.")]
    tokens_used: Annotated[int, Meta(description="Always 0: rules answer, no model.")]
    job: Job
    links: Annotated[dict[str, str], Meta(description="Where to read on.")]


@post("/agents/sessions", operation_id="create_agent_session", tags=["agents"], status_code=202, opt=OPERATOR)
async def open_session(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[SessionRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[SessionStarted]:
    """Open a conversation with an agent. Say something with POST /agents/sessions/{session_id}/chat once the job is completed.

    It ends some time after the last message, or by DELETE. 409 where a key has too many open (GET /config has the limits).
    """
    params = opened_by(request, state, data.agent_type)
    if not state.jobs.is_repeated("open_session", params, idempotency_key):
        why = why_not_open(params.user, await active_sessions(lease), params.most)
        if why is not None:
            raise Conflict(why)
    launched = await start(request, state, "open_session", params, idempotency_key)
    job: Job = launched.content
    return Response(SessionStarted(job.job_id, job, _links(job.job_id)), status_code=202, headers=launched.headers)


@get("/agents/sessions/{session_id:str}", operation_id="get_agent_session", tags=["agents"])
async def get_session(lease: NamedDependency[Snapshot], session_id: SessionPath) -> SessionAnswer:
    """A conversation: how it stands, what was said and which calls were made. 404 until its job has published it."""
    outside()
    found = await session_of(lease, session_id)
    row = found.row
    return SessionAnswer(
        session_id=row.session_id,
        agent_type=row.agent_type,
        status=status_of(row, found.last, utc()),
        opened_by=row.opened_by,
        opened_at=_zoned(row.opened_at),
        last_activity=_zoned(found.last or row.opened_at),
        expires_at=_zoned(expires_at(row, found.last)),
        closed_at=_zoned(row.closed_at) if row.closed_at else None,
        messages=[
            MessageSaid(each.turn_id, _zoned(each.at), each.message, each.reply, _calls(each.tool_calls), each.made_by)
            for each in found.turns
        ],
        approvals=[said_of_call(ApprovalSaid, told_by_clock(each)) for each in found.approvals],
        tools=[each.name for each in tools_of(row.agent_type)],
        metadata=metadata(lease, "state"),
    )


@post("/agents/sessions/{session_id:str}/chat", operation_id="answer_message", tags=["agents"], status_code=202, opt=OPERATOR)
async def chat(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    session_id: SessionPath,
    data: JSONBody[ChatRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[ChatAnswer]:
    """Say something to an agent: it is answered at once from calls of this API, and a job writes both down.

    Rules understand it, no model; every number is quoted from a call, whose request can be sent again. What names or archives a run
    waits at /approvals. 410 for a session that has expired or is closed, 409 for one that is being opened.
    """
    made = await reply(request, state, lease, session_id, data.message, key=idempotency_key)
    headers = {"Location": f"/api/v1/jobs/{made.job.job_id}"}
    answer = ChatAnswer(
        session_id, made.turn.turn_id, made.turn.reply, made.turn.calls, len(made.turn.calls), 0, made.job, _links(session_id)
    )
    return Response(answer, status_code=202, headers=headers)


@delete("/agents/sessions/{session_id:str}", operation_id="delete_agent_session", tags=["agents"], status_code=202, opt=OPERATOR)
async def close_session(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    session_id: SessionPath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Close a conversation: nothing more can be said, what waits in it is rejected, and it can still be read. 409 where it is."""
    params = CloseSessionParams(session_id=session_id)
    if not state.jobs.is_repeated("close_session", params, idempotency_key):
        found = await session_of(lease, session_id)
        if found.row.closed_at is not None:
            raise Conflict(f"Session {session_id} is closed already.")
    return await start(request, state, "close_session", params, idempotency_key)


def _links(session_id: str) -> dict[str, str]:
    own = f"/api/v1/agents/sessions/{session_id}"
    return {"session": own, "chat": f"{own}/chat", "events": f"/api/v1/events?topic=session:{session_id}"}


def _calls(text: str) -> list[ToolCall]:
    return msgspec.json.decode(text, type=list[ToolCall])


def _zoned(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
