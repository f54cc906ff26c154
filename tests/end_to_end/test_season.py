"""A fashion season over HTTP alone: generated, planned from a sentence, decided, sold, forecast again, cut, and told in money."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from demandgraph.ports import any_free_port

COMMAND = Path(sys.executable).with_name("demandgraph")
SENTENCE = (
    "Plan 8 weeks of Dresses starting 3 June 2024. Replenish the stores weekly, keep 45% at the distribution center, "
    "and mark down at week 6."
)
PATIENCE = 240


@pytest.fixture(scope="module")
def api(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running system over a small published chain, and a client with its first key."""
    data = Path(shutil.copytree(published_once, tmp_path_factory.mktemp("season") / "data"))
    ports = ["--port", str(any_free_port()), "--dagster-port", str(any_free_port())]
    with subprocess.Popen(
        [COMMAND, "--data", data, "up", *ports], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as up:
        assert up.stdout is not None
        said = ""
        for line in up.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        try:
            assert up.poll() is None, said
            [key] = set(re.findall(r"dg_[\w-]{43}", said))
            with httpx.Client(base_url=f"http://127.0.0.1:{ports[1]}/api/v1", headers={"X-API-Key": key}, timeout=30) as client:
                yield client
        finally:
            up.terminate()
            up.wait(60)


def done(api: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job of a write that was accepted, once it has ended well."""
    assert answer.status_code == 202, answer.text
    job_id = answer.headers["Location"].rpartition("/")[2]
    return until(lambda: ended(api.get(f"/jobs/{job_id}").json()))


def ended(job: dict[str, Any]) -> dict[str, Any] | None:
    assert job["status"] not in ("failed", "cancelled"), job
    return job if job["status"] == "completed" else None


def until(ask: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def report(api: httpx.Client, plan_id: str, weeks: dict[int, int], codes: list[str]) -> dict[str, Any]:
    """Bring the sales of weeks in, each shared equally among the stores but for the first."""
    lines = [
        f"{code},{week},{units // len(codes) + (units % len(codes) if code == codes[0] else 0)}"
        for week, units in weeks.items()
        for code in codes
    ]
    content = "\n".join(["store_id,week_number,units_sold", *lines])
    return done(api, api.post(f"/ingest/weekly-sales?forecast_id={plan_id}", content=content, headers={"Content-Type": "text/csv"}))


@pytest.mark.timeout(900)  # a dozen Dagster runs, one after the other
def test_a_season_from_a_sentence_to_its_result(api: httpx.Client) -> None:
    seed = {"scenario": "fashion_season", "stores": 5, "products": 18}
    done(api, api.post("/seeder/generate", json=seed))
    codes = [each["code"] for each in api.get("/dimensions/stores").json()["items"]]
    assert len(codes) == 5

    extracted = api.post("/parameters/extract", json={"text": SENTENCE}).json()
    assert (extracted["category"], extracted["confidence"]) == ("Dresses", "high")
    started = api.post("/workflows/forecast", json={**extracted["parameters"], "category": extracted["category"], "name": "Summer"})
    done(api, started)
    plan_id = started.json()["workflow_id"]

    plan = api.get(f"/workflows/{plan_id}").json()
    assert plan["status"] == "awaiting_approval"
    assert [plan["parameters"][name] for name in extracted["parameters"]] == list(extracted["parameters"].values())
    [waiting] = api.get("/approvals?state=open").json()["items"]
    split = api.get(f"/allocations/{plan_id}").json()
    assert waiting["proposed"] == split["proposed_qty"] == -(-split["total_season_demand"] * 6 // 5)
    assert (split["manufacturing_qty"], split["store_allocations"]) == (None, [])
    curve = api.get(f"/workflows/{plan_id}/results").json()["weekly_demand_curve"]
    assert sum(each["units"] for each in curve) == plan["total_season_demand"]

    decision = {"decision": "approve", "note": "as planned"}
    done(api, api.post(f"/approvals/{waiting['approval_id']}/decision", json=decision))
    again = api.post(f"/approvals/{waiting['approval_id']}/decision", json={"decision": "reject"})
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    split = api.get(f"/allocations/{plan_id}").json()
    stores = sum(each["units"] for each in split["store_allocations"])
    assert stores + split["unallocated"] + split["holdback_total"] == split["manufacturing_qty"] == waiting["proposed"]
    assert api.get(f"/workflows/{plan_id}").json()["status"] == "in_season"

    planned = [each["units"] for each in curve]
    missed = {week: planned[week - 1] * 85 // 100 for week in (1, 2, 3)}
    missed[4] = max(int(sum(planned[:4]) * 0.7) - sum(missed.values()), 0)  # 30 % short by the end of week 4
    report(api, plan_id, missed, codes)
    plan = until(lambda: (found := api.get(f"/workflows/{plan_id}").json())["version"] == 2 and found)
    fourth = api.get(f"/variance/{plan_id}/week/4").json()
    assert fourth["threshold_exceeded"] is True
    assert fourth["variance_pct"] == pytest.approx(-0.3, abs=0.02)
    assert fourth["action_taken"] == "re-forecast after week 4: version 2"
    assert plan["versions"][1]["trigger"] == "variance"
    assert api.get(f"/jobs/{plan['versions'][1]['requested_by']}").json()["origin"] == "sensor"
    assert plan["total_season_demand"] < sum(planned)
    assert api.get(f"/variance/{plan_id}/week/5").status_code == 404

    lower = [each["units"] for each in api.get(f"/workflows/{plan_id}/results").json()["weekly_demand_curve"]]
    report(api, plan_id, {5: lower[4], 6: lower[5]}, codes)
    until(lambda: api.get("/approvals?state=open&kind=markdown").json()["items"])
    cut = api.get(f"/markdowns/{plan_id}").json()
    assert cut["week_number"] == 6
    assert 0 < cut["recommended_markdown_pct"] <= 0.6
    assert cut["elasticity_coefficient"] < 0
    done(api, api.post("/approvals/markdown", json={"workflow_id": plan_id, "markdown": 0.3}))
    assert api.get(f"/markdowns/{plan_id}").json()["decided_markdown_pct"] == 0.3

    report(api, plan_id, {7: lower[6] * 3 // 2, 8: lower[7] * 3 // 2}, codes)
    until(lambda: api.get(f"/workflows/{plan_id}").json()["status"] == "completed")
    told = api.get(f"/workflows/{plan_id}/results").json()
    money = {each["policy"]: each for each in told["results"]}
    assert set(money) == {"plan", "naive", "perfect_foresight"}
    assert money["perfect_foresight"]["regret"] == 0
    assert min(each["regret"] for each in money.values()) == 0
    assert money["plan"]["sold"] + money["plan"]["left"] == money["plan"]["bought"] == split["manufacturing_qty"]
    steps = {each["step_name"]: each["status"] for each in api.get(f"/workflows/{plan_id}").json()["steps"]}
    assert set(steps.values()) == {"pass"}, steps
    happened = [each["type"] for each in api.get(f"/workflows/{plan_id}").json()["events"]]
    assert happened.count("human_input_required") == happened.count("decision_taken") == 2
