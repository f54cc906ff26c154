"""Conversations over HTTP: how they stand, what is refused in them, and the calls that wait beside season plans."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient
from msgspec import structs

from assets_config.contract.keys import KeyFile
from assets_config.contract.sessions import AgentSession, AgentTurn, ToolApproval, ToolCall, Turn
from assets_config.contract.turns import Turns
from serving.agents.ask import Before
from serving.beside import GOING_ON, to_its_end
from serving.problems import Conflict
from serving.routes import agentstream
from serving.sessions import Session, _before
from serving.settings import read_settings
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

SESSIONS = "/api/v1/agents/sessions"
ACTIVE, SILENT, CLOSED, FULL = (letter * 32 for letter in "abcd")
OPEN, LATE, TAKEN = (letter * 32 for letter in "123")
NOW = datetime.now(UTC)
RUN, JOB = "e" * 32, "f" * 32


def session(session_id: str, minutes: float, **more: Any) -> AgentSession:
    return AgentSession(
        session_id, more.get("kind", "experiment"), "tests", NOW - timedelta(minutes=minutes), 120, more.get("closed")
    )


def turn(session_id: str, position: int, minutes: float) -> AgentTurn:
    calls = json.dumps(
        [
            {
                "tool_call_id": "x-1",
                "tool_name": "get_kpis",
                "arguments": {"store_id": ["S001"]},
                "request": "GET /x",
                "status": "answered",
                "result": {"units": 3},
                "duration_ms": 1.5,
            }
        ]
    )
    at = NOW - timedelta(minutes=minutes)
    return AgentTurn(session_id, position, f"{position:032x}", at, "how much?", "units 3", calls, JOB)


def approval(approval_id: str, minutes: float, status: Any = "open") -> ToolApproval:
    at = NOW - timedelta(minutes=minutes)
    decided = (at, JOB, "fine") if status != "open" else (None, None, None)
    arguments = json.dumps({"name": "production", "run_id": RUN})
    return ToolApproval(
        *(
            approval_id,
            ACTIVE,
            "x-1",
            "create_alias",
            arguments,
            f"promote run {RUN}",
            status,
            at,
            at + timedelta(hours=1),
            *decided,
        )
    )


ROWS = {
    "agent_session": [
        *(session(ACTIVE, 150), session(SILENT, 150), session(CLOSED, 5, closed=NOW), session(FULL, 5)),
    ],
    "agent_turn": [turn(ACTIVE, 1, 140), turn(ACTIVE, 2, 10), *(turn(FULL, n, 1) for n in range(1, 201))],
    "tool_approval": [approval(OPEN, 10), approval(LATE, 61), approval(TAKEN, 30, "approved")],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("sessions")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(("session_id", "status"), [(ACTIVE, "active"), (SILENT, "expired"), (CLOSED, "closed")])
def test_a_session_tells_how_it_stands(client: TestClient, session_id: str, status: str) -> None:
    found = client.get(f"{SESSIONS}/{session_id}")

    assert found.status_code == 200
    assert (found.json()["status"], found.json()["opened_by"]) == (status, "tests")
    assert "age" not in found.headers


def test_a_session_has_what_was_said_with_the_calls_and_what_waits(client: TestClient) -> None:
    found = client.get(f"{SESSIONS}/{ACTIVE}").json()

    assert [(each["message"], each["reply"], each["made_by"]) for each in found["messages"]] == [("how much?", "units 3", JOB)] * 2
    [call] = found["messages"][0]["tool_calls"]
    assert (call["tool_name"], call["result"], call["duration_ms"]) == ("get_kpis", {"units": 3}, 1.5)
    assert found["last_activity"] == found["messages"][1]["at"]
    assert {each["approval_id"]: each["status"] for each in found["approvals"]} == {
        OPEN: "open",
        LATE: "rejected",
        TAKEN: "approved",
    }
    assert {"get_kpis", "create_alias", "answer_question"} <= set(found["tools"])


@pytest.mark.parametrize(
    ("session_id", "status", "said"),
    [
        (SILENT, 410, "is expired: open another one"),
        (CLOSED, 410, "is closed: open another one"),
        (FULL, 410, "the most that one may have"),
        ("9" * 32, 404, "No session has the id"),
        ("../../etc/passwd", 404, ""),
        ("' OR 1=1 --", 404, "No session has the id"),
        (ACTIVE, 503, "Dagster"),
    ],
)
def test_nothing_is_said_in_a_session_that_has_ended_or_never_was(
    client: TestClient, session_id: str, status: int, said: str
) -> None:
    answer = client.post(f"{SESSIONS}/{session_id}/chat", json={"message": "How are we doing?"})

    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_where_no_job_can_write_it_down_nothing_is_answered_and_nothing_kept(client: TestClient, tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    with client_of(tmp_path) as own:
        answer = own.post(f"{SESSIONS}/{ACTIVE}/chat", json={"message": "revenue"}, headers={"Idempotency-Key": "k"})

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert not (tmp_path / "landing/turns").exists()


@pytest.mark.parametrize(
    "message", ["", "x" * 2001, "x" * 100_000, None, 3, ["a"], "\x00\x01", "\u202e"], ids=lambda each: repr(each)[:20]
)
def test_what_is_no_message_is_refused(client: TestClient, message: Any) -> None:
    answer = client.post(f"{SESSIONS}/{ACTIVE}/chat", json={"message": message})

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION")


def test_who_may_only_read_opens_and_says_nothing(client: TestClient) -> None:
    for method, path in (("POST", ""), ("POST", f"/{ACTIVE}/chat"), ("DELETE", f"/{ACTIVE}")):
        body = {"message": "hi"} if path.endswith("chat") else {}
        answer = client.request(method, f"{SESSIONS}{path}", json=body, headers={"X-API-Key": ""})

        assert answer.status_code == 401


def test_a_key_has_so_many_sessions_open_and_no_more(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    with client_of(tmp_path, agent_sessions=2) as client:
        full = client.post(SESSIONS, json={})
    with client_of(tmp_path, agent_sessions=3) as client:
        free = client.post(SESSIONS, json={})
        wrong = client.post(SESSIONS, json={"agent_type": "llm"})

    assert full.status_code == 409
    assert "tests has 2 sessions open, and 2 may be" in full.json()["detail"]
    assert free.status_code == 503, "there is no Dagster here: nothing else is wrong"
    assert wrong.status_code == 422


def test_whose_a_session_is_and_how_long_it_lasts_is_not_for_who_asks_to_say(client: TestClient) -> None:
    given = {"agent_type": "rag_assistant", "user": "alice", "minutes": 9000, "most": 1000}

    told = client.post("/api/v1/jobs", json={"job_type": "open_session", "params": given, "dry_run": True}).json()

    assert told["params"] == {"agent_type": "rag_assistant", "user": "tests", "minutes": 120, "most": 5}


def test_a_closed_session_is_not_closed_again(client: TestClient) -> None:
    answers = {each: client.delete(f"{SESSIONS}/{each}").status_code for each in (CLOSED, "9" * 32, SILENT, ACTIVE)}

    assert answers == {CLOSED: 409, "9" * 32: 404, SILENT: 503, ACTIVE: 503}


def test_calls_that_wait_stand_among_approvals(client: TestClient) -> None:
    every = client.get("/api/v1/approvals").json()["items"]
    waits = client.get("/api/v1/approvals?state=open&kind=tool_call").json()["items"]
    none = client.get("/api/v1/approvals?kind=markdown").json()["items"]
    one = client.get(f"/api/v1/approvals/{OPEN}").json()

    assert [each["approval_id"] for each in every] == [OPEN, TAKEN, LATE]
    assert ([each["approval_id"] for each in waits], none) == ([OPEN], [])
    assert (one["kind"], one["tool_name"], one["arguments"]) == ("tool_call", "create_alias", {"name": "production", "run_id": RUN})
    assert (one["session_id"], one["plan_id"], one["proposed"], one["default_action"]) == (ACTIVE, None, None, "reject")
    assert client.get(f"/api/v1/approvals/{LATE}").json()["decided_by"] == "deadline"


@pytest.mark.parametrize(
    ("approval_id", "body", "status", "said"),
    [
        (OPEN, {"decision": "modify", "value": 3}, 422, "approved or rejected as it is"),
        (OPEN, {"decision": "approve", "value": 3}, 422, "approved or rejected as it is"),
        (TAKEN, {"decision": "reject"}, 409, "is approved already"),
        (LATE, {"decision": "approve"}, 409, "is rejected already, by deadline"),
        (OPEN, {"decision": "approve"}, 503, "Dagster"),
    ],
)
def test_a_call_is_approved_or_rejected_in_time(
    client: TestClient, approval_id: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post(f"/api/v1/approvals/{approval_id}/decision", json=body)

    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_a_snapshot_without_conversations_has_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {}, leave_out=["state"])
    with client_of(tmp_path) as client:
        assert client.get("/api/v1/approvals").json()["items"] == []
        assert client.get(f"{SESSIONS}/{ACTIVE}").status_code == 404
        assert client.post(SESSIONS, json={}).status_code == 503


def test_the_limits_of_agents_are_shown_and_change_while_the_api_runs(client: TestClient) -> None:
    told = {each["name"]: each for each in client.get("/api/v1/config").json()["items"]}

    shown = {name.removeprefix("DEMANDGRAPH_AGENT_"): told[name]["value"] for name in told if "_AGENT_" in name}
    assert shown == {
        "TOOL_CALLS": "10",
        "SECONDS": "20",
        "TRIES": "3",
        "APPROVALS": "create_alias,archive_run",
        "APPROVAL_MINUTES": "60",
        "SESSION_MINUTES": "120",
        "SESSIONS": "5",
    }
    assert client.patch("/api/v1/config", json={"agent_sessions": 7}).status_code == 200
    assert client.patch("/api/v1/config", json={"agent_sessions": None, "agent_tool_calls": 99}).status_code == 422
    assert read_settings({"DEMANDGRAPH_AGENT_APPROVALS": "archive_run"}).agent_approvals == ("archive_run",)


@pytest.mark.parametrize(("session_id", "kind"), [("9" * 32, "session_not_found"), (SILENT, "session_expired")])
def test_a_websocket_ends_with_a_session_that_has_ended_or_never_was(client: TestClient, session_id: str, kind: str) -> None:
    with client.websocket_connect("/api/v1/agents/stream") as socket:
        socket.send_json({"session_id": session_id, "message": "How are we doing?"})
        told = socket.receive_json()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()

    assert (told["type"], told["data"]["error_type"], told["data"]["recoverable"]) == ("error", kind, False)
    assert closed.value.code == 4410


def test_what_was_answered_is_the_same_turn_when_it_is_sent_again_though_the_session_has_ended(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    turn_id = sha256(f"{SILENT}\nk".encode()).hexdigest()[:32]
    kept = Turn(session_id=SILENT, turn_id=turn_id, at=NOW, message="revenue", reply="3")
    Turns(tmp_path).keep(SILENT, turn_id, msgspec.json.encode(kept))
    with client_of(tmp_path) as own:
        path, again = f"{SESSIONS}/{SILENT}/chat", {"Idempotency-Key": "k"}
        same = own.post(path, json={"message": "revenue"}, headers=again)
        other = own.post(path, json={"message": "units"}, headers=again)
        another = own.post(path, json={"message": "revenue"}, headers={"Idempotency-Key": "x"})
        escape = own.post(f"{SESSIONS}/..%2F{SILENT}%00/chat", json={"message": "revenue"}, headers=again)

    assert (same.status_code, same.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), "its job alone is missing"
    assert (other.status_code, another.status_code, escape.status_code) == (409, 410, 404)


def test_what_was_called_last_is_found_from_the_end() -> None:
    read, ran = [{**json.loads(turn(ACTIVE, 1, 1).tool_calls)[0], **more} for more in ({}, {"tool_name": "train", "job_id": JOB})]
    told = [[read], [ran, read], [read], [{**read, "tool_name": "get_stock"}], []]
    rows = [structs.replace(turn(ACTIVE, n, 9 - n), tool_calls=compact(calls)) for n, calls in enumerate(told, 1)]
    newest = Turn(session_id=ACTIVE, turn_id="1" * 32, at=NOW, message="m", reply="r", calls=msgspec.convert([ran], list[ToolCall]))

    assert _before(Session(session(ACTIVE, 9), rows, []), None) == Before("get_stock", {"store_id": ["S001"]}, JOB)
    assert _before(Session(session(ACTIVE, 9), rows, []), newest) == Before("train", {"store_id": ["S001"]}, JOB)
    assert _before(Session(session(ACTIVE, 9), [], []), None) == Before()


def compact(calls: Any) -> str:
    return msgspec.json.encode(calls).decode()


def test_who_lost_the_key_says_nothing_more_over_an_open_websocket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_snapshot(tmp_path, ROWS)
    secret, key = KeyFile(tmp_path).add(role="operator", now=datetime.now(UTC))
    said: list[str] = []

    async def heard(*given: Any, **_: Any) -> None:
        said.append(given[-1])
        raise Conflict("heard")

    monkeypatch.setattr(agentstream, "reply", heard)
    with (
        client_of(tmp_path, headers={"X-API-Key": secret}) as client,
        client.websocket_connect("/api/v1/agents/stream") as socket,
    ):
        socket.send_json({"session_id": ACTIVE, "message": "before"})
        socket.receive_json()
        KeyFile(tmp_path).revoke(key.id, now=datetime.now(UTC))
        socket.send_json({"session_id": ACTIVE, "message": "after"})
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()

    assert (said, closed.value.code) == (["before"], 1008)


def test_a_fault_in_an_answer_over_a_websocket_is_logged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OverflowError("no such day")

    monkeypatch.setattr(agentstream, "reply", fail)
    with client.websocket_connect("/api/v1/agents/stream") as socket:
        socket.send_json({"session_id": ACTIVE, "message": "x"})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()

    assert "OverflowError: no such day" in caplog.text
    assert "/api/v1/agents/stream" in caplog.text


def test_an_answer_that_was_begun_is_ended_though_nobody_waits_for_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        ended.append("all")

    async def leave() -> None:
        waiting = asyncio.create_task(to_its_end(work()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not ended
        await asyncio.gather(*GOING_ON)

    asyncio.run(leave())

    assert ended == ["all"]


@pytest.mark.parametrize(
    "frame",
    [
        *('{"session_id": "x"}', '{"message": "x"}', "{", "[]", '{"session_id": 3, "message": "x"}', '{"message": null}'),
        json.dumps({"session_id": ACTIVE, "message": "x" * 2001}),
        json.dumps({"session_id": ACTIVE, "message": "\x00"}),
        json.dumps({"session_id": ACTIVE, "message": "How are we doing?"}),  # there is no Dagster
    ],
)
def test_what_is_wrong_with_a_frame_is_told_and_the_socket_stays_open(client: TestClient, frame: str) -> None:
    with client.websocket_connect("/api/v1/agents/stream") as socket:
        socket.send_text(frame)
        told = socket.receive_json()
        socket.send_json({"ping": 7})
        pong = socket.receive_json()

    assert (told["type"], told["data"]["recoverable"]) == ("error", True)
    assert (pong["type"], pong["data"]) == ("pong", {"ping": 7})


def test_messages_over_a_websocket_count_as_writes(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    codes = []
    with (
        client_of(tmp_path, write_rate=0.01, rate_burst_seconds=200) as client,
        client.websocket_connect("/api/v1/agents/stream") as socket,
    ):
        for _ in range(3):
            socket.send_json({"session_id": ACTIVE, "message": "How are we doing?"})
            codes.append(socket.receive_json()["data"]["code"])

    assert codes == ["ORCHESTRATOR_UNAVAILABLE"] * 2 + ["RATE_LIMITED"]
