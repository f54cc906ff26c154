"""Promises that hold for every route."""

from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.jobs import JOB_TYPES
from serving.problems import PROBLEMS
from serving.settings import SettingError, read_settings
from tests.serving.reviewed import application

ITEMS = "/api/v1/items/SKU-0001/timeseries"


@pytest.mark.parametrize(
    "path",
    [
        "/livez",
        "/readyz",
        "/health",
        "/docs",
        "/openapi.json",
        "/errors/not-found",
        "/api/v1/dimensions/stores",
        "/api/v1/dimensions/stores/S001",
        "/api/v1/dimensions/stores/1",
        "/api/v1/dimensions/products?category=Dairy&sort_by=base_price&sort_order=desc",
        "/api/v1/dimensions/products/SKU-0001",
        "/api/v1/items?search=sku",
        "/api/v1/items/SKU-0001/explanation?store_id=S001",
        f"{ITEMS}?start=2024-12-01&end=2024-12-31&store_id=S001",
        "/api/v1/forecasts/summary?start=2024-12-01&end=2024-12-31&item_ids=SKU-0001,2",
        "/api/v1/dimensions/categories",
        "/api/v1/dimensions/segments?pattern=smooth",
        "/api/v1/dimensions/stores?as_of=2024-12-01",
        "/api/v1/dimensions/products/1/supply",
        "/api/v1/inventory/SKU-0001/history",
        "/api/v1/ingest/kinds",
        "/api/v1/ingest/batches",
        "/api/v1/ingest/audit",
        "/api/v1/ingest/external-ids",
        "/api/v1/seeder/scenarios",
        "/api/v1/seeder/status",
        "/api/v1/registry/runs",
        "/api/v1/backtests",
        "/api/v1/jobs/types",
        "/api/v1/system/info",
        "/api/v1/system/snapshots",
    ],
)
def test_every_read_answers(path: str, client: TestClient) -> None:
    answer = client.get(path)

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("PUT", "/api/v1/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/dimensions/stores?sort_by=size", 422, "VALIDATION"),
        ("GET", "/api/v1/dimensions/stores?page=0", 422, "VALIDATION"),
        ("GET", "/api/v1/dimensions/stores?page_size=101", 422, "VALIDATION"),
        ("GET", "/api/v1/dimensions/stores?search=a", 422, "VALIDATION"),
        ("GET", "/api/v1/dimensions/stores?limit=5", 422, "VALIDATION"),
        ("GET", "/api/v1/dimensions/products/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/registry/runs/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/backtests/none", 404, "NOT_FOUND"),
        ("GET", f"{ITEMS}?start=2024-12-31&end=2024-12-01", 400, "BAD_REQUEST"),
        ("GET", "/api/v1/jobs", 503, "ORCHESTRATOR_UNAVAILABLE"),
        ("GET", "/api/v1/jobs?job_type=train", 503, "ORCHESTRATOR_UNAVAILABLE"),
        ("GET", "/api/v1/jobs?job_type=foo", 422, "VALIDATION"),
        ("GET", "/errors/none", 404, "NOT_FOUND"),
    ],
)
def test_every_error_is_a_problem(method: str, path: str, status: int, code: str, client: TestClient) -> None:
    answer = client.request(method, path)

    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"].removeprefix("/errors/") in PROBLEMS
    assert body["instance"] == f"/requests/{answer.headers['x-request-id']}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"job_type": "train_all"}, "job_type"),
        ({"job_type": "materialize", "params": {"assets": ["core/nothing"]}}, "params.assets[0]"),
        ({"job_type": "materialize", "params": {"assets": "core"}}, "params.assets"),
        ({"job_type": "refresh", "params": {"force": True}}, "params.force"),
        ({"job_type": "ingest"}, "params"),
        ({"job_type": "ingest", "params": {"batch_id": "../x"}}, "params.batch_id"),
        ({"job_type": "seed_delete", "params": {"confirm": False}}, "params.confirm"),
        ({"job_type": "refresh", "parameters": {}}, "parameters"),
    ],
)
def test_wrong_parameters_are_refused_before_a_job_exists(body: dict[str, Any], field: str, client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_an_unknown_asset_is_told_with_where_assets_are_listed(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", json={"job_type": "materialize", "params": {"assets": ["core/nothing"]}})

    assert answer.json()["detail"] == "Unknown assets: core/nothing; GET /api/v1/assets lists those that there are."


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "value", "message"),
    [
        ("POST", "agents/sessions", {"agent_type": "oracle"}, "agent_type", "oracle", "use one of "),
        ("POST", "approvals/a/decision", {"decision": "maybe"}, "decision", "maybe", "use one of approve, "),
        ("POST", "jobs", {"job_type": "seed_delete", "params": {"confirm": False}}, "params.confirm", False, "use one of true"),
        (
            "POST",
            "jobs",
            {"job_type": "demo", "params": {"preservation": "x"}},
            "params.preservation",
            "x",
            "use one of ephemeral, ",
        ),
        (
            "POST",
            "jobs",
            {"job_type": "backtest", "params": {"model_type": "x", "n_splits": 99}},
            "params.n_splits",
            99,
            "Expected ",
        ),
        ("POST", "rag/retrieve", {"query": "stock", "filters": {"kind": ["book"]}}, "filters.kind[0]", "book", "use one of "),
        ("POST", "scenarios/simulate", {"horizon": 0}, "horizon", 0, "Expected `int` >= 1"),
        ("PATCH", "config", {"max_days": 0}, "max_days", 0, "Expected "),
        ("PATCH", "config", {"max_day": 9}, "max_day", 9, "unknown; known are: "),
        ("PATCH", "demo/workspaces/a", {"tags": ["a", 7]}, "tags[1]", 7, "Expected `str`"),
        ("PATCH", "demo/workspaces/a", {"tags": "x" * 1000}, "tags", None, "Expected `array`"),
        ("PATCH", "demo/workspaces/a", ["name"], "body", ["name"], "Expected `object`"),
    ],
)
def test_a_wrong_body_is_told_what_was_sent_and_what_would_work(
    method: str, path: str, body: Any, field: str, value: Any, message: str, client: TestClient
) -> None:
    answer = client.request(method, f"/api/v1/{path}", json=body)

    assert answer.status_code == 422, answer.text
    [said] = [each for each in answer.json()["errors"] if each["field"] == field]
    assert said["value"] == value
    assert said["message"].startswith(message)


