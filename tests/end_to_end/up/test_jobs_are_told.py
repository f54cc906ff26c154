"""How a job that failed or completed is told: its reason, its events page by page, what to do, and running it again."""

import httpx

from tests.end_to_end.running import Running, until


def test_a_failed_job_is_followed_and_run_again(up: Running) -> None:
    wrong = {"start_date": "2026-01-01", "end_date": "2026-01-07"}
    job = up.post("/seeder/append", wrong)
    failed = up.ended(job)
    assert (failed["status"], failed["error_type"]) == ("failed", "SourceError")
    assert "append from 2025-01-01 on" in failed["error_message"]

    again, same = (up.post(f"{job}/retry", key="again") for _ in range(2))
    running = up.client.post(f"{again}/retry")

    assert same == again != job
    assert running.status_code == 409
    retried = up.ended(again)
    assert retried["retry_of"] == failed["job_id"]
    assert [retried[name] for name in ("status", "params", "error_type")] == ["failed", wrong | {"seed": 43}, "SourceError"]
    told = up.events(again, limit=2)
    assert [each["data"]["status"] for each in told if each["type"] == "job_state"] == ["pending", "running", "running", "failed"]
    [ended] = [each for each in told if each["type"] == "step_complete"]
    assert (ended["data"]["step"], ended["data"]["error_type"]) == ("sources/batches", "SourceError")
    assert up.reader.get(f"{job}/explanation").status_code == 409


def test_a_failed_run_says_what_to_do_in_the_ui(up: Running) -> None:
    [job, *_] = up.read("/jobs?status=failed")["items"]
    query = "query L($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } } }"
    asked = {"query": query, "variables": {"id": job["dagster_run_id"]}}

    def look() -> list[str]:
        events = httpx.post(f"{up.dagster}/graphql", json=asked, timeout=30).json()["data"]["logsForRun"]["events"]
        return [each["message"] for each in events if "What to do" in each.get("message", "")]

    assert until(look)[0].startswith("sources/batches failed: ")


def test_a_completed_job_tells_its_tables_checks_and_explanations(up: Running) -> None:
    job = f"/jobs/{up.read('/jobs?origin=cli')['items'][0]['job_id']}"

    told = up.events(job, limit=500)

    seqs = [each["seq"] for each in told]
    assert seqs == sorted(set(seqs))
    assert told == up.events(job, limit=50), "pages of any size are the same events"
    made = {each["data"]["asset"] for each in told if each["type"] == "asset_materialized"}
    checked = [each["data"] for each in told if each["type"] == "asset_check"]
    assert {"core/sales_daily", "publish/snapshot"} <= made
    assert checked
    assert all(each["passed"] or each["severity"] == "warn" for each in checked)
    assert told[-1]["data"]["status"] == "completed"
    assert up.read(f"{job}/explanation?product_id=SKU-0001")["total"] > 0
    assert up.client.post(f"{job}/retry").status_code == 409
