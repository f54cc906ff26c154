"""Conversations as jobs write them down: what is opened, said, decided and closed, and what is refused."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_config.contract import sessions
from assets_config.contract.sessions import (
    ChatParams,
    CloseSessionParams,
    DecideToolCallParams,
    OpenSessionParams,
    ToolCall,
    Turn,
)
from assets_config.contract.turns import Turns
from pipelines.errors import PipelineError
from pipelines.forecasts.registry.state import ALIASES, NOTES, RUNS
from pipelines.planning.sessions import state
from pipelines.planning.sessions.state import APPROVALS, SESSIONS, TURNS, change_sessions, read_book
from pipelines.warehouse import CORE_TABLES, Origin, Warehouse

AT = datetime(2024, 7, 1, 12)
SESSION, OTHER, RUN, CALL = (letter * 32 for letter in "abcd")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse with one model run, and nothing else that is looked at."""
    return bare(tmp_path)


def bare(root: Path) -> Warehouse:
    found = Warehouse(root)
    found.set_origin(Origin("landed", None))
    for key in CORE_TABLES:
        found.write(key, pl.DataFrame({"n": [1]}))
    found.write(RUNS, pl.DataFrame({"run_id": [RUN], "model_type": ["naive"], "status": ["success"]}))
    return found


def change(
    warehouse: Warehouse, *commands: Any, minutes: float = 0, by: str = SESSION, again: str | None = None
) -> list[dict[str, Any]]:
    return change_sessions(warehouse, commands, at=AT + timedelta(minutes=minutes), by=by, again=again)


def opened(warehouse: Warehouse, **params: Any) -> None:
    change(warehouse, OpenSessionParams(**params))


def said(
    warehouse: Warehouse, turn_id: str, calls: Sequence[ToolCall] = (), *, minutes: float = 1, session: str = SESSION
) -> ChatParams:
    """A turn in the landing zone, as the API puts it there."""
    at = (AT + timedelta(minutes=minutes)).replace(tzinfo=UTC)
    turn = Turn(session_id=session, turn_id=turn_id, at=at, message="m", reply="one\ntwo", calls=[*calls])
    content = msgspec.json.encode(turn)
    Turns(warehouse.root).keep(session, turn_id, content)
    return ChatParams(session_id=session, turn_id=turn_id, sha256=sha256(content).hexdigest())


def asks(tool: str = "create_alias", **arguments: Any) -> ToolCall:
    return ToolCall(
        tool_call_id="t-1",
        tool_name=tool,
        arguments=arguments or {"name": "production", "run_id": RUN},
        request="POST",
        status="awaiting_approval",
        result=None,
        duration_ms=1.0,
        approval_id=CALL,
    )


def test_a_session_is_opened_talked_in_and_closed_and_all_of_it_is_told(warehouse: Warehouse) -> None:
    answered = ToolCall(
        tool_call_id="t-1",
        tool_name="get_kpis",
        arguments={"a": 1},
        request="GET",
        status="answered",
        result={"x": 2},
        duration_ms=1.5,
    )

    events = change(warehouse, OpenSessionParams(user="ann"))
    events += change(warehouse, said(warehouse, "1" * 32, [answered]), by="j1")
    events += change(warehouse, CloseSessionParams(session_id=SESSION), minutes=2, by="j2")

    assert [each["type"] for each in events] == [
        *("session_opened", "tool_call_start", "tool_call_end", "text_delta", "text_delta", "complete", "session_closed")
    ]
    assert {each["session_id"] for each in events} == {each["data"]["session_id"] for each in events} == {SESSION}
    by_type = {each["type"]: each["data"] for each in events}
    assert by_type["tool_call_end"]["result"] == {"x": 2}
    assert by_type["tool_call_end"]["duration_ms"] == 1.5
    assert by_type["complete"] | {"session_id": SESSION} == by_type["complete"]
    assert (by_type["complete"]["message"], by_type["complete"]["tokens_used"]) == ("one\ntwo", 0)
    assert "".join(each["data"]["delta"] for each in events if each["type"] == "text_delta") == "one\ntwo"
    book = read_book(warehouse)
    assert (book.sessions[SESSION].opened_by, book.sessions[SESSION].closed_at) == ("ann", AT + timedelta(minutes=2))
    assert [(each.position, each.message, each.made_by) for each in book.turns] == [(1, "m", "j1")]


def test_a_command_that_was_carried_out_is_carried_out_once(warehouse: Warehouse) -> None:
    opened(warehouse)
    turn = said(warehouse, "1" * 32, [asks()])
    decision = DecideToolCallParams(approval_id=CALL, decision="approve")
    change(warehouse, turn, by="j1")
    change(warehouse, decision, minutes=2, by="j2")
    before = {key: warehouse.path(key).read_bytes() for key in (SESSIONS, TURNS, APPROVALS, ALIASES)}

    told = change(warehouse, OpenSessionParams(), turn, minutes=3) + change(warehouse, decision, minutes=3, by="j2")
    told += change(warehouse, OpenSessionParams(), turn, minutes=3, by="j4", again=SESSION)
    told += change(warehouse, decision, minutes=3, by="j3", again="j2")

    assert told == []
    assert {key: warehouse.path(key).read_bytes() for key in before} == before


