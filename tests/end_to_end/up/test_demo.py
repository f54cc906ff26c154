"""The whole in one call over data of its own, kept as a workspace, which is then changed, taken away and forgotten."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from tests.end_to_end.running import Running, place_of

ASKED: dict[str, Any] = {
    "skip_seed": False,
    "seed_overrides": {"stores": 2, "products": 3, "window_days": 120},
    "preservation": "keep",
    "workspace_name": "tiny",
    "user_scope": {"store_id": "S001", "product_id": "SKU-0002"},
    "train_model_types": ["naive", "seasonal_naive", "moving_average"],
}


@pytest.fixture(scope="module")
def told(up: Running) -> dict[str, Any]:
    """What is told of the run once it has ended."""
    job = up.post("/demo/run", ASKED)
    refused = up.client.post("/demo/run", json={})
    assert (refused.status_code, job.removeprefix("/jobs/") in refused.json()["detail"]) == (409, True)
    up.result(job)
    found: dict[str, Any] = up.read(f"/demo/run/{job.removeprefix('/jobs/')}")
    return found


def test_a_demo_run_leaves_a_workspace_that_is_published_with_it(up: Running, told: dict[str, Any]) -> None:
    workspace = up.read(f"/demo/workspaces/{told['workspace_id']}")
    health = up.read(f"/demo/workspaces/{told['workspace_id']}/health")

    assert told["workspace_id"] == told["job"]["job_id"]
    assert {each["status"] for each in told["phases"]} == {"completed"}
    assert workspace["snapshot_id"] == told["snapshot_id"] == up.served()
    summary = workspace["result_summary"]
    assert (summary["winner_model_type"], summary["winner_wape"]) == (told["winner_model_type"], told["winner_wape"])
    assert told["winner_model_type"] in ASKED["train_model_types"]
    assert workspace["created_objects"]["winning_run_id"] == told["winning_run_id"]
    assert summary["series"] == 6
    assert {name: workspace["run_config"][name] for name in ASKED} == ASKED
    assert (workspace["store_id"], workspace["status"], workspace["warnings"]) == (1, "completed", [])
    assert (health["counts"]["dead"], health["counts"]["unknown"], health["partial_run"]) == (0, 0, False)


def test_a_workspace_is_changed_taken_away_and_forgotten(up: Running, told: dict[str, Any]) -> None:
    path = f"/demo/workspaces/{told['workspace_id']}"
    jobs = [place_of(up.client.patch(path, json={"tags": ["june"], "pinned": True})), up.post(f"{path}/exports")]

    changed, exported = (up.result(job) for job in jobs)
    gone = up.result(place_of(up.client.delete(path)))["snapshot_id"]

    assert up.read("/demo/workspaces?tags=june", snapshot=changed["snapshot_id"])["items"][0]["pinned"] is True
    assert up.read(path, snapshot=exported["snapshot_id"])["exports"] == exported["export"] == 1
    archive = up.reader.get(f"{path}/exports/1/archive").content
    assert hashlib.sha256(archive).hexdigest() == exported["sha256"]
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert json.loads(files.read("manifest.json")) == up.read(f"{path}/exports/1")
    assert up.reader.get(path, params={"snapshot": gone}).status_code == 404
    assert up.read(f"/registry/runs/{told['winning_run_id']}", snapshot=gone)["status"] == "success"
