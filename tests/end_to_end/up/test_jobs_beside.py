"""A long job of the graph: what waits behind it, what runs beside it, and jobs that are cancelled at any moment."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from dagster import DagsterInstance

from pipelines.automation.dead_runs import PROCESS_TAG
from tests.end_to_end.running import Running, children, until
from tests.serving.conftest import client_of

LONG = {"assets": ["models", "backtests", "forecasts", "publish"]}


@pytest.fixture(scope="module")
def long(up: Running) -> str:
    """A job that trains everything, and has begun to."""
    job = up.start("materialize", LONG)
    up.begun(job)
    return job


def test_more_jobs_than_may_wait_are_refused_and_what_waits_can_be_cancelled(up: Running, long: str) -> None:
    """Refused by a second API over the same root and the same Dagster, which lets one wait."""
    waiting = up.start("kpis")
    with client_of(up.data, dagster_url=up.dagster, max_waiting_jobs=1) as client:
        refused = client.post("/api/v1/jobs", json={"job_type": "kpis"})
    assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["Retry-After"]
    assert up.read(waiting)["status"] == "pending"

    cancelled = up.client.delete(waiting)

    assert (cancelled.status_code, up.ended(waiting)["status"]) == (200, "cancelled")
    assert up.client.delete(waiting).status_code == 409
    assert up.client.delete(f"/jobs/{'0' * 32}").status_code == 404


def test_a_run_is_a_fork_of_a_process_that_has_loaded_the_graph(up: Running, long: str) -> None:
    [code_server] = [pid for pid, words in children(up.process.pid) if "pipelines.server" in words]
    [loaded] = [pid for pid, words in children(code_server) if "pipelines.preload" in words]

    [(process, _)] = children(loaded)
    with DagsterInstance.from_config(str(up.data / "dagster")) as instance:
        run = instance.get_run_by_id(str(UUID(long.removeprefix("/jobs/"))))
    assert run is not None
    assert run.tags[PROCESS_TAG].split()[1] == str(process), "so that no later process of that number is taken for it"


def test_a_job_beside_the_graph_does_not_wait_for_it(up: Running, long: str) -> None:
    one = {"store_id": "S001", "product_id": "SKU-0001"}
    trained = up.ended(up.start("train", {"model_type": "moving_average", **one}))
    run = trained["result"]["run_id"]

    tried = up.ended(up.start("predict", {"run_id": run, "horizon": 7, **one}))

    assert tried["status"] == "completed", tried
    running = up.read(long)
    assert running["status"] == "running" or running["completed_at"] > tried["completed_at"], (running, tried)
    made = tried["result"]
    days = up.read(f"/registry/runs/{run}/forecasts", forecast_id=made["forecast_id"], snapshot=made["snapshot_id"])["items"]
    assert [each["yhat"] for each in days] == [each["forecast"] for each in made["forecasts"]]
    assert len(days) == 7


def test_a_cancelled_job_ends_cancelled_and_publishes_nothing(up: Running, long: str) -> None:
    cancelled = up.client.delete(long)

    assert cancelled.status_code == 200
    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert up.ended(long)["status"] == "cancelled"
    assert long.removeprefix("/jobs/") not in published_by(up)


def test_a_job_that_is_just_starting_ends_cancelled(up: Running, long: str) -> None:
    job = up.start("materialize")
    until(lambda: dagster_status(up, job) not in ("QUEUED", "NOT_STARTED"))

    cancelled = up.client.delete(job)

    assert cancelled.status_code == 200
    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert up.ended(job)["status"] == "cancelled"
    assert job.removeprefix("/jobs/") not in published_by(up)


def published_by(up: Running) -> set[str]:
    """The jobs whose snapshots are kept."""
    kept = up.read("/system/snapshots?page_size=100")["items"]
    return {each["dagster_run_id"].replace("-", "") for each in kept if each["dagster_run_id"]}


def dagster_status(up: Running, job: str) -> str:
    return str(dagster_run(up, job)["status"])


def dagster_run(up: Running, job: str) -> dict[str, Any]:
    query = "query R($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
    asked = {"query": query, "variables": {"id": up.read(job)["dagster_run_id"]}}
    run: dict[str, Any] = httpx.post(f"{up.dagster}/graphql", json=asked, timeout=30).json()["data"]["runOrError"]
    return run
