"""What another API of this kind was seen to get wrong, a promise each. Those of the pipeline are kept beside its stages."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.layout import Published
from assets_config.contract.registry import Backtest, BacktestMetric, ModelRun
from serving.app import create_asgi
from serving.layers.cache import Cache
from serving.problems import MEDIA_TYPE
from serving.settings import Settings
from tests.serving.conftest import client_of
from tests.serving.parts import AT, FIRST, LAST, write_snapshot

KPIS = "/api/v1/analytics/kpis?start_date=2024-10-01&end_date=2024-10-31"
DRILLDOWN = "/api/v1/analytics/drilldowns?start_date=2024-10-01&end_date=2024-10-31"
RUNS = "/api/v1/registry/runs"


def fitted(run_id: str, **fields: Any) -> ModelRun:
    run = ModelRun(
        *(run_id, "naive", "success", "{}", "c", FIRST, LAST, "d", None, None, 2, "{}", "{}"),
        *("artifacts/x.npy", "0" * 64, 1, None, AT, AT, 1.0, None, None, True, None),
    )
    return msgspec.structs.replace(run, **fields)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Three times the same fit, and one whose artifact would lie outside."""
    root = tmp_path_factory.mktemp("registry")
    first, outside = "a" * 32, fitted("e" * 32, artifact_uri="../../../../../etc/passwd")
    same = [fitted(first), fitted("b" * 32, duplicate_of=first), fitted("c" * 32, duplicate_of=first)]
    write_snapshot(root, {"model_run": [*same, outside]})
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{RUNS}/none", 404),
        ("DELETE", "/api/v1/analytics/kpis", 405),
        ("GET", KPIS.replace("2024-10-01", "2024-11-30"), 400),
        ("GET", "/api/v1/analytics/kpis", 422),
        ("POST", "/forecasting/train", 410),
    ],
)
def test_errors_that_routes_raise_are_problems_as_all_others(method: str, path: str, status: int, client: TestClient) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/seeder/append", {"start_date": "2025-01-01", "end_date": "2025-01-31"}),
        ("/api/v1/jobs", {"job_type": "seed_append", "params": {"start_date": "2025-01-01", "end_date": "2025-01-31"}}),
    ],
)
def test_dates_in_a_body_are_read_from_iso_text(path: str, body: dict[str, Any], client: TestClient) -> None:
    answer = client.post(path, json=body)

    assert answer.json()["code"] == "ORCHESTRATOR_UNAVAILABLE", "what is valid meets the absent orchestrator"


def test_requests_open_no_connection_of_their_own(root: Path) -> None:
    app = create_asgi(Settings(data=root, dagster_url="http://127.0.0.1:9", cache_mb=0))

    async def ask(rounds: int) -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for _ in range(rounds):
                found = await asyncio.gather(*(client.get(f"{KPIS}&store_id=S001&product_id={n + 1}") for n in range(12)))
                assert {answer.status_code for answer in found} == {200}

    async def count() -> tuple[int, int]:
        await ask(2)
        before = len(os.listdir("/proc/self/fd"))
        await ask(20)
        return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(count())

    assert after <= before


def test_a_third_equal_model_run_is_no_fault(registry: TestClient) -> None:
    listed = registry.get(RUNS).json()["items"]

    assert [each["duplicate_of"] for each in listed if each["run_id"][0] in "abc"].count("a" * 32) == 2
    assert all(registry.get(f"{RUNS}/{each['run_id']}").status_code == 200 for each in listed)


