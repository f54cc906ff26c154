"""Model runs: listed, compared and verified, over what the whole graph published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse
from tests.serving.conftest import client_of, publish_made

RUNS = "/api/v1/registry/runs"


@pytest.fixture(scope="module")
def registry(demo_root: Path) -> Iterator[TestClient]:
    with client_of(demo_root) as client:
        yield client


def run_of(client: TestClient, model_type: str) -> dict[str, Any]:
    [run] = client.get(f"{RUNS}?model_type={model_type}").json()["items"]
    return run


def artifact_of(root: Path, run: dict[str, Any]) -> Path:
    published = Published(root)
    return published.part(manifests(published)[0].parts["registry"].key) / run["artifact_uri"]


def test_a_run_tells_its_fit(registry: TestClient) -> None:
    run = registry.get(f"{RUNS}/{run_of(registry, 'xgboost')['run_id']}").json()

    assert run["config"] == {"max_leaves": 8, "nthread": 1, "rounds": 8, "seed": 42}
    assert (run["status"], run["is_current"], run["duplicate_of"], run["error_message"]) == ("success", True, None, None)
    assert run["fit_seconds"] > 0
    assert run["feature_set"].startswith("demand/")
    assert run_of(registry, "naive")["feature_set"] is None
    assert run["metadata"]["model_version"] == run["run_id"]


def test_a_whole_artifact_is_verified(registry: TestClient) -> None:
    for run in registry.get(RUNS).json()["items"]:
        body = registry.get(f"{RUNS}/{run['run_id']}/verify").json()

        assert (body["verified"], body["error"]) == (True, None)
        assert body["stored_hash"] == body["computed_hash"] == run["artifact_hash"]


def test_an_artifact_altered_after_the_fit_is_not_verified(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    with client_of(own_root) as client:
        run = run_of(client, "naive")
        (warehouse.folder / "models" / run["artifact_uri"]).write_bytes(b"other")
        publish_made(own_root)

        answer = client.get(f"{RUNS}/{run['run_id']}/verify")

    assert answer.status_code == 200
    assert answer.json()["verified"] is False
    assert answer.json()["error"] == "the artifact's bytes are not those that were fitted"


def test_a_lost_artifact_is_not_found(own_root: Path) -> None:
    with client_of(own_root) as client:
        run = run_of(client, "naive")
        artifact_of(own_root, run).unlink()

        answer = client.get(f"{RUNS}/{run['run_id']}/verify")

    assert answer.status_code == 404
    assert run["run_id"] in answer.json()["detail"]
    assert run["artifact_uri"] in answer.json()["detail"]


def test_two_runs_are_compared(registry: TestClient) -> None:
    a, b = run_of(registry, "naive"), run_of(registry, "xgboost")

    body = registry.get(f"/api/v1/registry/compare/{a['run_id']}/{b['run_id']}").json()

    assert (body["run_a"]["run_id"], body["run_b"]["run_id"]) == (a["run_id"], b["run_id"])
    assert body["config_diff"]["rounds"] == {"a": None, "b": 8}
    assert set(body["metrics_diff"]) == {*a["metrics"], *b["metrics"]}
    wape = body["metrics_diff"]["wape"]
    assert wape == {"a": a["metrics"]["wape"], "b": b["metrics"]["wape"], "diff": pytest.approx(wape["b"] - wape["a"], abs=1e-6)}


def test_a_run_does_not_differ_from_itself(registry: TestClient) -> None:
    run = run_of(registry, "xgboost")["run_id"]

    body = registry.get(f"/api/v1/registry/compare/{run}/{run}").json()

    assert body["config_diff"] == {}
    assert {each["diff"] for each in body["metrics_diff"].values()} == {0}


@pytest.mark.parametrize("path", ["runs/none", "runs/none/verify", "compare/none/none"])
def test_an_unknown_run_is_not_found(path: str, registry: TestClient) -> None:
    answer = registry.get(f"/api/v1/registry/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_the_leaderboard_tells_what_each_type_adds_to_the_baselines(registry: TestClient) -> None:
    items = registry.get("/api/v1/registry/leaderboard").json()["items"]

    wape = {each["model_type"]: each["wape"] for each in items}
    assert [each["rank"] for each in items] == list(range(1, len(items) + 1))
    assert len(wape) == len(items), "a model type stands once"
    assert list(wape.values()) == sorted(wape.values())
    assert {"naive", "seasonal_naive", "xgboost"} <= set(wape)
    for each in items:
        assert each["added_to_naive"] == pytest.approx(wape["naive"] - each["wape"], abs=2e-6)
        assert each["added_to_seasonal_naive"] == pytest.approx(wape["seasonal_naive"] - each["wape"], abs=2e-6)
