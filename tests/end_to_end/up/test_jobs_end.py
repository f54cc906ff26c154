"""Jobs over HTTP come to their end, and a GET shows what came of them.

Those that lean on nothing are sent at once, before the first test waits for one: Dagster's queue is never empty meanwhile.
"""

import hashlib
import json
import os
import re
import subprocess
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.end_to_end.running import COMMAND, Running, place_of
from tests.end_to_end.up.conftest import Outlet
from tests.end_to_end.up.readme import README, contains, curls

Sent = dict[str, str]  # the path of the job, by what it is for
READS = {
    "features": "/featuresets",
    "explain": "/items/SKU-0001/explanation",
    "segment": "/dimensions/segments",
    "cluster": "/dimensions/stores/clusters",
    "kpis": "/analytics/drilldowns?dimension=category&start_date=2024-01-02&end_date=2024-12-31",
    "materialize": "/inventory/risks",
    "template": "/notification-templates",
    "rule": "/alert-rules",
}
"""Where to read what a job made, of those that are sent first."""
PRICE = {"price": {"change": -0.1, "elasticity": -2}}


@pytest.fixture(scope="module")
def runs(up: Running) -> list[str]:
    """Model runs that may be named."""
    return [each["run_id"] for each in up.read("/registry/runs?status=success")["items"]]


@pytest.fixture(scope="module")
def of_readme(up: Running) -> Sent:
    """The three jobs that the README's lines send, by type."""
    [lines] = re.findall(r"```sh\n(ONE=.*?done\n)```", README.read_text(), re.DOTALL)
    lines = lines.replace("http://127.0.0.1:8123", up.api).replace("curl ", "curl -s ")
    environment = {**os.environ, "KEY": up.client.headers["X-API-Key"]}
    done = subprocess.run(["bash", "-euc", lines], capture_output=True, text=True, timeout=60, env=environment)
    return {each["job_type"]: f"/jobs/{each['job_id']}" for each in map(json.loads, done.stdout.replace("}{", "}\n{").splitlines())}


@pytest.fixture(scope="module")
def sent(up: Running, of_readme: Sent, runs: list[str]) -> Sent:
    """Jobs that lean on no other; first those that run beside the graph and that others wait for."""
    asked: dict[str, tuple[str, Any]] = {
        "preference": ("set_preference", {"user": "ann", "channels": ["webhook"], "rules": ["stockout_risk"]}),
        "production": ("set_alias", {"name": "production", "run_id": runs[0], "protected": True, "note": "for good"}),
        "note": ("annotate_run", {"run_id": runs[1], "archive": True, "tags": ["too-slow"], "notes": "see June"}),
        "scenario": ("scenario", {"name": "Ten off", "product_id": "SKU-0001", "assumptions": PRICE, "tags": ["price"]}),
        "rule": ("set_alert_rule", {"rule": "bias", "enabled": False}),
        "template": ("set_template", {"event": "acknowledged", "subject": "Seen: {title}", "body": "{note}"}),
        "backup": ("backup", {"keep": 1}),
        "features": ("features", {}),
        "explain": ("explain", {}),
        "segment": ("segment", {}),
        "cluster": ("cluster", {"clusters": 2}),
        "kpis": ("kpis", {}),
        "verify": ("verify_data", {}),
        "materialize": ("materialize", {"assets": ["planning/stock_risk", "publish/snapshot"]}),
    }
    return {name: up.start(job_type, params, key=name) for name, (job_type, params) in asked.items()}