def test_an_error_that_does_not_exist_is_null_and_never_infinite(tmp_path: Path) -> None:
    known = {
        "backtest_id": "x",
        "fold": -1,
        "bucket": "all",
        "level": "series",
        "segment": "all",
        "stability_pct": '{"wape": null}',
    }
    metric = BacktestMetric(**{name: known.get(name) for name in BacktestMetric.__struct_fields__})
    backtest = Backtest("x", "naive", "{}", "expanding", 1, 14, 0, 1, "d")
    write_snapshot(tmp_path, {"backtest": [backtest], "backtest_metric": [metric]})

    with client_of(tmp_path) as client:
        answers = [client.get(path) for path in ("/api/v1/backtests", "/api/v1/backtests/x", "/api/v1/registry/leaderboard")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json()["items"][0]["aggregated_metrics"]["wape"] is None
    assert not re.search(r"NaN|Infinity", "".join(answer.text for answer in answers))


@pytest.mark.parametrize("number", ["2147483648", "9223372036854775808", "1" * 40, "-1", "1e3", "0x1"])
def test_a_number_beyond_every_id_is_an_unknown_store(number: str, client: TestClient) -> None:
    for path in (f"/api/v1/dimensions/stores/{number}", f"{KPIS}&store_id={number}"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("page", ["9223372036854775808", "1" * 60])
def test_a_page_beyond_every_integer_is_told_so(page: str, client: TestClient) -> None:
    assert client.get(f"/api/v1/dimensions/stores?page={page}").status_code == 422


def test_an_artifact_outside_the_part_is_not_read(registry: TestClient) -> None:
    answer = registry.get(f"{RUNS}/{'e' * 32}/verify")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert "root:" not in answer.text


@pytest.mark.parametrize("fact", ["artifact_uri", "artifact_hash", "metrics", "status"])
def test_the_facts_of_a_model_run_cannot_be_patched(fact: str, registry: TestClient) -> None:
    answer = registry.patch(f"{RUNS}/{'a' * 32}", json={fact: "x"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == fact


@pytest.mark.parametrize("job_type", sorted(JOB_TYPES))
def test_a_job_without_what_it_needs_is_refused_before_it_exists(job_type: str, client: TestClient) -> None:
    needed = [field.name for field in msgspec.structs.fields(JOB_TYPES[job_type].params) if field.required]

    answer = client.post("/api/v1/jobs", json={"job_type": job_type, "params": {}})

    if needed:
        assert answer.status_code == 422
        assert needed[0] in answer.json()["detail"]
    elif job_type == "rag_index":
        assert answer.status_code == 422, "a document needs a name and its bytes, the project's own need neither"
    else:
        assert answer.json()["code"] == "ORCHESTRATOR_UNAVAILABLE"


def test_the_model_behind_a_forecast_is_a_run_of_the_registry(demo_root: Path) -> None:
    with client_of(demo_root) as client:
        points = client.get("/api/v1/items/SKU-0001/timeseries?start=2024-12-01&end=2025-01-31&store_id=S001").json()["timeseries"]
        versions = {point["model_version"] for point in points if point["model_version"]}

        assert versions
        assert {client.get(f"{RUNS}/{version}").status_code for version in versions} == {200}


def test_without_its_data_a_server_is_not_ready(root: Path) -> None:
    shutil.rmtree(Published(root).parts)

    with client_of(root) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/health").status_code == 503
        assert client.get("/livez").status_code == 200


def test_an_internal_error_tells_the_id_to_quote_and_nothing_else(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    app: Any = create_asgi(Settings(data=root, dagster_url="http://127.0.0.1:9"))
    cache = app
    while not isinstance(cache, Cache):
        cache = cache.app
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/readyz")
        snapshot = cache._library.peek()
        assert snapshot is not None
        snapshot.codes.clear()
        del snapshot.names["region"]

        answer = client.get(f"{KPIS}&region=North&store_id=S001", headers={"X-Request-ID": "quote-me"})

    body = answer.json()
    assert (answer.status_code, body["code"], body["request_id"]) == (500, "UNKNOWN", "quote-me")
    assert "KeyError" not in answer.text
    assert "region" not in body["detail"]
    [record] = [each for each in caplog.records if each.exc_info]
    assert "quote-me" in record.getMessage()


@pytest.mark.parametrize("path", [KPIS, f"{DRILLDOWN}&dimension=product", f"{KPIS}&store_id=S001&product_id=1"])
def test_numbers_have_no_more_places_than_their_unit(path: str, client: TestClient) -> None:
    body = json.loads(client.get(path).text, parse_float=str)

    for metrics in [body["metrics"]] if "metrics" in body else [item["metrics"] for item in body["items"]]:
        for name, value in metrics.items():
            places = len(str(value).partition(".")[2])
            assert places <= (2 if name.endswith(("revenue", "price", "value")) else 6), (name, value)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_members_that_tie_are_ranked_by_their_code(order: str, client: TestClient) -> None:
    quiet = DRILLDOWN.replace("2024-10-31", "2024-10-01")
    items = client.get(f"{quiet}&dimension=product&order_by=total_transactions&sort_order={order}").json()["items"]

    keys = [(item["metrics"]["total_transactions"], item["dimension_value"]) for item in items]
    assert len({count for count, _ in keys}) < len(keys), "some tie"
    assert keys == sorted(keys, key=lambda key: (-key[0] if order == "desc" else key[0], key[1]))
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