@pytest.mark.parametrize("writes", range(4))
def test_a_job_that_is_killed_between_two_tables_is_run_again_as_if_nothing_had_been(
    warehouse: Warehouse, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(warehouse)
    kept, left = Warehouse.write, [writes]

    def die(self: Warehouse, key: str, frame: pl.DataFrame) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        kept(self, key, frame)

    for command, by in (
        (said(warehouse, "1" * 32, [asks()]), "j1"),
        (DecideToolCallParams(approval_id=CALL, decision="approve"), "j2"),
        (CloseSessionParams(session_id=SESSION), "j3"),
    ):
        left[0] = writes
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(Warehouse, "write", die)
            change(warehouse, command, minutes=2, by=by)
        change(warehouse, command, minutes=3, by=f"{by}-again", again=by)

    book = read_book(warehouse)
    assert [each.turn_id for each in book.turns] == ["1" * 32]
    assert (book.approvals[CALL].status, book.approvals[CALL].decided_by) in (("approved", "j2"), ("approved", "j2-again"))
    assert warehouse.read(ALIASES)["run_id"].to_list() == [RUN]
    assert book.sessions[SESSION].closed_at is not None


def test_an_approved_call_is_done_by_the_job_that_decides_it(warehouse: Warehouse) -> None:
    opened(warehouse)
    [*_, waits, _, _, _] = change(warehouse, said(warehouse, "1" * 32, [asks()]), by="j1")
    assert (waits["type"], waits["data"]["approval_id"]) == ("approval_required", CALL)
    assert not warehouse.path(ALIASES).exists()

    [taken] = change(warehouse, DecideToolCallParams(approval_id=CALL, decision="approve", note="ok"), minutes=5, by="j2")

    [alias] = warehouse.read(ALIASES).iter_rows(named=True)
    assert (alias["name"], alias["run_id"], alias["changed_by"]) == ("production", RUN, "j2")
    assert (taken["type"], taken["data"]["status"], taken["data"]["decided_by"]) == ("decision_taken", "approved", "j2")
    approval = read_book(warehouse).approvals[CALL]
    assert (approval.status, approval.decided_by, approval.note) == ("approved", "j2", "ok")


def test_an_approved_archive_archives_the_run(warehouse: Warehouse) -> None:
    opened(warehouse)
    change(warehouse, said(warehouse, "1" * 32, [asks("archive_run", run_id=RUN)]))

    change(warehouse, DecideToolCallParams(approval_id=CALL, decision="approve"), minutes=5, by="j2")

    assert warehouse.read(NOTES).select("run_id", "archived").rows() == [(RUN, True)]


def test_a_rejected_call_and_one_of_a_closed_session_change_nothing(warehouse: Warehouse) -> None:
    opened(warehouse)
    change(warehouse, said(warehouse, "1" * 32, [asks()]))

    change(warehouse, CloseSessionParams(session_id=SESSION), minutes=5, by="j2")

    approval = read_book(warehouse).approvals[CALL]
    assert (approval.status, approval.note) == ("rejected", "its session was closed")
    with pytest.raises(PipelineError, match="is rejected already, by j2"):
        change(warehouse, DecideToolCallParams(approval_id=CALL, decision="approve"), minutes=6, by="j3")
    assert not warehouse.path(ALIASES).exists()


def test_what_cannot_be_done_stays_open_and_says_why(warehouse: Warehouse) -> None:
    opened(warehouse)
    change(warehouse, said(warehouse, "1" * 32, [asks(name="production", run_id=OTHER)]))

    with pytest.raises(PipelineError, match="no model run has the id"):
        change(warehouse, DecideToolCallParams(approval_id=CALL, decision="approve"), minutes=5, by="j2")
    with pytest.raises(PipelineError, match="could be decided until 2024-07-01 13:01"):
        change(warehouse, DecideToolCallParams(approval_id=CALL, decision="approve"), minutes=61, by="j3")

    assert read_book(warehouse).approvals[CALL].status == "open"


@pytest.mark.parametrize(
    ("minutes", "why"), [(121.5, "is expired"), (1, None), (120.5, None)], ids=["too late", "at once", "just in time"]
)
def test_a_session_expires_after_its_last_message(warehouse: Warehouse, minutes: float, why: str | None) -> None:
    opened(warehouse, minutes=120)
    change(warehouse, said(warehouse, "1" * 32, minutes=1))

    late = said(warehouse, "2" * 32, minutes=minutes)

    if why is None:
        change(warehouse, late, minutes=500, by="j2")  # it was said in time, however long the job has waited
        assert len(read_book(warehouse).turns) == 2
    else:
        with pytest.raises(PipelineError, match=why):
            change(warehouse, late, by="j2")


def test_nothing_is_said_in_a_session_that_is_closed_full_or_unknown(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_MESSAGES", 3)
    opened(warehouse)
    for n in range(3):
        change(warehouse, said(warehouse, f"{n:032x}"))

    with pytest.raises(PipelineError, match="the most that one may have"):
        change(warehouse, said(warehouse, "f" * 32))
    change(warehouse, CloseSessionParams(session_id=SESSION))
    with pytest.raises(PipelineError, match="is closed"):
        change(warehouse, said(warehouse, "f" * 32))
    with pytest.raises(PipelineError, match="no session has the id"):
        change(warehouse, said(warehouse, "f" * 32, session=OTHER))


def test_bytes_that_are_not_those_that_were_answered_are_not_written_down(warehouse: Warehouse) -> None:
    opened(warehouse)
    turn = said(warehouse, "1" * 32)

    (warehouse.root / "landing/turns" / SESSION / f"{'1' * 32}.json").write_bytes(b"{}")

    with pytest.raises(PipelineError, match="say it again"):
        change(warehouse, turn)
    with pytest.raises(PipelineError, match="say it again"):
        change(warehouse, msgspec.structs.replace(turn, turn_id="2" * 32))


def test_of_answers_to_one_message_the_first_is_kept_and_given_to_all(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        given = set(pool.map(lambda n: turns.keep(SESSION, "1" * 32, str(n).encode()), range(32)))

    assert given == {turns.read(SESSION, "1" * 32)}
    assert [path.name for path in (tmp_path / "landing/turns" / SESSION).iterdir()] == [f"{'1' * 32}.json"]


def test_a_user_has_so_many_sessions_at_once_and_others_are_not_counted(warehouse: Warehouse) -> None:
    for n in range(2):
        change(warehouse, OpenSessionParams(user="ann", most=2), by=f"{n:032x}")
    change(warehouse, OpenSessionParams(user="bob", most=2), by="e" * 32)

    with pytest.raises(PipelineError, match="ann has 2 sessions open, and 2 may be"):
        change(warehouse, OpenSessionParams(user="ann", most=2), by=OTHER)

    change(warehouse, CloseSessionParams(session_id=f"{1:032x}"))
    change(warehouse, OpenSessionParams(user="ann", most=2), minutes=130, by=OTHER)
    assert len(read_book(warehouse).sessions) == 4


def test_the_oldest_sessions_go_with_what_was_said_in_them(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_SESSIONS", 3)
    monkeypatch.setattr(state, "MOST_KEPT", 4)
    for n in range(5):
        change(warehouse, OpenSessionParams(user=str(n)), minutes=n, by=f"{n:032x}")
        for m in range(2):
            change(warehouse, said(warehouse, f"{n}{m}".zfill(32), minutes=n, session=f"{n:032x}"), minutes=n)

    book = read_book(warehouse)
    assert [each.opened_by for each in sorted(book.sessions.values(), key=lambda each: each.opened_at)] == ["3", "4"]
    assert {each.session_id for each in book.turns} == set(book.sessions)
    assert {path.name for path in (warehouse.root / "landing/turns").iterdir()} == set(book.sessions)


def test_who_talks_in_the_oldest_session_keeps_it(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_KEPT", 3)
    for n in range(2):
        change(warehouse, OpenSessionParams(user=str(n)), minutes=n, by=f"{n:032x}")
    for n in range(4):
        change(warehouse, said(warehouse, f"{n:032x}", minutes=n + 2, session=f"{n < 2:032x}"))

    assert [*read_book(warehouse).sessions] == [f"{0:032x}"]
    assert [each.turn_id for each in read_book(warehouse).turns] == [f"{n:032x}" for n in (2, 3)]


def test_closing_leaves_what_the_deadline_has_decided(warehouse: Warehouse) -> None:
    opened(warehouse, minutes=300)
    change(warehouse, said(warehouse, "1" * 32, [asks()]))

    [told] = change(warehouse, CloseSessionParams(session_id=SESSION), minutes=90, by="j2")

    assert told["type"] == "session_closed"
    assert (read_book(warehouse).approvals[CALL].status, read_book(warehouse).approvals[CALL].decided_by) == ("open", None)


@given(orders=st.permutations([0, 1, 2, 3]))
@settings(max_examples=8, deadline=None)
def test_turns_keep_the_order_in_which_they_were_written_down(tmp_path_factory: pytest.TempPathFactory, orders: list[int]) -> None:
    found = bare(tmp_path_factory.mktemp("orders"))
    opened(found)

    for n in orders:
        change(found, said(found, f"{n:032x}"))

    assert [(each.position, int(each.turn_id, 16)) for each in read_book(found).turns] == [*enumerate(orders, 1)]