def test_the_three_jobs_of_the_readme_end_with_what_gets_serve(up: Running, of_readme: Sent, sent: Sent) -> None:
    assert list(of_readme) == ["train", "backtest", "export"]
    trained, tested, written = (up.result(job) for job in of_readme.values())
    run = trained["run_id"]
    assert up.read(f"/registry/runs/{run}/verify")["verified"] is True
    read = up.read(f"/backtests/{tested['backtest_id']}")["aggregated_metrics"]
    assert {name: read[name] for name in tested["aggregated_metrics"]} == tested["aggregated_metrics"]
    [export] = [each for each in up.read("/exports")["items"] if each["export_id"] == written["export_id"]]
    for file in export["files"]:
        content = up.reader.get(f"/exports/{export['export_id']}/{file['name']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content.splitlines()) == file["rows"] + 1


def test_the_same_key_and_body_are_the_same_job(up: Running, sent: Sent) -> None:
    other = up.client.post("/jobs", json={"job_type": "refresh"}, headers={"Idempotency-Key": "features"})

    assert up.start("features", key="features") == sent["features"]
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")


def test_an_alert_is_acknowledged_and_a_webhook_that_was_gone_is_told_again(up: Running, sent: Sent, outlet: Outlet) -> None:
    chosen = up.result(sent["preference"])["snapshot_id"]
    [ann] = [each for each in up.read("/notification-preferences", snapshot=chosen)["items"] if each["user"] == "ann"]
    assert (ann["channels"], ann["changed_by"]) == (["webhook"], sent["preference"].removeprefix("/jobs/"))
    up.result(sent["template"])
    alert = up.read("/alerts?rule=stockout_risk&alert_state=open")["items"][0]["alert_id"]

    answer = up.client.patch(f"/alerts/{alert}", json={"action": "acknowledge", "note": "more is on its way"})
    seen = up.result(place_of(answer))["snapshot_id"]

    found = up.read(f"/alerts/{alert}", snapshot=seen)
    assert (found["state"], found["note"]) == ("acknowledged", "more is on its way")
    [dead] = up.read("/notifications?channel=webhook", alert_id=alert, snapshot=seen)["items"]
    assert (dead["state"], dead["reason"], dead["attempts"]) == ("dead", "answered 410", 1)
    assert dead["subject"] == f"Seen: {found['title']}"
    number, outlet.is_open = dead["notification_id"], True
    told = up.result(up.post(f"/notifications/{number}/retry"))["snapshot_id"]
    [again] = up.read("/notifications?channel=webhook", alert_id=alert, snapshot=told)["items"]
    assert (again["state"], again["attempts"]) == ("delivered", 2)
    attempts = up.read(f"/notifications/{number}/deliveries", snapshot=told)["items"]
    assert [(each["outcome"], each["detail"]) for each in attempts] == [("failed", "answered 410"), ("delivered", "answered 204")]
    assert outlet.told.count(number) == 2


def test_names_and_notes_are_set_and_taken_away(up: Running, sent: Sent, runs: list[str]) -> None:
    named, noted = up.result(sent["production"])["snapshot_id"], up.result(sent["note"])["snapshot_id"]

    refused = up.client.delete("/registry/aliases/production")
    gone = up.result(place_of(up.client.delete("/registry/aliases/production?force=true")))["snapshot_id"]

    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    found = up.read("/registry/aliases/production", snapshot=named)
    assert [found[name] for name in ("run_id", "protected", "note")] == [runs[0], True, "for good"]
    assert f"/jobs/{found['changed_by']}" == sent["production"]
    assert up.read("/registry/aliases", snapshot=gone)["items"] == []
    archived = up.read(f"/registry/runs/{runs[1]}", snapshot=noted)
    assert [archived[name] for name in ("status", "tags", "notes")] == ["archived", ["too-slow"], "see June"]


def test_a_scenario_is_saved_and_deleted(up: Running, sent: Sent) -> None:
    saved, number = up.result(sent["scenario"])["snapshot_id"], sent["scenario"].removeprefix("/jobs/")
    simulated = up.client.post("/scenarios/simulate", json={"product_id": "SKU-0001", "assumptions": PRICE}).json()

    gone = up.result(place_of(up.client.delete(f"/scenarios/{number}")))["snapshot_id"]

    found = up.read(f"/scenarios/{number}", snapshot=saved)
    assert (found["name"], found["tags"], found["elasticity"]) == ("Ten off", ["price"], -2)
    assert (found["sums"], found["days"]) == (simulated["sums"], simulated["days"])
    assert found["sums"]["units"] == pytest.approx(found["sums"]["baseline_units"] * 0.9**-2, rel=1e-6)
    assert up.reader.get(f"/scenarios/{number}", params={"snapshot": gone}).status_code == 404
    assert up.read("/scenarios?tag=price", snapshot=gone)["items"] == []


def test_a_document_is_indexed_found_and_deleted(up: Running, sent: Sent) -> None:
    def found(snapshot: str) -> list[str]:
        body = {"query": "who takes returns of zeppelins", "filters": {"source": ["handbook/zeppelins.md"]}}
        answer = up.client.post(f"/rag/retrieve?snapshot={snapshot}", json=body).json()
        return [each["source_id"] for each in answer["results"]]

    page = {"source_path": "handbook/zeppelins.md", "content": "# Zeppelins\n\nThe hangar takes returns of zeppelins."}
    indexed = up.result(up.post("/rag/index", page))
    assert indexed["documents"]["handbook/zeppelins.md"] == "indexed"
    [source] = found(indexed["snapshot_id"])

    deleted = up.result(place_of(up.client.delete(f"/rag/sources/{source}")))

    assert found(deleted["snapshot_id"]) == []
    assert found(indexed["snapshot_id"]) == [source]


def test_each_of_those_sent_first_ended_with_a_snapshot_that_a_get_reads(up: Running, sent: Sent) -> None:
    results = {name: up.result(job) for name, job in sent.items()}

    published = {name: results[name]["snapshot_id"] for name in READS}
    made_by = {each["id"]: each["dagster_run_id"].replace("-", "") for each in up.read("/system/snapshots?page_size=100")["items"]}
    assert {f"/jobs/{made_by[published[name]]}" for name in READS} == {sent[name] for name in READS}
    found = {name: up.read(path, snapshot=published[name]) for name, path in READS.items()}
    assert {name: each["metadata"]["snapshot_id"] for name, each in found.items()} == published
    assert all(each["items"] for each in found.values())
    assert sum(each["store_count"] for each in found["cluster"]["items"]) == 5
    assert [each["enabled"] for each in found["rule"]["items"] if each["rule"] == "bias"] == [False]
    assert [each["body"] for each in found["template"]["items"] if each["event"] == "acknowledged"] == ["{note}"]
    checks = up.read("/assets/core/sales_daily/checks?check=grain_unique")["items"]
    assert sent["verify"] in {f"/jobs/{each['job_id']}" for each in checks}
    kept = up.data / results["backup"]["backup"]
    assert (kept / "published/snapshots" / f"{results['backup']['snapshot_id']}.json").exists()


def test_alerts_are_looked_at_again_by_the_rules_that_hold_now(up: Running, sent: Sent) -> None:
    up.result(sent["rule"])

    looked, delivered = (up.result(job)["snapshot_id"] for job in [up.start("alerts"), up.start("deliver")])

    assert {each["state"] for each in up.read("/alerts?rule=bias", snapshot=looked)["items"]} == {"resolved"}
    told = up.read("/notifications?channel=log&page_size=100", snapshot=delivered)["items"]
    assert "resolved" in {each["event"] for each in told}


def test_the_printed_job_is_followed_over_a_websocket_up_to_its_snapshot(up: Running) -> None:
    key, before = up.client.headers["X-API-Key"], up.served()
    words = next(words for words in curls(up) if "-X" in words)
    headers = dict(words[n + 1].split(": ") for n, word in enumerate(words) if word == "-H")
    url = f"{up.api.replace('http', 'ws')}/api/v1/stream?topic=system"
    with connect(url, origin="https://shop.example", subprotocols=["demandgraph", f"key.{key}"]) as opened:  # type: ignore[arg-type, list-item]
        answer = up.reader.post(words[3], content=words[-1], headers=headers)
        assert answer.status_code == 202, answer.text
        job = answer.json()
        opened.send(json.dumps({"subscribe": [f"job:{job['job_id']}"]}))
        told: list[dict[str, Any]] = []
        wanted = {("job_state", None, "completed"), ("snapshot_published", job["job_id"], None)}
        while not wanted <= {(each["type"], each["data"].get("job_id"), each["data"].get("status")) for each in told}:
            told.append(json.loads(opened.recv(timeout=120)))

    published = {each["data"]["job_id"]: each["data"]["snapshot_id"] for each in told if each["type"] == "snapshot_published"}
    assert before != published[job["job_id"]] == up.served()
    steps = [each["data"]["step"] for each in told if each["type"] == "step_start"]
    assert steps[0] == "publish/snapshot"
    assert not [step for step in steps if step.split("/")[0] in ("features", "models", "backtests", "forecasts")]


def test_the_job_of_the_readme_runs_to_the_letter_and_a_rollback_serves_what_was_before(up: Running) -> None:
    before = up.served()
    [(lines, shown)] = re.findall(r"```sh\n(KEY=.*?curl -X POST .*?)```\n\n```json\n(.*?)```", README.read_text(), re.DOTALL)
    lines = lines.replace(".venv/bin/demandgraph", str(COMMAND)).replace("http://127.0.0.1:8123", up.api)

    done = subprocess.run(
        ["bash", "-euc", lines], capture_output=True, text=True, timeout=60, env={**os.environ, "DEMANDGRAPH_DATA": str(up.data)}
    )

    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    assert contains(answered, json.loads(shown), exact=True), answered
    made = up.result(f"/jobs/{answered['job_id']}")["snapshot_id"]
    assert made == up.served() != before
    assert up.result(up.start("rollback", {"snapshot_id": before}))["snapshot_id"] == before == up.served()
