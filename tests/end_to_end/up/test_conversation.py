"""A conversation with an agent: opened, answered at once, written down, told as events, approved, and closed."""

import json
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.end_to_end.running import PATIENCE, Running, place_of

MESSAGES = (
    "Revenue of S001 last month compared with last year?",
    "and of S002?",
    "backtest naive for SKU-0001 in S001 with 2 folds",
)


@pytest.fixture(scope="module")
def session(up: Running) -> str:
    """A session that has been opened."""
    opened = up.client.post("/agents/sessions", json={})
    session_id = str(opened.json()["session_id"])
    early = up.client.post(f"/agents/sessions/{session_id}/chat", json={"message": "How are we doing?"})
    up.result(place_of(opened))
    assert (early.status_code, early.json()["code"]) == (409, "CONFLICT"), "it was being opened"
    return session_id


@pytest.fixture(scope="module")
def run_id(up: Running) -> str:
    return str(up.read("/registry/runs?status=success&model_type=naive")["items"][0]["run_id"])


@pytest.fixture(scope="module")
def answers(up: Running, session: str, run_id: str) -> list[dict[str, Any]]:
    """What was answered to a few messages, all of which are written down."""
    found = []
    for n, text in enumerate((*MESSAGES, "is it done?", f"promote run {run_id} to candidate; archive run {run_id}")):
        said = up.client.post(f"/agents/sessions/{session}/chat", json={"message": text}, headers={"Idempotency-Key": f"said {n}"})
        assert said.status_code == 202, said.text
        found.append(said.json())
    for each in found:
        up.result(f"/jobs/{each['job']['job_id']}")
    return found


@pytest.fixture(scope="module")
def decided(up: Running, answers: list[dict[str, Any]]) -> tuple[str, str]:
    """The approval of the name, approved, and the job that does it, which others need not wait for."""
    by_tool = {each["tool_name"]: str(each["approval_id"]) for each in answers[-1]["tool_calls"]}
    assert not [each for each in up.read("/registry/aliases")["items"] if each["name"] == "candidate"]
    approval = by_tool["create_alias"]
    return approval, up.post(f"/approvals/{approval}/decision", {"decision": "approve", "note": "as discussed"})


def test_a_message_is_answered_at_once_from_calls_that_can_be_made_again(up: Running, answers: list[dict[str, Any]]) -> None:
    first, second, *_ = answers

    [call], [again] = first["tool_calls"], second["tool_calls"]
    assert (call["tool_name"], call["arguments"]["store_id"], call["arguments"]["compare"]) == ("get_kpis", ["S001"], "year")
    assert again["arguments"] == {**call["arguments"], "store_id": ["S002"]}, "the question before, of another store"
    assert call["result"] == up.read(call["request"].removeprefix("GET /api/v1"))
    assert f"{call['result']['metrics']['total_revenue']:,}" in first["message"]
    assert first["tokens_used"] == 0


def test_a_job_that_an_agent_starts_is_a_job_like_any_other(up: Running, answers: list[dict[str, Any]]) -> None:
    _, _, started, asked, _ = answers

    [call] = started["tool_calls"]
    made = up.result(f"/jobs/{call['job_id']}")
    assert call["status"] == "started"
    assert up.read(f"/backtests/{made['backtest_id']}")["model_type"] == "naive"
    assert asked["tool_calls"][0]["arguments"] == {"job_id": call["job_id"]}


def test_what_was_said_can_be_read_and_is_said_once(up: Running, session: str, answers: list[dict[str, Any]]) -> None:
    same = up.client.post(
        f"/agents/sessions/{session}/chat", json={"message": MESSAGES[0]}, headers={"Idempotency-Key": "said 0"}
    ).json()
    other = up.client.post(
        f"/agents/sessions/{session}/chat", json={"message": "something else"}, headers={"Idempotency-Key": "said 0"}
    )
    found = up.read(f"/agents/sessions/{session}")

    assert (same["turn_id"], same["job"]["job_id"]) == (answers[0]["turn_id"], answers[0]["job"]["job_id"])
    assert other.status_code == 409
    assert found["status"] == "active"
    assert {each["turn_id"]: each["reply"] for each in found["messages"]} == {each["turn_id"]: each["message"] for each in answers}
    assert [each["status"] for each in found["approvals"]] == ["open", "open"]


