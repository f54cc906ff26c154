"""What a new user meets after `demandgraph up`: the printed lines, the answers that the README shows, and that all is well."""

import json
import re
import subprocess

import httpx

from assets_config.contract.graph import ASSETS
from assets_config.contract.tables import TABLES
from tests.end_to_end.running import COMMAND, Running
from tests.end_to_end.up.readme import README, contains, curls


def test_every_printed_read_answers(up: Running) -> None:
    reads = [words[1] for words in curls(up) if "-X" not in words]

    answers = [httpx.get(url, timeout=30) for url in reads]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["metrics"]["total_revenue"] > 0


def test_the_readme_shows_what_is_answered(up: Running) -> None:
    """Sales are the same on every machine; forecasts may differ in the digits, by the build of xgboost."""
    shown = re.findall(r"```sh\ncurl '([^']+)'\n```\n\n```json\n(.*?)```", README.read_text(), re.DOTALL)

    assert len(shown) == 3
    for url, answer in shown:
        answered = httpx.get(url.replace("http://127.0.0.1:8123", up.api), timeout=30).json()
        assert contains(answered, json.loads(answer), exact="/analytics/" in url), url


def test_the_quantiles_of_a_forecast_rise(up: Running) -> None:
    points = up.read("/items/SKU-0001/timeseries?start=2025-01-01&end=2025-01-28&store_id=1")["timeseries"]

    assert len(points) == 28
    for point in points:
        levels = [point[name] for name in ("q05", "q10", "q25", "q50", "q75", "q90", "q95")]
        assert levels[0] >= 0
        assert levels == sorted(levels)


def test_dagster_and_the_api_docs_answer(up: Running) -> None:
    assert httpx.get(f"{up.dagster}/server_info", timeout=30).status_code == 200
    assert httpx.get(f"{up.api}/docs", timeout=30).status_code == 200


def test_doctor_finds_all_well(up: Running) -> None:
    said = subprocess.run([COMMAND, "--data", up.data, "doctor"], capture_output=True, text=True, timeout=60)

    assert said.returncode == 0, said.stdout
    assert "Dagster daemon" in said.stdout


def test_what_the_api_leans_on_is_well(up: Running) -> None:
    said = up.read("/config/providers/health")

    assert said["status"] == "ok", said
    assert {"dagster", "dagster/code", "dagster/queued_run_coordinator"} <= {each["name"] for each in said["providers"]}


def test_a_write_without_a_key_is_refused(up: Running) -> None:
    answer = up.reader.post("/jobs", json={"job_type": "refresh"})

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert not any(key in (up.data / "logs/api.log").read_text() for key in re.findall(r"dg_[\w-]{43}", up.said))


def test_assets_tell_when_they_were_made_and_what_checks_found(up: Running) -> None:
    pages = [up.read(f"/assets?page={n}&page_size=100&sort_by=rows&sort_order=desc")["items"] for n in (1, 2)]
    listed = [*pages[0], *pages[1]]
    asset = up.read("/assets/forecasts/forecast")
    results = up.read("/assets/core/sales_daily/checks?check=grain_unique")["items"]

    assert {each["key"] for each in listed} == set(ASSETS)
    assert all(each["last_job_id"] and each["freshness"] != "missing" for each in listed)
    rows = [each["rows"] for each in listed if each["rows"] is not None]
    assert rows == sorted(rows, reverse=True)
    assert [each["name"] for each in asset["columns"]] == list(TABLES["forecast"].__struct_fields__)
    assert "models/fit" in asset["upstream"]
    assert "publish/snapshot" in asset["downstream"]
    assert [each["name"] for each in asset["checks"]] == ["coverage_is_nominal"]
    assert [each["status"] for each in results] == ["passed"]
    assert up.reader.get("/assets/core/nothing").status_code == 404
    assert up.read("/assets?stage=kpis&search=KPI_DAILY")["total"] == 1


def test_columns_tell_where_they_came_from(up: Running) -> None:
    columns = up.read("/assets/kpis/kpi_daily")["columns"]

    found = {each["name"]: each["came_from"] for each in columns}
    assert (found["units"], found["transactions"]) == (["core/sales_daily.quantity"], [])


def test_a_snapshot_tells_what_checks_had_found(up: Running) -> None:
    said = up.read(f"/system/snapshots/{up.served()}")

    assert {"core/sales_daily", "forecasts/forecast"} <= {each["asset"] for each in said["checks"]}
    assert {each["name"]: each["tables"] for each in said["part_details"]}["kpis"] == {}
    assert set(said["parts"]) == {each["name"] for each in said["part_details"]}


def test_runs_of_the_command_line_are_jobs_too(up: Running) -> None:
    assert [job["status"] for job in up.read("/jobs?origin=cli")["items"]] == ["completed"]