PARAMS: dict[str, dict[str, Any]] = {
    "ingest": {"batch_id": "a" * 32},
    "replay_batch": {"batch_id": "a" * 32},
    "seed_append": {"start_date": "2025-01-01", "end_date": "2025-01-31"},
    "seed_delete": {"confirm": True},
    "set_alias": {"name": "production", "run_id": "a" * 32},
    "delete_alias": {"name": "production"},
    "annotate_run": {"run_id": "a" * 32, "archive": True},
    "rag_index": {"scope": "project", "path_prefix": "docs"},
    "rag_delete": {"source_id": "a" * 16},
    "export": {"tables": ["dim_store"]},
    "reforecast": {"forecast_id": "a" * 32},
    "decide_approval": {"approval_id": "a" * 32, "decision": "approve"},
    "scenario": {"name": "Cheaper", "product_id": "SKU-0001"},
    "delete_scenario": {"scenario_id": "a" * 32},
    "update_alert": {"alert_id": "a" * 32, "action": "acknowledge"},
    "set_alert_rule": {"rule": "bias", "enabled": False},
    "retry_notification": {"notification_id": "a" * 32},
    "set_preference": {"user": "ann", "channels": ["log"]},
    "set_template": {"event": "opened", "subject": "s", "body": "b"},
    "chat": {"session_id": "a" * 32, "turn_id": "b" * 32, "sha256": "c" * 64},
    "close_session": {"session_id": "a" * 32},
    "decide_tool_call": {"approval_id": "a" * 32, "decision": "reject"},
    "update_workspace": {"workspace_id": "a" * 32, "pinned": True},
    "delete_workspace": {"workspace_id": "a" * 32},
    "export_workspace": {"workspace_id": "a" * 32},
}


@pytest.mark.parametrize("job_type", sorted(JOB_TYPES.keys() - {"predict", "rollback"}))  # these name what is not here
def test_a_job_without_dagster_is_a_503_and_leaves_no_key(job_type: str, client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}

    body = {"job_type": job_type, "params": PARAMS.get(job_type, {})}
    answers = [client.post("/api/v1/jobs", json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].headers["retry-after"]


def test_pages_partition_the_list(client: TestClient) -> None:
    whole = client.get("/api/v1/dimensions/products?page_size=100").json()

    pages = [client.get(f"/api/v1/dimensions/products?page_size=5&page={n}").json() for n in range(1, 5)]

    assert [item for page in pages for item in page["items"]] == whole["items"]
    assert {page["total"] for page in pages} == {whole["total"]}


def test_a_known_answer_is_304(client: TestClient) -> None:
    first = client.get("/api/v1/dimensions/stores")

    second = client.get("/api/v1/dimensions/stores", headers={"If-None-Match": first.headers["etag"]})
    other = client.get("/api/v1/dimensions/stores?page=2", headers={"If-None-Match": first.headers["etag"]})

    assert (second.status_code, second.content) == (304, b"")
    assert other.status_code == 200


def test_a_request_id_is_kept_and_a_hostile_one_is_not(client: TestClient) -> None:
    kept = client.get("/livez", headers={"X-Request-ID": "abc-123"})
    replaced = client.get("/livez", headers={"X-Request-ID": "a b\tc"})

    assert kept.headers["x-request-id"] == "abc-123"
    assert replaced.headers["x-request-id"] != "a b\tc"


def test_another_host_name_is_refused(client: TestClient) -> None:
    answer = client.get("/livez", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_the_docs_page_needs_no_network(client: TestClient) -> None:
    page = client.get("/docs").text

    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert f"/docs/assets/{asset}" in page
        assert client.get(f"/docs/assets/{asset}").status_code == 200


def test_no_route_infers_or_trains() -> None:
    schema = application().openapi_schema.to_schema()

    starts_a_job = "/api/v1/workflows/forecast"
    segments = {segment for path in schema["paths"] if path != starts_a_job for segment in path.split("/")}

    assert segments.isdisjoint({"predict", "forecast", "inference", "train", "retrain", "optimize"})


def test_operations_have_ids_and_descriptions() -> None:
    schema = application().openapi_schema.to_schema()

    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]

    assert all(operation["operationId"] and operation["description"] for operation in operations)


@pytest.mark.parametrize("value", ["0", "port", "70000", "-1"])
def test_a_wrong_setting_names_the_variable(value: str) -> None:
    with pytest.raises(SettingError, match="DEMANDGRAPH_PORT"):
        read_settings({"DEMANDGRAPH_PORT": value})
