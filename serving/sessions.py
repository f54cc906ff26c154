"""Conversations as they are published, and a message in one: what every way to talk to an agent has in common."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from msgspec import Struct

from assets_config.contract.sessions import (
    HEX,
    AgentSession,
    AgentTurn,
    ChatParams,
    ToolApproval,
    ToolCall,
    Turn,
    status_of,
    why_not_chat,
)
from assets_config.contract.turns import Turns
from serving.agents.ask import Before, cleaned
from serving.agents.turns import Answering
from serving.layers.reads import outside
from serving.orchestrator.job import FINAL, Job
from serving.problems import Conflict, Gone, NotFound, OrchestratorUnavailable, invalid
from serving.routes.jobs import start
from serving.snapshot import Snapshot

Asker = ASGIConnection[Any, Any, Any, Any]


class Session(Struct, frozen=True):
    """A session with all that was said in it, oldest first."""

    row: AgentSession
    turns: list[AgentTurn]
    approvals: list[ToolApproval]

    @property
    def last(self) -> datetime | None:
        return self.turns[-1].at if self.turns else None


class Replied(Struct, frozen=True):
    """A message that was answered, and the job that writes it down."""

    turn: Turn
    job: Job


async def session_of(lease: Snapshot, session_id: str) -> Session:
    """A published session. Raises NotFound."""
    for row in await lease.rows("state", "agent_session", "session_id = ?", [session_id]):
        turns = await lease.rows("state", "agent_turn", "session_id = ? ORDER BY position", [session_id])
        approvals = await lease.rows("state", "tool_approval", "session_id = ? ORDER BY opened_at, approval_id", [session_id])
        return Session(AgentSession(**row), [AgentTurn(**each) for each in turns], [ToolApproval(**each) for each in approvals])
    raise NotFound(f"No session has the id '{session_id[:60]}'; POST /api/v1/agents/sessions opens one, and its job publishes it.")


async def active_sessions(lease: Snapshot) -> list[AgentSession]:
    """The sessions in which something may be said now."""
    if not lease.has("state", "agent_session"):
        return []
    last: dict[str, datetime] = dict(await lease.query('SELECT session_id, max("at") FROM state.agent_turn GROUP BY ALL'))
    found = [AgentSession(**row) for row in await lease.rows("state", "agent_session", "true ORDER BY opened_at")]
    return [each for each in found if status_of(each, last.get(each.session_id), utc()) == "active"]


async def tool_approvals(lease: Snapshot, where: str = "true", values: Sequence[Any] = ()) -> list[ToolApproval]:
    """The calls that wait or waited for a person, newest first; one whose time is over counts as rejected by it."""
    rows = await lease.rows("state", "tool_approval", f"{where} ORDER BY opened_at DESC, approval_id", values)
    return [told_by_clock(ToolApproval(**row)) for row in rows]


def told_by_clock(approval: ToolApproval) -> ToolApproval:
    """An approval as it stands now."""
    if approval.status != "open":
        return approval
    outside()
    if utc() < approval.deadline:
        return approval
    return msgspec.structs.replace(approval, status="rejected", decided_at=approval.deadline, decided_by="deadline")


def utc() -> datetime:
    """Now in UTC, without a zone, as tables have it."""
    return datetime.now(UTC).replace(tzinfo=None)


async def reply(asker: Asker, state: State, lease: Snapshot, session_id: str, message: str, *, key: str | None) -> Replied:
    """Answer a message, and have a job write down what was said.

    Raises   NotFound, Conflict and Gone for a session in which nothing can be said; OrchestratorUnavailable, before any tool was
             called, where no job would write it down; that or RateLimited after it, where Dagster takes no more jobs meanwhile:
             what was answered is kept, and the same key has it written down.
    """
    outside()
    text, turns = cleaned(message), Turns(state.settings.data)
    turn_id = uuid4().hex if key is None else hashlib.sha256(f"{session_id}\n{key}".encode()).hexdigest()[:32]
    content = None
    if key is not None and re.match(HEX, session_id):
        content = await asyncio.to_thread(turns.read, session_id, turn_id)  # what was answered stays so, though the session ends
    if content is None:
        session = await _open_session(state, lease, session_id)
        if not text:
            raise invalid("message", None, "has no letter to read")
        await state.jobs.check()
        turn = await _answer(asker, state, lease, session, text, turn_id, turns)
        content = await asyncio.to_thread(turns.keep, session_id, turn_id, msgspec.json.encode(turn))
    turn = msgspec.json.decode(content, type=Turn)
    if turn.message != text:
        raise Conflict(f"The Idempotency-Key '{key}' was used for another message in this session.")
    params = ChatParams(session_id=session_id, turn_id=turn_id, sha256=hashlib.sha256(content).hexdigest())
    job = await start(asker, state, "chat", params, turn_id)  # type: ignore[arg-type]  # a turn is written down once
    return Replied(turn, job.content)


async def _answer(asker: Asker, state: State, lease: Snapshot, session: Session, text: str, turn_id: str, turns: Turns) -> Turn:
    newest = await asyncio.to_thread(turns.newest, session.row.session_id)
    before = _before(session, None if newest is None else msgspec.json.decode(newest, type=Turn))
    who: Mapping[str, Any] = asker.scope["state"]
    answering = Answering(asker.app, lease, state.settings, who, turn_id)
    return await answering.answer(session.row.session_id, session.row.agent_type, text, before)


def _before(session: Session, newest: Turn | None) -> Before:
    """What was called last, and the job that was started last; the newest turn may not be written down yet."""
    last, job_id = (newest.calls[-1] if newest and newest.calls else None), _job_of(newest.calls if newest else [])
    for each in reversed(session.turns):
        if last is not None and (job_id or '"job_id":"' not in each.tool_calls):
            continue  # what need not be read is not decoded: results are long
        calls = msgspec.json.decode(each.tool_calls, type=list[ToolCall])
        last, job_id = last or (calls[-1] if calls else None), job_id or _job_of(calls)
    return Before(last.tool_name, last.arguments, job_id) if last else Before()


def _job_of(calls: Sequence[ToolCall]) -> str | None:
    return next((each.job_id for each in reversed(calls) if each.job_id is not None), None)


async def _open_session(state: State, lease: Snapshot, session_id: str) -> Session:
    try:
        session = await session_of(lease, session_id)
    except NotFound:
        await _refuse_early(state, session_id)
        raise
    why = why_not_chat(session.row, status_of(session.row, session.last, utc()), len(session.turns))
    if why is not None:
        raise Gone(why)
    return session


async def _refuse_early(state: State, session_id: str) -> None:
    """Raises Conflict for a session that is being opened."""
    try:
        job = await state.jobs.get(session_id)
    except (NotFound, OrchestratorUnavailable):
        return
    if job.job_type == "open_session" and job.status not in FINAL:
        raise Conflict(f"Session {session_id} is being opened: say it once job {session_id} is completed.")
