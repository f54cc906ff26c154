"""Synthetic data on request: what is refused, what a dry run says, and what is told of what is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimStore
from assets_config.contract.seeds import PRESETS
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

GENERATE = "/api/v1/seeder/generate"
DAYS = {"start_date": "2025-01-01", "end_date": "2025-01-31"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("seeder")
    write_snapshot(root, {"dim_store": [DimStore(1, "S1", "One", None, None, None, None, None, None, None, None)]})
    with client_of(root) as client:
        yield client


def test_scenarios_tell_their_knobs_and_what_may_be_changed(client: TestClient) -> None:
    body = client.get("/api/v1/seeder/scenarios").json()

    overrides = {each["name"]: (each["least"], each["most"]) for each in body["overrides"]}
    assert [each["name"] for each in body["items"]] == list(PRESETS)
    assert body["items"][0]["knobs"]["seed"] == 42
    assert overrides == {
        "stores": (1, 100),
        "products": (1, 500),
        "window_days": (75, 365),
        "sparsity": (0, 0.9),
        "promotion_intensity": (0, 0.5),
        "stockout_intensity": (0, 0.5),
        "noise_sigma": (0, 0.5),
    }


def test_the_status_tells_rows_and_days(client: TestClient, tmp_path: Path) -> None:
    body = client.get("/api/v1/seeder/status").json()
    with client_of(tmp_path) as other:
        empty = other.get("/api/v1/seeder/status")

    assert (body["rows"]["dim_store"], body["first_day"], body["as_of"]) == (1, "2024-06-01", "2024-06-30")
    assert (body["source"], body["published_at"]) == ("tiny", "2024-07-01T12:00:00Z")
    assert (empty.status_code, empty.json()["rows"]) == (200, {})


def test_a_dry_run_says_what_would_come(client: TestClient) -> None:
    request = {"scenario": "demo_minimal", "seed": 7, "overrides": {"stores": 3, "window_days": 80}, "dry_run": True}

    answer = client.post(GENERATE, json=request)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["knobs"]["seed"], body["knobs"]["stores"], body["knobs"]["products"]) == (7, 3, 20)
    assert body["planned_rows"] == {"stores": 3, "products": 20, "inventory": 4800, "sales-daily": 4800}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scenario": "none"}, "scenario"),
        ({"scenario": 3}, "scenario"),
        ({"shops": 3}, "shops"),
        ({"stores": 0}, "stores"),
        ({"stores": 101}, "stores"),
        ({"overrides": {"shops": 3}}, "overrides.shops"),
        ({"overrides": {"sparsity": 0.95}}, "overrides.sparsity"),
        ({"start_date": "2024-12-20"}, "start_date"),
        ({"start_date": "1000-01-01"}, "start_date"),
        ({"start_date": "1991-01-01"}, "start_date"),
        ({"end_date": "0001-01-01", "overrides": {"window_days": 80}}, "start_date"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"dry_run": "perhaps"}, "dry_run"),
    ],
)
def test_a_wrong_knob_is_refused_by_name(body: dict[str, Any], field: str, client: TestClient) -> None:
    answers = [client.post(GENERATE, json=body)]
    if "dry_run" not in body:
        answers.append(client.post("/api/v1/jobs", json={"job_type": "seed", "params": body}))

    assert [answer.status_code for answer in answers] == [422] * len(answers)
    assert answers[0].json()["errors"][0]["field"] == field, answers[0].text
    assert all(answer.json()["errors"][0]["field"] == f"params.{field}" for answer in answers[1:]), answers[-1].text


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"overrides":' * 5_000, b'{"scenario": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(body: bytes, client: TestClient) -> None:
    for url in (GENERATE, "/api/v1/seeder/append", "/api/v1/jobs"):
        answer = client.post(url, content=body, headers={"Content-Type": "application/json"})

        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", GENERATE, {}),
        ("POST", "/api/v1/seeder/append", DAYS),
        ("POST", "/api/v1/seeder/phase2-enrichment", None),
        ("POST", "/api/v1/seeder/verify", None),
        ("DELETE", "/api/v1/seeder/data?confirm=true&scope=facts", None),
    ],
)
def test_what_is_valid_meets_the_absent_orchestrator(method: str, url: str, body: Any, client: TestClient) -> None:
    answer = client.request(method, url, json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), answer.text


def test_nothing_can_be_added_to_nothing(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answers = [client.post("/api/v1/seeder/append", json=DAYS), client.post("/api/v1/seeder/phase2-enrichment")]
        bodies = [{"job_type": "seed_append", "params": DAYS}, {"job_type": "seed_enrich"}]
        answers += [client.post("/api/v1/jobs", json=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [422] * 4
    assert all("generate first" in answer.json()["detail"] for answer in answers)


@pytest.mark.parametrize(
    ("body", "status"), [({**DAYS, "end_date": "2024-12-31"}, 400), ({**DAYS, "end_date": "2099-12-31"}, 400), ({}, 422)]
)
def test_days_to_append_are_checked_whichever_way_they_are_asked_for(body: dict[str, Any], status: int, client: TestClient) -> None:
    job = {"job_type": "seed_append", "params": body, "dry_run": True}

    assert client.post("/api/v1/seeder/append", json=body).status_code == status
    assert client.post("/api/v1/jobs", json=job).status_code == status


@pytest.mark.parametrize("query", ["", "?confirm=false", "?confirm=true&scope=everything", "?confirm=true&what=all", "?scope=all"])
def test_deleting_needs_to_be_confirmed(query: str, client: TestClient) -> None:
    assert client.delete(f"/api/v1/seeder/data{query}").status_code == 422