def test_a_session_is_talked_in_over_a_websocket(up: Running, session: str, decided: tuple[str, str]) -> None:
    key = up.client.headers["X-API-Key"]
    url = f"{up.api.replace('http', 'ws')}/api/v1/agents/stream"
    with connect(url, additional_headers={"X-API-Key": key}, open_timeout=PATIENCE) as socket:
        socket.send(json.dumps({"session_id": session}))
        missing = json.loads(socket.recv(timeout=PATIENCE))
        socket.send(json.dumps({"session_id": session, "message": "Stock of SKU-0001"}))
        frames = [json.loads(socket.recv(timeout=PATIENCE))]
        while frames[-1]["type"] != "complete":
            frames.append(json.loads(socket.recv(timeout=PATIENCE)))
    with connect(url, open_timeout=PATIENCE) as reader:
        reader.send(json.dumps({"session_id": session, "message": "Stock of SKU-0001"}))
        refused = json.loads(reader.recv(timeout=PATIENCE))
        reader.send(json.dumps({"subscribe": ["session:" + "0" * 32]}))
        unknown = json.loads(reader.recv(timeout=PATIENCE))

    assert (missing["type"], missing["data"]["recoverable"]) == ("error", True)
    frames = [each for each in frames if each["type"] not in ("heartbeat", "decision_taken")]  # which is made meanwhile
    assert [each["type"] for each in frames][:3] == ["reply", "tool_call_start", "tool_call_end"]
    assert {each["type"] for each in frames[3:-1]} == {"text_delta"}
    reply, *events = frames
    told = "".join(each["data"]["delta"] for each in events if each["type"] == "text_delta")
    assert told == events[-1]["data"]["message"] == reply["data"]["message"]
    assert {each["topic"] for each in events} == {f"session:{session}"}
    assert refused["data"]["code"] == "FORBIDDEN"
    assert unknown["data"]["code"] == "NOT_FOUND"


def test_an_approved_call_is_done_and_a_decision_is_final(up: Running, decided: tuple[str, str], run_id: str) -> None:
    approval, job = decided

    up.result(job)

    alias = up.read("/registry/aliases/candidate")
    assert (alias["run_id"], f"/jobs/{alias['changed_by']}") == (run_id, job)
    again = up.client.post(f"/approvals/{approval}/decision", json={"decision": "reject"})
    assert (again.status_code, up.read(f"/approvals/{approval}")["status"]) == (409, "approved")


def test_a_closed_session_is_told_as_such_and_its_events_end(up: Running, session: str, answers: list[dict[str, Any]]) -> None:
    closed = place_of(up.client.delete(f"/agents/sessions/{session}"))
    up.result(closed)

    found = up.read(f"/agents/sessions/{session}")
    late = up.client.post(f"/agents/sessions/{session}/chat", json={"message": "one more"})
    with httpx.stream("GET", f"{up.api}/api/v1/events?topic=session:{session}", timeout=PATIENCE) as stream:
        lines = [line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: ")]

    assert (found["status"], sorted(each["status"] for each in found["approvals"])) == ("closed", ["approved", "rejected"])
    assert (late.status_code, late.json()["code"]) == (410, "GONE")
    events = [json.loads(line) for line in lines]
    assert (events[0]["type"], events[-1]["type"]) == ("session_opened", "session_closed")
    assert [each["seq"] for each in events] == sorted({each["seq"] for each in events})
    assert sum(each["type"] == "complete" for each in events) == len(answers) + 1
    assert [each["data"]["status"] for each in events if each["type"] == "decision_taken"] == ["approved", "rejected"]
    assert sum(each["type"] == "approval_required" for each in events) == 2
