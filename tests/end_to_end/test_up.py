"""`demandgraph up` on a fresh data root, as a new user meets it: real processes, real data, then Ctrl-C."""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from assets_config.contract.graph import ASSETS
from assets_config.contract.tables import TABLES
from demandgraph.ports import any_free_port, is_free
from tests.demandgraph.conftest import ends
from tests.serving.conftest import client_of

COMMAND = Path(sys.executable).with_name("demandgraph")
get = partial(httpx.get, timeout=30)  # other tests may keep every core busy


class Running(NamedTuple):
    process: subprocess.Popen[str]
    data: Path
    api: str
    dagster: str
    said: str
    client: httpx.Client  # with the key that was printed

    def curls(self) -> list[list[str]]:
        """The curl lines that were printed, as words."""
        return [shlex.split(line) for line in self.said.splitlines() if line.startswith("curl ")]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("up") / "data"
    port, dagster_port = any_free_port(), any_free_port()
    ports = ["--port", str(port), "--dagster-port", str(dagster_port)]
    command = [COMMAND, "--data", data, "up", *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        try:
            assert process.poll() is None, said
            keys = set(re.findall(r"dg_[\w-]{43}", said))
            assert len(keys) == 1, said
            with httpx.Client(headers={"X-API-Key": keys.pop()}, timeout=30) as client:
                yield Running(process, data, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dagster_port}", said, client)
        finally:
            process.kill()


def test_every_printed_read_answers(up: Running) -> None:
    reads = [words[1] for words in up.curls() if "-X" not in words]

    answers = [get(url) for url in reads]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["metrics"]["total_revenue"] > 0


def test_the_readme_shows_what_is_answered(up: Running) -> None:
    """Sales are the same on every machine; forecasts may differ in the digits, by the build of xgboost."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = re.findall(r"```sh\ncurl '([^']+)'\n```\n\n```json\n(.*?)```", readme, re.DOTALL)

    assert len(shown) == 3
    for url, answer in shown:
        answered = get(url.replace("http://127.0.0.1:8123", up.api)).json()
        assert contains(answered, json.loads(answer), exact="/analytics/" in url), url


def test_the_quantiles_of_a_forecast_rise(up: Running) -> None:
    url = f"{up.api}/api/v1/items/SKU-0001/timeseries?start=2025-01-01&end=2025-01-28&store_id=1"

    points = get(url).json()["timeseries"]

    assert len(points) == 28
    for point in points:
        levels = [point[name] for name in ("q05", "q10", "q25", "q50", "q75", "q90", "q95")]
        assert levels[0] >= 0
        assert levels == sorted(levels)


def test_the_printed_job_publishes_a_new_snapshot(up: Running) -> None:
    words = next(words for words in up.curls() if "-X" in words)
    before = served(up)

    headers = dict(words[n + 1].split(": ") for n, word in enumerate(words) if word == "-H")
    answer = httpx.post(words[3], content=words[-1], headers=headers, timeout=30)

    assert answer.status_code == 202, answer.text
    assert finished(up, answer.headers["Location"])["status"] == "completed"
    assert served(up) != before


def test_the_job_of_the_readme_runs_to_the_letter(up: Running) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [(lines, shown)] = re.findall(r"```sh\n(KEY=.*?curl -X POST .*?)```\n\n```json\n(.*?)```", readme, re.DOTALL)
    lines = lines.replace(".venv/bin/demandgraph", str(COMMAND)).replace("http://127.0.0.1:8123", up.api)

    done = subprocess.run(
        ["bash", "-euc", lines], capture_output=True, text=True, timeout=60, env={**os.environ, "DEMANDGRAPH_DATA": str(up.data)}
    )

    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    assert contains(answered, json.loads(shown), exact=True), answered
    assert finished(up, f"/api/v1/jobs/{answered['job_id']}")["status"] == "completed"


def test_the_three_jobs_of_the_readme_end_completed(up: Running) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [lines] = re.findall(r"```sh\n(ONE=.*?done\n)```", readme, re.DOTALL)
    lines = lines.replace("http://127.0.0.1:8123", up.api).replace("curl ", "curl -s ")

    environment = {**os.environ, "KEY": up.client.headers["X-API-Key"]}
    done = subprocess.run(["bash", "-euc", lines], capture_output=True, text=True, timeout=60, env=environment)

    posted = [json.loads(each) for each in done.stdout.replace("}{", "}\n{").splitlines()]
    assert [each["job_type"] for each in posted] == ["train", "backtest", "export"], done.stdout
    for each in posted:
        assert finished(up, f"/api/v1/jobs/{each['job_id']}")["status"] == "completed"


def test_a_write_without_a_key_is_refused(up: Running) -> None:
    answer = httpx.post(f"{up.api}/api/v1/jobs", json={"job_type": "refresh"}, timeout=30)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert not any(key in (up.data / "logs/api.log").read_text() for key in re.findall(r"dg_[\w-]{43}", up.said))


def test_the_same_key_and_body_are_the_same_job(up: Running) -> None:
    headers = {"Idempotency-Key": "one"}

    first, second, other = (
        up.client.post(f"{up.api}/api/v1/jobs", json={"job_type": job_type}, headers=headers)
        for job_type in ("refresh", "refresh", "materialize")
    )

    assert first.json()["job_id"] == second.json()["job_id"]
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")
    assert finished(up, first.headers["Location"])["status"] == "completed"


def test_an_alias_is_set_by_one_job_and_read_from_its_snapshot(up: Running) -> None:
    url, headers = f"{up.api}/api/v1/registry/aliases", {"Idempotency-Key": "alias"}
    [run, *_] = httpx.get(f"{up.api}/api/v1/registry/runs?status=success").json()["items"]
    alias = {"name": "production", "run_id": run["run_id"], "protected": True}

    posted, again = (up.client.post(url, json=alias, headers=headers) for _ in range(2))

    assert (posted.status_code, again.status_code) == (202, 202), posted.text
    assert posted.json()["job_id"] == again.json()["job_id"]
    assert finished(up, posted.headers["Location"])["status"] == "completed"
    found = httpx.get(f"{url}/production").json()
    assert (found["run_id"], found["protected"], found["changed_by"]) == (run["run_id"], True, posted.json()["job_id"])


def test_a_job_can_be_cancelled_until_it_has_ended(up: Running) -> None:
    made = up.client.post(f"{up.api}/api/v1/jobs", json={"job_type": "materialize"})
    url = up.api + made.headers["Location"]

    cancelled = up.client.delete(url)

    assert cancelled.status_code == 200
    assert finished(up, made.headers["Location"])["status"] == "cancelled"
    assert up.client.delete(url).status_code == 409
    assert up.client.delete(f"{up.api}/api/v1/jobs/{'0' * 32}").status_code == 404


def test_every_kind_of_job_ends_with_the_result_that_its_type_says(up: Running) -> None:
    """Those that no other test here starts; they are sent at once, and what may run beside the graph does."""
    one = {"store_id": "S001", "product_id": "SKU-0001"}
    known = {each["name"]: each for each in get(f"{up.api}/api/v1/jobs/types").json()["items"]}
    asked: dict[str, dict[str, Any]] = {
        "train": {"model_type": "seasonal_naive", **one},
        "backtest": {"n_splits": 2, **one},
        "export": {"tables": ["forecast", "dim_store"], "format": "csv"},
        "backup": {"keep": 1},
        "features": {},
        "kpis": {},
        "explain": {},
        "verify_data": {},
        "segment": {},
        "cluster": {"clusters": 2},
        "alerts": {},
        "deliver": {},
        "set_alert_rule": {"rule": "bias", "enabled": False},
        "set_preference": {"user": "ann", "channels": ["log"]},
        "set_template": {"event": "opened", "subject": "Look", "body": "See /alerts."},
    }
    plans = {name: post_job(up, name, params, dry_run=True).json() for name, params in asked.items()}
    posted = {name: post_job(up, name, params).headers["Location"] for name, params in asked.items()}

    jobs = {name: finished(up, location) for name, location in posted.items()}

    assert {name: job["status"] for name, job in jobs.items()} == dict.fromkeys(asked, "completed"), jobs
    results: dict[str, Any] = {name: job["result"] for name, job in jobs.items()}
    for name, result in results.items():
        assert sorted(result["assets"]) == sorted(each["key"] for each in plans[name]["assets"])
        schema = known[name]["result_schema"]
        assert set(schema["$defs"][schema["$ref"].rpartition("/")[2]].get("required", [])) <= set(result), name
    run, found = results["train"]["run_id"], results["backtest"]
    made = finished(up, post_job(up, "predict", {"run_id": run, "horizon": 7}).headers["Location"])
    days = get(f"{up.api}/api/v1/registry/runs/{run}/forecasts").json()["items"]
    assert [each["yhat"] for each in days] == [each["forecast"] for each in made["result"]["forecasts"]]  # type: ignore[index]
    assert get(f"{up.api}/api/v1/registry/runs/{run}/verify").json()["verified"] is True
    read = get(f"{up.api}/api/v1/backtests/{found['backtest_id']}").json()
    assert {name: read["aggregated_metrics"][name] for name in found["aggregated_metrics"]} == found["aggregated_metrics"]
    [export] = [
        each for each in get(f"{up.api}/api/v1/exports").json()["items"] if each["export_id"] == results["export"]["export_id"]
    ]
    for file in export["files"]:
        content = get(f"{up.api}/api/v1/exports/{export['export_id']}/{file['name']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content.splitlines()) == file["rows"] + 1
    kept = up.data / results["backup"]["backup"]
    assert (kept / "published/snapshots" / f"{results['backup']['snapshot_id']}.json").exists()


def test_a_document_is_indexed_found_and_deleted(up: Running) -> None:
    def found(snapshot: str) -> list[str]:
        body = {"query": "who takes returns of zeppelins", "filters": {"source": ["handbook/zeppelins.md"]}}
        answer = up.client.post(f"{up.api}/api/v1/rag/retrieve?snapshot={snapshot}", json=body).json()
        return [each["source_id"] for each in answer["results"]]

    page = {"source_path": "handbook/zeppelins.md", "content": "# Zeppelins\n\nThe hangar takes returns of zeppelins."}
    indexed = finished(up, up.client.post(f"{up.api}/api/v1/rag/index", json=page).headers["Location"])
    assert indexed["status"] == "completed", indexed
    assert indexed["result"]["documents"]["handbook/zeppelins.md"] == "indexed"  # type: ignore[index]
    [source] = found(indexed["result"]["snapshot_id"])  # type: ignore[index]

    deleted = finished(up, up.client.delete(f"{up.api}/api/v1/rag/sources/{source}").headers["Location"])

    assert deleted["status"] == "completed"
    assert found(deleted["result"]["snapshot_id"]) == []  # type: ignore[index]
    assert found(indexed["result"]["snapshot_id"]) == [source]  # type: ignore[index]


def test_more_jobs_than_may_wait_are_refused(up: Running) -> None:
    """By a second API over the same root and the same Dagster, which lets one wait."""
    answers = []
    with client_of(up.data, dagster_url=up.dagster, max_waiting_jobs=1) as client:
        while not answers or answers[-1].status_code == 202:
            answers.append(client.post("/api/v1/jobs", json={"job_type": "train", "params": {"store_id": 1}}))
            assert len(answers) < 20

    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "RATE_LIMITED")
    assert answers[-1].headers["Retry-After"]
    assert {finished(up, each.headers["Location"])["status"] for each in answers[:-1]} == {"completed"}


def test_a_rollback_serves_the_snapshot_before(up: Running) -> None:
    _, before, *_ = [each["id"] for each in get(f"{up.api}/api/v1/system/snapshots").json()["items"]]

    job = finished(up, post_job(up, "rollback", {"snapshot_id": before}).headers["Location"])

    assert (job["status"], job["result"]["snapshot_id"], served(up)) == ("completed", before, before)  # type: ignore[index]


def test_a_job_beside_the_graph_does_not_wait_for_it(up: Running) -> None:
    long = post_job(up, "materialize", {"assets": ["models", "backtests", "forecasts", "publish"]}).headers["Location"]
    started(up, long)

    tried = finished(up, post_job(up, "train", {"store_id": 1}).headers["Location"])

    assert tried["status"] == "completed"
    running = get(f"{up.api}{long}").json()
    assert running["status"] == "running" or running["completed_at"] > tried["completed_at"], (running, tried)
    assert up.client.delete(f"{up.api}{long}").status_code in (200, 409)
    assert finished(up, long)["status"] in ("cancelled", "completed")


@pytest.mark.parametrize("moment", ["starting", "started"])
def test_a_cancelled_job_ends_cancelled_and_publishes_nothing(up: Running, moment: str) -> None:
    before = served(up)
    location = post_job(up, "materialize", {}).headers["Location"]
    if moment == "starting":
        deadline = time.monotonic() + 60
        while dagster_status(up, location) == "QUEUED":
            assert time.monotonic() < deadline
            time.sleep(0.02)
    if moment == "started":
        started(up, location)

    cancelled = up.client.delete(up.api + location)

    assert cancelled.status_code == 200
    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert finished(up, location)["status"] == "cancelled"
    assert served(up) == before


def test_posted_rows_are_served_and_bad_ones_told(up: Running) -> None:
    rows = "date,store_code,sku,quantity,unit_price\n2025-01-01,S001,SKU-0001,5,2.00\n2025-01-01,S999,SKU-0001,7,2.00\n"
    posted = up.client.post(f"{up.api}/api/v1/ingest/sales-daily", content=rows, headers={"Content-Type": "text/csv"})
    assert posted.status_code == 202, posted.text
    assert finished(up, posted.headers["Location"])["status"] == "completed"

    batch_url = f"{up.api}/api/v1/ingest/batches/{posted.json()['batch_id']}"
    batch, rejects = get(batch_url).json(), get(f"{batch_url}/rejects").json()["items"]
    assert (batch["state"], batch["lines"], batch["loaded"], batch["rejected"]) == ("partially_loaded", 2, 1, 1)
    assert [(reject["row_index"], reject["code"], reject["value"]) for reject in rejects] == [(1, "UNKNOWN_STORE", "S999")]
    assert new_year(up)["total_units"] == 5

    shop = {"records": [{"code": "S999", "external_id": "77", "name": "New shop"}]}
    told = up.client.post(f"{up.api}/api/v1/ingest/stores", json=shop)
    assert finished(up, told.headers["Location"])["status"] == "completed"
    assert get(batch_url).json()["state"] == "loaded"
    assert new_year(up)["total_units"] == 12
    [known] = get(f"{up.api}/api/v1/ingest/external-ids").json()["items"]
    assert (known["external_id"], known["code"]) == ("77", "S999")

    replay = up.client.post(f"{batch_url}/replay")
    assert finished(up, replay.headers["Location"])["status"] == "completed"
    assert get(batch_url).json()["state"] == "replayed"
    assert new_year(up)["total_units"] == 12
    states = [event["state"] for event in get(f"{up.api}/api/v1/ingest/audit?batch_id={batch['batch_id']}").json()["items"]]
    assert states == ["received", "validating", "partially_loaded", "loaded", "validating", "replayed"]


def test_a_file_in_the_inbox_is_served(up: Running) -> None:
    folder = up.data / "landing/inbox/promotions"
    folder.mkdir(parents=True)
    header = "sku,name,start_date,end_date,discount_pct"
    deals = ["SKU-0001,Deal,2025-01-02,2025-01-03,0.1", "SKU-0001,Deal,2025-01-09,2025-01-03,0.1"]
    (folder / "deals.csv").write_text("\n".join([header, *deals]))

    deadline = time.monotonic() + 180
    while not (found := get(f"{up.api}/api/v1/ingest/batches?kind=promotions").json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(1)

    [batch] = found
    assert (batch["state"], batch["loaded"], batch["reasons"]) == ("partially_loaded", 1, {"INVALID_RANGE": 1})
    assert list(folder.iterdir()) == []
    origins = [job["origin"] for job in get(f"{up.api}/api/v1/jobs?job_type=ingest").json()["items"]]
    assert "sensor" in origins


def test_generated_days_are_appended_and_taken_out_again(up: Running) -> None:
    wrong = up.client.post(
        f"{up.api}/api/v1/seeder/append", json={"start_date": "2026-01-01", "end_date": "2026-01-07"}, timeout=30
    )
    job = finished(up, wrong.headers["Location"])
    assert (job["status"], job["error_type"]) == ("failed", "SourceError")
    assert "append from 2025-01-01 on" in str(job["error_message"])

    added = up.client.post(
        f"{up.api}/api/v1/seeder/append", json={"start_date": "2025-01-01", "end_date": "2025-01-07"}, timeout=30
    )
    assert finished(up, added.headers["Location"])["status"] == "completed"
    assert new_year(up)["total_units"] > 12

    gone = up.client.delete(f"{up.api}/api/v1/seeder/data?scope=facts&confirm=true")
    assert finished(up, gone.headers["Location"])["status"] == "completed"
    assert new_year(up)["total_units"] == 12


def test_a_failed_job_is_followed_and_run_again(up: Running) -> None:
    wrong = {"start_date": "2026-01-01", "end_date": "2026-01-07"}
    location = up.client.post(f"{up.api}/api/v1/seeder/append", json=wrong, timeout=30).headers["Location"]
    failed = finished(up, location)

    again = up.client.post(f"{up.api}{location}/retry", headers={"Idempotency-Key": "again"}, timeout=30)
    same = up.client.post(f"{up.api}{location}/retry", headers={"Idempotency-Key": "again"}, timeout=30)
    running = up.client.post(f"{up.api}{again.headers['Location']}/retry", timeout=30)

    assert (again.status_code, again.json()["retry_of"]) == (202, failed["job_id"])
    assert same.json()["job_id"] == again.json()["job_id"] != failed["job_id"]
    assert running.status_code == 409
    retried = finished(up, again.headers["Location"])
    assert [retried[name] for name in ("status", "params", "error_type")] == ["failed", wrong | {"seed": 43}, "SourceError"]
    told = events(up, again.headers["Location"], limit=2)
    assert [each["data"]["status"] for each in told if each["type"] == "job_state"] == ["pending", "running", "running", "failed"]
    [ended] = [each for each in told if each["type"] == "step_complete"]
    assert (ended["data"]["step"], ended["data"]["error_type"]) == ("sources/batches", "SourceError")
    assert get(f"{up.api}{location}/explanation").status_code == 409


def test_a_completed_job_tells_its_tables_checks_and_explanations(up: Running) -> None:
    location = f"/api/v1/jobs/{get(f'{up.api}/api/v1/jobs?origin=cli').json()['items'][0]['job_id']}"

    told = events(up, location, limit=500)

    seqs = [each["seq"] for each in told]
    assert seqs == sorted(set(seqs))
    assert told == events(up, location, limit=7), "pages of any size are the same events"
    made = {each["data"]["asset"] for each in told if each["type"] == "asset_materialized"}
    checked = [each["data"] for each in told if each["type"] == "asset_check"]
    assert {"core/sales_daily", "publish/snapshot"} <= made
    assert checked
    assert all(each["passed"] or each["severity"] == "warn" for each in checked)
    assert told[-1]["data"]["status"] == "completed"
    assert get(f"{up.api}{location}/explanation?product_id=SKU-0001").json()["total"] > 0
    assert up.client.post(f"{up.api}{location}/retry", timeout=30).status_code == 409


def test_assets_tell_when_they_were_made_and_what_checks_found(up: Running) -> None:
    listed = get(f"{up.api}/api/v1/assets?page_size=100&sort_by=rows&sort_order=desc").json()
    asset = get(f"{up.api}/api/v1/assets/forecasts/forecast").json()
    results = get(f"{up.api}/api/v1/assets/core/sales_daily/checks?check=grain_unique").json()["items"]

    assert {each["key"] for each in listed["items"]} == set(ASSETS)
    assert all(each["last_job_id"] and each["freshness"] != "missing" for each in listed["items"])
    rows = [each["rows"] for each in listed["items"] if each["rows"] is not None]
    assert rows == sorted(rows, reverse=True)
    assert [each["name"] for each in asset["columns"]] == list(TABLES["forecast"].__struct_fields__)
    assert "models/fit" in asset["upstream"]
    assert "publish/snapshot" in asset["downstream"]
    assert [each["name"] for each in asset["checks"]] == ["coverage_is_nominal"]
    assert [each["at"] for each in results] == sorted((each["at"] for each in results), reverse=True)
    assert {"passed"} <= {each["status"] for each in results} <= {"passed", "unknown"}  # of the job that was cancelled
    assert get(f"{up.api}/api/v1/assets/core/nothing").status_code == 404
    assert get(f"{up.api}/api/v1/assets?stage=kpis&search=KPI_DAILY").json()["total"] == 1


def test_columns_tell_where_they_came_from(up: Running) -> None:
    columns = get(f"{up.api}/api/v1/assets/kpis/kpi_daily").json()["columns"]

    found = {each["name"]: each["came_from"] for each in columns}
    assert (found["units"], found["transactions"]) == (["core/sales_daily.quantity"], [])


def test_a_job_is_followed_over_a_websocket_up_to_its_snapshot(up: Running) -> None:
    key = up.client.headers["X-API-Key"]
    url = f"{up.api.replace('http', 'ws')}/api/v1/stream?topic=system"
    with connect(url, origin="https://shop.example", subprotocols=["demandgraph", f"key.{key}"]) as opened:  # type: ignore[arg-type, list-item]
        job = up.client.post(f"{up.api}/api/v1/data/refresh").json()
        opened.send(json.dumps({"subscribe": [f"job:{job['job_id']}"]}))
        told: list[dict[str, Any]] = []
        wanted = {("job_state", None, "completed"), ("snapshot_published", job["job_id"], None)}
        while not wanted <= {(each["type"], each["data"].get("job_id"), each["data"].get("status")) for each in told}:
            told.append(json.loads(opened.recv(timeout=120)))

    published = {each["data"]["job_id"]: each["data"]["snapshot_id"] for each in told if each["type"] == "snapshot_published"}
    kept = {each["id"]: each for each in get(f"{up.api}/api/v1/system/snapshots?page_size=100").json()["items"]}
    assert published[job["job_id"]] in kept
    steps = [each["data"]["step"] for each in told if each["type"] == "step_start"]
    assert steps[0] == "publish/snapshot"
    assert not [step for step in steps if step.split("/")[0] in ("features", "models", "backtests", "forecasts")]


def test_a_failed_run_says_what_to_do_in_the_ui(up: Running) -> None:
    [job, *_] = get(f"{up.api}/api/v1/jobs?status=failed").json()["items"]
    query = "query L($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } } }"
    asked = {"query": query, "variables": {"id": job["dagster_run_id"]}}

    deadline = time.monotonic() + 60
    told: list[str] = []
    while not told:
        assert time.monotonic() < deadline
        events = httpx.post(f"{up.dagster}/graphql", json=asked, timeout=30).json()["data"]["logsForRun"]["events"]
        told = [each["message"] for each in events if "What to do" in each.get("message", "")]

    assert told[0].startswith("sources/batches failed: ")


def test_what_the_api_leans_on_is_well(up: Running) -> None:
    said = get(f"{up.api}/api/v1/config/providers/health").json()

    assert said["status"] == "ok", said
    assert {"dagster", "dagster/code", "dagster/queued_run_coordinator"} <= {each["name"] for each in said["providers"]}


def test_a_snapshot_tells_what_checks_had_found(up: Running) -> None:
    said = get(f"{up.api}/api/v1/system/snapshots/{served(up)}").json()

    assert {"core/sales_daily", "forecasts/forecast"} <= {each["asset"] for each in said["checks"]}
    assert {each["name"]: each["tables"] for each in said["part_details"]}["kpis"] == {}
    assert set(said["parts"]) == {each["name"] for each in said["part_details"]}


def test_runs_of_the_command_line_are_jobs_too(up: Running) -> None:
    body = get(f"{up.api}/api/v1/jobs", params={"origin": "cli"}).json()

    assert [job["status"] for job in body["items"]] == ["completed"]


def test_dagster_and_the_api_docs_answer(up: Running) -> None:
    assert get(f"{up.dagster}/server_info").status_code == 200
    assert get(f"{up.api}/docs").status_code == 200


def test_doctor_finds_all_well(up: Running) -> None:
    said = subprocess.run([COMMAND, "--data", up.data, "doctor"], capture_output=True, text=True, timeout=60)

    assert said.returncode == 0, said.stdout
    assert "Dagster daemon" in said.stdout


def test_no_job_is_lost_when_all_of_dagster_is_killed(up: Running) -> None:
    """What waits runs once the daemon is back, what runs ends, and a job that is sent meanwhile is refused or taken whole."""
    tables = {"tables": ["dim_store"]}  # which are there whatever other tests did to the sales
    posted = [post_job(up, "export", tables).headers["Location"] for _ in range(3)]
    victims = [pid for pid, words in children(up.process.pid) if re.search(r"api grpc|dagster_webserver|dagster._daemon", words)]
    assert len(victims) == 3

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    refused = up.client.post(f"{up.api}/api/v1/jobs", json={"job_type": "kpis"})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    deadline = time.monotonic() + 240
    ended: dict[str, str] = {}
    while len(ended) < len(posted):
        for location in posted:
            job = get(f"{up.api}{location}")
            if job.status_code == 200 and job.json()["status"] in ("completed", "failed"):
                ended[location] = job.json()["status"]
        assert time.monotonic() < deadline, ended
        time.sleep(0.5)
    body = {"job_type": "export", "params": tables}
    while (
        taken := up.client.post(f"{up.api}/api/v1/jobs", json=body)
    ).status_code == 503:  # the code server may be last to be back
        assert time.monotonic() < deadline
        time.sleep(1)
    last = finished(up, taken.headers["Location"])
    assert last["status"] == "completed", last


def test_a_killed_api_is_started_again(up: Running) -> None:
    [api] = [pid for pid, words in children(up.process.pid) if "serving" in words]
    workers = [pid for pid, group in processes() if group == api and pid != api]
    assert workers

    os.kill(api, signal.SIGKILL)

    assert all(ends(pid) for pid in workers)
    deadline = time.monotonic() + 60
    while not answers(f"{up.api}/readyz"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert up.process.poll() is None


def test_ctrl_c_leaves_nothing_running(up: Running) -> None:
    groups = [pid for pid, _ in children(up.process.pid)]
    members = [pid for pid, group in processes() if group in groups]
    assert len(groups) == 5

    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(timeout=60) == 0
    assert all(ends(pid) for pid in members)
    assert all(is_free(int(url.rpartition(":")[2])) for url in (up.api, up.dagster))


def contains(whole: object, part: object, *, exact: bool) -> bool:
    """Whether a JSON value has all that another shows of it; numbers need not be equal where not `exact`."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and contains(whole[key], value, exact=exact) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(contains(*pair, exact=exact) for pair in zip(whole, part, strict=True))
    if isinstance(whole, float) and isinstance(part, int | float) and not exact:
        return True
    return whole == part


def new_year(up: Running) -> dict[str, float]:
    """The KPIs of 1 January 2025, the day after the demo's last."""
    url = f"{up.api}/api/v1/analytics/kpis?start_date=2025-01-01&end_date=2025-01-01"
    metrics: dict[str, float] = get(url).json()["metrics"]
    return metrics


def served(up: Running) -> str:
    return str(get(up.curls()[0][1]).json()["metadata"]["snapshot_id"])


def finished(up: Running, location: str) -> dict[str, object]:
    """The job, once it has ended."""
    deadline = time.monotonic() + 180
    while True:
        job: dict[str, object] = get(f"{up.api}{location}").json()
        if job["status"] not in ("pending", "running", "cancelling"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.5)


def post_job(up: Running, job_type: str, params: dict[str, Any], **more: Any) -> httpx.Response:
    answer = up.client.post(f"{up.api}/api/v1/jobs", json={"job_type": job_type, "params": params, **more})
    assert answer.status_code in (200, 202), answer.text
    return answer


def started(up: Running, location: str) -> None:
    """Wait until a job has begun its first step."""
    deadline = time.monotonic() + 60
    while not any(each["type"] == "step_start" for each in events(up, location, limit=100)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def dagster_status(up: Running, location: str) -> str:
    run = get(f"{up.api}{location}").json()["dagster_run_id"]
    query = "query R($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    said = httpx.post(f"{up.dagster}/graphql", json={"query": query, "variables": {"id": run}}, timeout=30).json()
    return str(said["data"]["runOrError"]["status"])


def events(up: Running, location: str, *, limit: int) -> list[dict[str, Any]]:
    """All events of a job that has ended, read page by page."""
    found: list[dict[str, Any]] = []
    after, has_more = 0, True
    while has_more:
        page = get(f"{up.api}{location}/events?after={after}&limit={limit}").json()
        found += page["items"]
        after, has_more = page["next_after"], page["has_more"]
    return found


def answers(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except httpx.TransportError:
        return False


def children(parent: int) -> list[tuple[int, str]]:
    """The children of a process with their command lines."""
    lines = subprocess.run(["ps", "-eo", "ppid=,pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in lines.splitlines()]
    return [(int(pid), words) for ppid, pid, words in rows if int(ppid) == parent]


def processes() -> list[tuple[int, int]]:
    """Every process with its group."""
    lines = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(group)) for pid, group in (line.split() for line in lines.splitlines())]
