"""What if, over HTTP: how a product is named, which days can be asked for, and when a scenario is saved already."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.forecasts import Forecast
from assets_config.contract.scenarios import Scenario
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

URL = "/api/v1/scenarios"
CUTOFF = date(2024, 6, 30)
SAVED = "a" * 32
ROWS: dict[str, list[Any]] = {
    "dim_store": [DimStore(1, "S1", "First", None, *[None] * 7)],
    "dim_product": [DimProduct(7, "P7", "Rye", "Bakery", *[None] * 6)],
    "forecast": [
        Forecast(1, 7, CUTOFF + timedelta(days=n), "forecast", n, CUTOFF, 2.0, 1.0, 2.0, 3.0, None, "ets", "r" * 32)
        for n in range(1, 15)
    ],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_snapshot(tmp_path, ROWS)
    with client_of(tmp_path) as client:
        yield client


def test_product_and_store_are_named_by_code_or_id(client: TestClient) -> None:
    by_code, by_id = (
        client.post(f"{URL}/simulate", json={"product_id": product, "store_id": store}).json()
        for product, store in (("P7", "S1"), (7, 1))
    )

    assert (by_id["product_id"], by_id["store_id"], by_id["sums"]["units"]) == (7, 1, 28.0)
    assert by_id == by_code
    assert client.post(URL, json={"name": "By id", "product_id": 7}).status_code == 503


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"horizon": 15}, "horizon", 15),
        ({"assumptions": {"price": {"change": 1, "start_date": "2024-07-15"}}}, "assumptions.price.start_date", "2024-07-15"),
        ({"assumptions": {"promotion": {"end_date": "2024-06-30"}}}, "assumptions.promotion.end_date", "2024-06-30"),
        ({"assumptions": {"holiday": {"dates": ["2026-01-01"]}}}, "assumptions.holiday.dates", ["2026-01-01"]),
        ({"horizon": 2, "assumptions": {"holiday": {"dates": ["2024-07-03"]}}}, "assumptions.holiday.dates", ["2024-07-03"]),
    ],
)
def test_days_that_are_not_forecast_are_refused(asked: dict[str, Any], field: str, value: Any, client: TestClient) -> None:
    answers = [client.post(f"{URL}{path}", json={"product_id": "P7", **more, **asked}) for path, more in
               (("/simulate", {}), ("", {"name": "Late"}))]  # fmt: skip

    for answer in answers:
        assert answer.status_code == 422, answer.text
        [error] = answer.json()["errors"]
        assert (error["field"], error["value"]) == (field, value)
        assert "2024-07-01 to " in error["message"]


def test_a_scenario_is_saved_already_under_its_name_and_tags_alone(tmp_path: Path) -> None:
    body = {"product_id": "P7", "assumptions": {"price": {"change": -0.1}}}
    write_snapshot(tmp_path / "before", ROWS)
    with client_of(tmp_path / "before") as client:
        hashed = client.post(f"{URL}/simulate", json=body).json()["result_hash"]
    sums = (-1.5, 28.0, 30.0, 0.0, None, None, datetime(2024, 7, 1))
    row = Scenario(SAVED, "Ten off", "heuristic", '{"product_id": "P7"}', '["a", "b"]', None, 7, None, hashed, None, *sums)
    write_snapshot(tmp_path / "after", {**ROWS, "scenario": [row]})

    with client_of(tmp_path / "after") as client:
        same = client.post(URL, json={**body, "name": "Ten off", "tags": ["b", "a"]})
        others = [client.post(URL, json={**body, "name": "Ten off", **tags}) for tags in ({"tags": ["workspace:mine"]}, {})]

    assert (same.status_code, same.json()["scenario_id"]) == (200, SAVED)
    assert [each.status_code for each in others] == [503, 503], "each is a job, which no Dagster takes here"


@pytest.mark.parametrize("leave_out", [[], ["forecasts"]])
def test_where_nothing_is_forecast_it_is_said_what_makes_forecasts(leave_out: list[str], tmp_path: Path) -> None:
    write_snapshot(tmp_path, {**ROWS, "forecast": []}, leave_out=leave_out)

    with client_of(tmp_path) as client:
        answer = client.post(f"{URL}/simulate", json={"product_id": "P7"})

    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Nothing is forecast here yet: a job `materialize` ")
