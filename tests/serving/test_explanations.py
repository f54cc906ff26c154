"""Explanations and model cards over HTTP, of what the whole graph published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct
from pipelines.warehouse import Warehouse
from tests.serving.conftest import client_of, publish_made
from tests.serving.parts import write_snapshot

RUNS = "/api/v1/registry/runs"


@pytest.fixture(scope="module")
def client(demo_root: Path) -> Iterator[TestClient]:
    with client_of(demo_root) as client:
        yield client


def run_of(client: TestClient, model_type: str) -> dict[str, Any]:
    [run] = client.get(f"{RUNS}?model_type={model_type}").json()["items"]
    return run


def test_an_item_is_explained_by_parts_that_add_up(client: TestClient) -> None:
    body = client.get("/api/v1/items/1/explanation?store_id=1").json()

    assert [each["span"] for each in body["items"]] == ["next_day", "horizon"]
    for each in body["items"]:
        assert sum(part["units"] for part in each["parts"]) == pytest.approx(each["forecast"], rel=1e-5, abs=1e-5)
        assert each["parts"][0]["reason_code"] == "USUAL_LEVEL"
        assert all(part["text"] for part in each["parts"])
        assert each["summary"].endswith(f"{each['confidence']} confidence.")


def test_the_explained_day_is_the_day_of_the_item(client: TestClient) -> None:
    [told] = client.get("/api/v1/items/1/explanation?store_id=1&span=next_day").json()["items"]
    day = told["start_date"]

    [point] = client.get(f"/api/v1/items/1/timeseries?start={day}&end={day}&store_id=1").json()["timeseries"]

    assert (point["forecast"], point["model_version"]) == (pytest.approx(told["forecast"], abs=0.006), told["model_version"])


def test_all_stores_of_an_item_are_explained_a_page_at_a_time(client: TestClient) -> None:
    whole = client.get("/api/v1/items/1/explanation").json()
    second = client.get("/api/v1/items/1/explanation?page=2&page_size=2").json()

    assert whole["total"] == 2 * 3
    assert second["items"] == whole["items"][2:4]


def test_a_run_explains_the_series_that_it_is_champion_of(client: TestClient) -> None:
    told = 0
    for run in client.get(RUNS).json()["items"]:
        body = client.get(f"{RUNS}/{run['run_id']}/explanation?span=horizon&page_size=100").json()

        assert body["total"] == len(body["items"]) == run["metrics"]["champion_of"]
        assert {each["model_version"] for each in body["items"]} <= {run["run_id"]}
        told += body["total"]
    assert told == client.get("/api/v1/dimensions/segments").json()["total"]


def test_a_run_explains_one_series_alone(client: TestClient) -> None:
    [one] = client.get("/api/v1/items/2/explanation?store_id=3&span=horizon").json()["items"]

    url = f"{RUNS}/{one['model_version']}/explanation?span=horizon&store_id=3&product_id=2"

    assert client.get(url).json()["items"] == [one]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("items/none/explanation", 404),
        ("items/1/explanation?store_id=none", 404),
        ("items/1/explanation?span=week", 422),
        ("registry/runs/none/explanation", 404),
        ("registry/runs/none/card", 404),
        ("registry/runs/none/card/plot", 404),
    ],
)
def test_what_is_unknown_is_told(path: str, status: int, client: TestClient) -> None:
    assert client.get(f"/api/v1/{path}").status_code == status


def test_a_run_that_forecasts_nothing_is_a_conflict(own_root: Path) -> None:
    warehouse, kind = Warehouse(own_root), pl.col("model_type")
    runs = warehouse.read("forecasts/model_run").with_columns(
        (pl.col("is_current") & (kind != "ets")).alias("is_current"),
        pl.when(kind == "naive").then(pl.lit("failed")).otherwise("status").alias("status"),
    )
    warehouse.write("forecasts/model_run", runs)
    publish_made(own_root)

    with client_of(own_root) as client:
        for model_type, reason in (("ets", "is not of the last fit"), ("naive", "its status is failed")):
            for path in ("explanation", "card", "card/plot"):
                answer = client.get(f"{RUNS}/{run_of(client, model_type)['run_id']}/{path}")

                assert answer.status_code == 409
                assert reason in answer.json()["detail"]


def test_a_card_is_markdown_and_its_plot_is_svg(client: TestClient) -> None:
    run = run_of(client, "xgboost")

    card = client.get(f"{RUNS}/{run['run_id']}/card")
    plot = client.get(f"{RUNS}/{run['run_id']}/card/plot")

    assert card.headers["content-type"] == "text/markdown; charset=utf-8"
    assert card.text.startswith("# Model card: xgboost\n")
    assert run["artifact_hash"] in card.text
    assert f"{RUNS}/{run['run_id']}/card/plot" in card.text
    assert plot.headers["content-type"].startswith("image/svg+xml")
    assert ElementTree.fromstring(plot.content).tag.endswith("svg")


def test_a_snapshot_without_explanations_has_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {"dim_product": [DimProduct(1, "A-1", "Rye", "Bread", *[None] * 6)]}, leave_out=["explanations"])

    with client_of(tmp_path) as client:
        answer = client.get("/api/v1/items/1/explanation")

    assert (answer.status_code, answer.json()["items"]) == (200, [])
