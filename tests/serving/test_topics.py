"""Alerts and season plans are topics like any other: told by what assets say, whichever run made them, and by one number."""

import asyncio
import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from serving.orchestrator.histories import AlertLog
from tests.serving.dagsters import Dagster, Run, webserver
from tests.serving.served import KEY, PATIENCE, Server, server

OPENED = {"type": "alert_opened", "data": {"alert_id": "a" * 32, "severity": "warn"}}
RESOLVED = {"type": "alert_resolved", "data": {"alert_id": "a" * 32, "severity": "warn"}}
PLANNING = {"demandgraph/job_type": "season_plan"}


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    with webserver(tmp_path_factory.mktemp("dagster")) as found:
        yield found


@pytest.fixture(scope="module")
def api(dagster: Dagster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("api"), workers=2, DEMANDGRAPH_DAGSTER_URL=dagster.url) as found:
        yield found


def ran(dagster: Dagster, tells: dict[str, list[Any]], run_id: str | None = None, *, fails: bool = False, **tags: str) -> str:
    """A run that made assets which tell something, and has ended; gives the id of its job."""
    run = Run(dagster.home, run_id or str(uuid.uuid4()), assets=1, fails=fails, tells=tells, tags=tags)
    run.start()
    run.let(len(tells) + 1)
    run.join()
    return run.job_id


def told(plan_id: str, kind: str, **data: Any) -> dict[str, Any]:
    return {"workflow_id": plan_id, "type": kind, "data": {"workflow_id": plan_id, **data}}


def heard(api: Server, path: str, events: int) -> list[dict[str, Any]]:
    """So many events over a websocket."""
    found: list[dict[str, Any]] = []
    with connect(f"ws://127.0.0.1:{api.port}/api/v1{path}", open_timeout=PATIENCE) as opened:
        while len(found) < events:
            frame = json.loads(opened.recv(timeout=PATIENCE))
            assert frame["type"] != "error" or "seq" in frame, frame
            found += [frame] if "seq" in frame else []
    return found


def streamed(api: Server, query: str) -> list[dict[str, Any]]:
    """Every event of a stream that ends."""
    with httpx.stream("GET", f"{api.url}/api/v1/events?{query}", timeout=PATIENCE) as answer:
        assert answer.status_code == 200, answer.read()
        return [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: ")]


def test_what_becomes_of_alerts_is_told_as_it_happens_and_again_from_a_place(dagster: Dagster, api: Server) -> None:
    first = ran(dagster, {"planning/alert": [OPENED]})
    with connect(f"ws://127.0.0.1:{api.port}/api/v1/stream?topic=alerts", open_timeout=PATIENCE) as opened:
        place = json.loads(opened.recv(timeout=PATIENCE))["data"]["seq"]
        ran(dagster, {"planning/alert": []})
        last = ran(dagster, {"planning/alert": [RESOLVED, OPENED]})
        live = [json.loads(opened.recv(timeout=PATIENCE)) for _ in range(2)]

    assert [(each["type"], each["topic"], each["data"]["job_id"]) for each in live] == [
        ("alert_resolved", "alerts", last),
        ("alert_opened", "alerts", last),
    ]
    assert place < live[0]["seq"] < live[1]["seq"]
    again = [heard(api, "/stream?topic=alerts&after=1", 3) for _ in range(4)]
    assert all(each == [again[0][0], *live] for each in again), "each worker tells the same numbers"
    assert again[0][0]["data"] == {**OPENED["data"], "job_id": first}
    assert heard(api, f"/stream?topic=alerts&after={live[0]['seq']}", 1) == live[1:]


def test_a_plan_is_told_from_its_beginning_to_its_end_by_every_run_that_moved_it(dagster: Dagster, api: Server) -> None:
    run_id, other = str(uuid.uuid4()), "f" * 32
    plan = run_id.replace("-", "")
    ran(dagster, {"planning/season_plan": [told(other, "agent_started")]})
    begun = {"planning/season_plan": [told(plan, "agent_started", agent="demand")]}
    waits = {"planning/approval": [told(other, "decision_taken"), told(plan, "human_input_required", agent="inventory")]}
    ran(dagster, begun | waits, run_id, **PLANNING)
    for _ in range(3):
        ran(dagster, {"planning/season_step": []})
    with connect(f"ws://127.0.0.1:{api.port}/api/v1/workflows/{plan}/stream", open_timeout=PATIENCE) as opened:
        assert json.loads(opened.recv(timeout=PATIENCE))["data"] == {"topic": f"workflow:{plan}", "seq": 0}
        early = [json.loads(opened.recv(timeout=PATIENCE)) for _ in range(2)]
        last = ran(
            dagster, {"planning/season_step": [told(plan, "agent_completed"), told(plan, "workflow_complete", status="completed")]}
        )
        late = [json.loads(opened.recv(timeout=PATIENCE)) for _ in range(2)]

    whole = [*early, *late]
    assert [each["type"] for each in whole] == ["agent_started", "human_input_required", "agent_completed", "workflow_complete"]
    assert [each["data"]["job_id"] for each in whole] == [plan, plan, last, last]
    assert [each["seq"] for each in whole] == sorted({each["seq"] for each in whole})
    assert streamed(api, f"topic=workflow:{plan}") == whole, "and the stream ends with the plan"
    assert streamed(api, f"topic=workflow:{plan}&after=workflow:{plan}:{early[1]['seq']}") == late
    over = api.get(f"/api/v1/events?topic=workflow:{plan}", **{"Last-Event-ID": whole[-1]["id"]})
    assert over.status_code == 204


def test_a_plan_that_could_not_be_made_says_why_and_ends(dagster: Dagster, api: Server) -> None:
    plan = ran(dagster, {"planning/season_plan": []}, fails=True, **PLANNING)

    [event] = streamed(api, f"topic=workflow:{plan}")

    assert (event["type"], event["data"]["error_type"], event["data"]["error_message"]) == (
        "error",
        "ValueError",
        "the disk is full",
    )


@pytest.mark.parametrize("plan", ["0" * 32, "none", ""])
def test_a_plan_that_there_is_not_is_told_as_such(plan: str, api: Server) -> None:
    answer = api.get(f"/api/v1/events?topic=workflow:{plan}")
    with connect(f"ws://127.0.0.1:{api.port}/api/v1/stream?topic=workflow:{plan}", open_timeout=PATIENCE) as opened:
        frame = json.loads(opened.recv(timeout=PATIENCE))

    assert answer.status_code == (404 if len(plan) == 32 else 422)
    assert (frame["type"], frame["data"]["code"]) == ("error", "NOT_FOUND")


def test_a_job_that_plans_nothing_is_no_workflow(dagster: Dagster, api: Server) -> None:
    job_id = ran(dagster, {"planning/season_plan": []})

    assert api.get(f"/api/v1/events?topic=workflow:{job_id}").status_code == 404


class Log:
    """Dagster's log of some assets, in memory: whoever made them, numbered over all."""

    def __init__(self) -> None:
        self.times: list[tuple[str, list[Any]]] = []

    async def ask(self, _: str, asked: dict[str, Any]) -> Any:
        before = json.loads(base64.b64decode(asked["cursor"]))["value"] if asked["cursor"] else len(self.times) + 1
        numbers = [n for n in range(len(self.times), 0, -1) if n < before and self.times[n - 1][0] == "/".join(asked["key"])]
        numbers = numbers[: asked["limit"]]
        results = [{"timestamp": "0", "runId": str(n), "metadataEntries": _entries(self.times[n - 1][1])} for n in numbers]
        cursor = base64.b64encode(json.dumps({"value": numbers[-1]}).encode()).decode() if numbers else ""
        return {"assetOrError": {"assetEventHistory": {"results": results, "cursor": cursor}}}


def _entries(told: list[Any]) -> list[dict[str, Any]]:
    return [{"label": "rows", "intValue": 7}, {"label": "told", "jsonString": json.dumps(told)}]


KEYS = ("planning/alert", "planning/other")


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 2)), max_size=30), min_size=1, max_size=4), st.integers(2, 7)
)
def test_every_look_gives_what_was_told_since_the_last_in_order(looks: list[list[tuple[str, int]]], at_once: int) -> None:
    log = Log()
    read = AlertLog(log)  # type: ignore[arg-type]
    read.assets = KEYS

    async def look() -> None:
        for look in looks:
            began = len(log.times)
            log.times += [(key, [OPENED] * many) for key, many in look]
            seqs = [event.seq for event in await read.read()]
            expected = [(began + k + 1) * 1000 + n for k, (_, many) in enumerate(look) for n in range(many)]
            assert seqs == [seq for seq in expected if seq > read.first]
            assert not seqs or seqs[-1] <= read.seq

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("serving.orchestrator.histories.AT_ONCE", at_once)
        asyncio.run(look())


