"""What a train, predict or backtest job may be asked for is told before there is a job."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.serving.conftest import client_of


@pytest.fixture(scope="module")
def models(demo_root: Path) -> Iterator[TestClient]:
    with client_of(demo_root) as client:
        yield client


@pytest.mark.parametrize(
    ("job_type", "params", "status", "named"),
    [
        ("train", {"model_type": "oracle"}, 422, "params.model_type"),
        ("train", {"model_type": "ensemble"}, 422, "params.model_type"),
        ("train", {"season_length": 7}, 422, "params.season_length"),
        ("train", {"model_type": "moving_average", "window_size": 0}, 422, "params.window_size"),
        ("train", {"params": {"rounds": 3}}, 422, "params.params.rounds"),
        ("train", {"start_date": "1999-01-01"}, 422, "params.start_date"),
        ("train", {"start_date": "2024-12-02", "end_date": "2024-12-01"}, 422, "params.start_date"),
        ("train", {"store_id": "S999"}, 404, "S999"),
        ("train", {"product_id": 2**40}, 404, str(2**40)),
        ("train", {"product_id": "' OR 1=1 --"}, 404, "OR 1=1"),
        ("train", {"horizon": 91}, 422, "params.horizon"),
        ("backtest", {"gap": 14}, 422, "params.gap"),
        ("backtest", {"n_splits": 1}, 422, "params.n_splits"),
        ("predict", {"run_id": "0" * 32}, 404, "0" * 32),
        ("predict", {"run_id": "../models/x.joblib"}, 422, "params.run_id"),
        ("predict", {"model_path": "artifacts/x.joblib"}, 422, "params.model_path"),
    ],
)
def test_what_can_not_be_tried_is_refused_and_named(
    models: TestClient, job_type: str, params: dict[str, Any], status: int, named: str
) -> None:
    answer = models.post("/api/v1/jobs", json={"job_type": job_type, "params": params})

    assert answer.status_code == status, answer.text
    assert named in (answer.json()["errors"][0]["field"] if status == 422 else answer.json()["detail"])


@pytest.mark.parametrize("name", ["season_length", "window_size"])
def test_what_can_be_tried_only_waits_for_dagster(models: TestClient, name: str) -> None:
    model_type = {"season_length": "seasonal_naive", "window_size": "moving_average"}[name]
    params = {"model_type": model_type, name: 3, "store_id": "S001", "product_id": "SKU-0001", "start_date": "2024-09-01"}

    answer = models.post("/api/v1/jobs", json={"job_type": "train", "params": params})

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE")


def test_a_snapshot_without_trials_lists_none_and_serves_the_rest(models: TestClient) -> None:
    [run, *_] = models.get("/api/v1/registry/runs").json()["items"]

    answer = models.get(f"/api/v1/registry/runs/{run['run_id']}/forecasts")

    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert models.get(f"/api/v1/registry/runs/{'0' * 32}/forecasts").status_code == 404
    assert {each["made_by"] for each in models.get("/api/v1/backtests").json()["items"]} == {None}


def test_a_dry_run_says_what_would_be_made_and_makes_no_job(models: TestClient) -> None:
    body = {"job_type": "train", "params": {"store_id": "S002", "model_type": "ets"}, "dry_run": True}

    answer = models.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "dry"})

    assert answer.status_code == 200, "Dagster is not even asked"
    said = answer.json()
    assert [each["key"] for each in said["assets"]] == ["trials/trial_run", "publish/amendment"]
    assert (said["params"]["store_id"], said["params"]["horizon"], said["role"]) == (2, 28, "operator")
    plan = models.post("/api/v1/jobs", json={"job_type": "kpis", "dry_run": True}).json()
    months = {each["key"]: each["partitions"] for each in plan["assets"]}
    assert months["kpis/kpi_daily"] == ["2024-08", "2024-09", "2024-10", "2024-11", "2024-12"]
    assert months["kpis/cubes"] == []
    refused = models.post("/api/v1/jobs", json={**body, "params": {"store_id": "S999"}})
    assert refused.status_code == 404
