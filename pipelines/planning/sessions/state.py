"""Conversations with agents, as they were had, and what was decided of the calls that change something.

A call that is approved is carried out here and now, under the lock under which the decision is written down, so that no second
decision can cross it; names and notes of model runs change as by jobs of their own, whose rules hold.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, structs

from assets_config.contract.durable import locked
from assets_config.contract.sessions import (
    MOST_KEPT,
    MOST_SESSIONS,
    AgentSession,
    AgentTurn,
    ChatParams,
    CloseSessionParams,
    DecideToolCallParams,
    OpenSessionParams,
    ToolApproval,
    Turn,
    status_of,
    why_not_chat,
    why_not_decide_call,
    why_not_open,
)
from assets_config.contract.state import AnnotateRunParams, SetAliasParams
from assets_config.contract.turns import Turns
from pipelines.errors import PipelineError
from pipelines.forecasts.registry.state import change_aliases, change_notes, changing
from pipelines.planning.sessions import told
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

SESSIONS, TURNS, APPROVALS = "planning/agent_session", "planning/agent_turn", "planning/tool_approval"
Command = OpenSessionParams | ChatParams | CloseSessionParams | DecideToolCallParams
SHAPES: dict[str, type[Struct]] = {SESSIONS: AgentSession, TURNS: AgentTurn, APPROVALS: ToolApproval}


class Book(Struct):
    """The three tables, as they are changed."""

    sessions: dict[str, AgentSession]
    turns: list[AgentTurn]
    approvals: dict[str, ToolApproval]

    def last(self, session_id: str) -> datetime | None:
        """When something was last said in a session."""
        return max((each.at for each in self.turns if each.session_id == session_id), default=None)

    def status(self, session: AgentSession, now: datetime) -> str:
        return status_of(session, self.last(session.session_id), now)


def change_sessions(
    warehouse: Warehouse, commands: Sequence[Command], *, at: datetime, by: str, again: str | None = None
) -> list[dict[str, Any]]:
    """Carry out commands; without any the tables stay as they are, to the byte. Gives what is told of it.

    A command that was carried out already, by a run that was killed after it and is retried, is carried out once. One that was
    killed before it had written down an approved call carries that out again, which sets the same.

    Takes    at: now, in UTC without a zone, as tables have it; by: the job; again: the job that it is a retry of, the first one.
    Raises   PipelineError, naming session, turn or approval.
    """
    events: list[dict[str, Any]] = []
    own = {by, again or by}
    with locked(warehouse.folder / "planning" / "sessions.lock"):
        book = read_book(warehouse)
        for command in commands:
            if isinstance(command, OpenSessionParams):
                events += [] if own & book.sessions.keys() else _open(book, command, at=at, by=by)
            elif isinstance(command, ChatParams):
                events += _write_down(book, _landed(warehouse, command), by=by)
            elif isinstance(command, CloseSessionParams):
                events += _close(book, _session(book, command.session_id), at=at, by=by)
            else:
                events += _decide(warehouse, book, command, at=at, by=by, own=own)
        gone = _drop_oldest(book)
        _keep(warehouse, book)
        for session_id in gone:
            Turns(warehouse.root).forget(session_id)
    return events


def read_book(warehouse: Warehouse) -> Book:
    """The tables as they are; empty before the first session."""
    return Book(
        {row["session_id"]: AgentSession(**row) for row in _rows(warehouse, SESSIONS)},
        [AgentTurn(**row) for row in _rows(warehouse, TURNS)],
        {row["approval_id"]: ToolApproval(**row) for row in _rows(warehouse, APPROVALS)},
    )


def _open(book: Book, command: OpenSessionParams, *, at: datetime, by: str) -> list[dict[str, Any]]:
    active = [each for each in book.sessions.values() if book.status(each, at) == "active"]
    _refuse(why_not_open(command.user, active, command.most))
    book.sessions[by] = AgentSession(by, command.agent_type, command.user, at, command.minutes, None)
    return [told.event(by, "session_opened", agent_type=command.agent_type)]


def _write_down(book: Book, turn: Turn, *, by: str) -> list[dict[str, Any]]:
    session = _session(book, turn.session_id)
    said = [each for each in book.turns if each.session_id == turn.session_id]
    if any(each.turn_id == turn.turn_id for each in said):
        return []
    at = turn.at.replace(tzinfo=None)  # when it was answered: that the job waited does not make it late
    _refuse(why_not_chat(session, status_of(session, book.last(session.session_id), at), len(said)))
    calls = msgspec.json.encode(turn.calls).decode()
    book.turns.append(AgentTurn(turn.session_id, len(said) + 1, turn.turn_id, at, turn.message, turn.reply, calls, by))
    for call in turn.calls:
        if call.approval_id is not None and call.approval_id not in book.approvals:
            arguments = msgspec.json.encode(call.arguments).decode()
            deadline = at + timedelta(minutes=turn.approval_minutes)
            book.approvals[call.approval_id] = ToolApproval(
                *(call.approval_id, turn.session_id, call.tool_call_id, call.tool_name, arguments, turn.message),  # type: ignore[arg-type]
                *("open", at, deadline, None, None, None),
            )
    return told.of_turn(turn)


def _close(book: Book, session: AgentSession, *, at: datetime, by: str) -> list[dict[str, Any]]:
    if session.closed_at is not None:
        return []
    events = []
    for each in list(book.approvals.values()):
        if each.session_id == session.session_id and each.status == "open" and at < each.deadline:
            events.append(_settle(book, each, "rejected", "its session was closed", at=at, by=by))
    book.sessions[session.session_id] = structs.replace(session, closed_at=at)
    return [*events, told.event(session.session_id, "session_closed")]


def _decide(
    warehouse: Warehouse, book: Book, command: DecideToolCallParams, *, at: datetime, by: str, own: set[str]
) -> list[dict[str, Any]]:
    approval = book.approvals.get(command.approval_id)
    if approval is None:
        raise PipelineError(f"no call waits for the approval {command.approval_id}: it is kept no more, or never was")
    if approval.decided_by in own:
        return []
    _refuse(why_not_decide_call(approval, at))
    if command.decision == "approve":
        _carry_out(warehouse, approval, at=at, by=by)
    status = "approved" if command.decision == "approve" else "rejected"
    return [_settle(book, approval, status, command.note, at=at, by=by)]


def _carry_out(warehouse: Warehouse, approval: ToolApproval, *, at: datetime, by: str) -> None:
    if approval.tool_name == "create_alias":
        change_aliases(warehouse, [msgspec.json.decode(approval.arguments, type=SetAliasParams)], at=at, by=by)
    else:
        run_id = msgspec.json.decode(approval.arguments)["run_id"]
        change_notes(warehouse, [AnnotateRunParams(run_id=run_id, archive=True)], at=at, by=by)


def _settle(book: Book, approval: ToolApproval, status: Any, note: str | None, *, at: datetime, by: str) -> dict[str, Any]:
    book.approvals[approval.approval_id] = structs.replace(approval, status=status, decided_at=at, decided_by=by, note=note)
    said = {"action": approval.tool_name, "approval_id": approval.approval_id, "status": status, "decided_by": by}
    return told.event(approval.session_id, "decision_taken", **said)


def _landed(warehouse: Warehouse, command: ChatParams) -> Turn:
    content = Turns(warehouse.root).read(command.session_id, command.turn_id)
    if content is None or sha256(content).hexdigest() != command.sha256:
        raise PipelineError(f"turn {command.turn_id} is not in the landing zone as it was answered: say it again")
    turn = msgspec.json.decode(content, type=Turn)
    if (turn.session_id, turn.turn_id) != (command.session_id, command.turn_id):
        raise PipelineError(f"turn {command.turn_id} is one of another session: say it again")
    return turn


def _session(book: Book, session_id: str) -> AgentSession:
    if session_id not in book.sessions:
        raise PipelineError(f"no session has the id {session_id}: it is kept no more, or never was")
    return book.sessions[session_id]


def _refuse(why: str | None) -> None:
    if why is not None:
        raise PipelineError(why)


def _rows(warehouse: Warehouse, key: str) -> list[dict[str, Any]]:
    return list(warehouse.read(key).iter_rows(named=True)) if warehouse.path(key).exists() else []


def _drop_oldest(book: Book) -> list[str]:
    """Forget the sessions that were silent for longest where there are too many, or too much was said in all; gives their ids."""
    last = {each.session_id: each.opened_at for each in book.sessions.values()}
    for turn in book.turns:
        last[turn.session_id] = max(turn.at, last.get(turn.session_id, turn.at))
    order = sorted(book.sessions.values(), key=lambda each: (last[each.session_id], each.session_id), reverse=True)
    said = Counter(each.session_id for each in book.turns)
    total, kept = 0, set[str]()
    for session in order[:MOST_SESSIONS]:
        total += said[session.session_id]
        if kept and total > MOST_KEPT:
            break
        kept.add(session.session_id)
    gone = [each for each in book.sessions if each not in kept]
    for session_id in gone:
        del book.sessions[session_id]
    return gone


def _keep(warehouse: Warehouse, book: Book) -> None:
    """Write the tables that changed, those of kept sessions; no publish comes between them, since it holds this lock too.

    What says that a session was opened comes last, so that a run that is killed between two of them can be retried.
    """
    rows: dict[str, list[Any]] = {
        APPROVALS: [each for each in book.approvals.values() if each.session_id in book.sessions],
        TURNS: [each for each in book.turns if each.session_id in book.sessions],
        SESSIONS: sorted(book.sessions.values(), key=lambda each: each.session_id),
    }
    with changing(warehouse):
        for key, found in rows.items():
            warehouse.write_changed(key, frame_of(SHAPES[key], found))