def test_the_newest_demo_run_is_told_by_phases_and_no_second_one_is_started(dagster: Dagster, api: Server) -> None:
    run = Run(dagster.home, str(uuid.uuid4()), assets=3, tags={"demandgraph/job_type": "demo"})
    run.start()
    run.let(1)
    for other in ("seed", "materialize"):
        ran(dagster, {}, **{"demandgraph/job_type": other})
    ask = {"headers": {"X-API-Key": KEY}, "timeout": PATIENCE}
    with connect(f"ws://127.0.0.1:{api.port}/api/v1/demo/stream", open_timeout=PATIENCE) as opened:
        assert json.loads(opened.recv(timeout=PATIENCE))["data"]["topic"] == f"job:{run.job_id}"
    second = httpx.post(f"{api.url}/api/v1/demo/run", json={}, **ask)
    run.let(2)
    run.join()
    said = api.get(f"/api/v1/demo/run/{run.job_id}").json()

    assert (second.status_code, run.job_id in second.json()["detail"]) == (409, True)
    assert [(each["phase_name"], each["status"], each["steps_done"], each["steps_planned"]) for each in said["phases"]] == [
        ("core", "completed", 2, 2),
        ("publish", "completed", 1, 1),
    ]
    assert (said["job"]["status"], said["winner_model_type"]) == ("completed", None), "this root has no snapshot of that run"
    third = httpx.post(f"{api.url}/api/v1/demo/run", json={}, **ask)
    assert third.status_code == 503, "there is no graph in this Dagster"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seed_overrides": {"stores": 3}}, "seed_overrides"),
        ({"skip_seed": False, "seed_overrides": {"shops": 3}}, "seed_overrides.shops"),
        ({"skip_seed": False, "scenario": "none"}, "scenario"),
        ({"seed": -1}, "seed"),
        ({"workspace_name": "june"}, "workspace_name"),
    ],
)
def test_a_demo_run_that_cannot_be_is_refused_by_field(body: dict[str, Any], field: str, api: Server) -> None:
    answer = httpx.post(f"{api.url}/api/v1/demo/run", json=body, headers={"X-API-Key": KEY}, timeout=PATIENCE)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_session_that_could_not_be_opened_tells_nothing_and_ends_and_others_are_none(dagster: Dagster, api: Server) -> None:
    failed = ran(dagster, {"planning/agent_session": []}, fails=True, **{"demandgraph/job_type": "open_session"})
    other = ran(dagster, {"planning/agent_session": []})

    answers = [api.get(f"/api/v1/events?topic=session:{each}").status_code for each in (failed, other, "0" * 32, "none")]

    assert answers == [204, 404, 404, 422]
