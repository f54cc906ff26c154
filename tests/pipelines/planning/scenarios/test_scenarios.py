"""Scenarios over a real forecast: saved, by multiplying and by asking the model again, and over HTTP."""

import hashlib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets_config.contract.scenarios import (
    Assumptions,
    DeleteScenarioParams,
    Holiday,
    Price,
    PromotionPlan,
    ScenarioParams,
    Stock,
)
from pipelines.errors import PipelineError
from pipelines.features.panel import read_panel
from pipelines.planning.scenarios.future import asked_of_model, forecast_of, supposed
from pipelines.planning.scenarios.state import change_scenarios
from pipelines.warehouse import Warehouse
from tests.serving.conftest import client_of

NOW = datetime(2026, 1, 5, 12)
IDS = [letter * 32 for letter in "abcd"]
PRODUCT, STORE = "SKU-0001", "S001"


def asked(**changes: Any) -> ScenarioParams:
    return ScenarioParams(**{"name": "What if", "product_id": PRODUCT, "store_id": STORE, **changes})


@pytest.mark.parametrize("method", ["heuristic", "model_exogenous"])
def test_nothing_assumed_is_the_baseline_to_the_bit(method: Any, own_root: Path) -> None:
    warehouse = Warehouse(own_root)

    change_scenarios(warehouse, [asked(method=method)], at=NOW, by=IDS[0])

    days = warehouse.read("planning/scenario_day")
    published = warehouse.read("forecasts/forecast").filter(source="forecast", store_id=1, product_id=1).sort("date")
    assert days["demand"].to_list() == days["baseline"].to_list() == days["sold"].to_list()
    assert days["date"].to_list() == published["date"].to_list()
    if method == "heuristic":
        assert days["baseline"].to_list() == published["yhat"].to_list()
    [row] = warehouse.read("planning/scenario").iter_rows(named=True)
    assert (row["units"], row["revenue"], row["lost"]) == (row["baseline_units"], row["baseline_revenue"], 0)


def test_the_model_is_asked_of_the_future_alone(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)
    rows = (panel.product_id == 1) & (panel.store_id == 1)
    first = panel.day(panel.days)
    name = panel.event_names.tolist()[0]
    what = Assumptions(
        price=Price(change=-0.5), promotion=PromotionPlan(discount=0.3), holiday=Holiday(dates=[first], name=name)
    )  # fmt: skip

    changed = supposed(panel, rows, first, 14, what)

    assert np.array_equal(changed.y, panel.y, equal_nan=True)
    assert np.array_equal(changed.price[:, : panel.days], panel.price[:, : panel.days])
    assert np.array_equal(changed.promotion[:, : panel.days], panel.promotion[:, : panel.days])
    assert np.array_equal(changed.event[: panel.days], panel.event[: panel.days])
    ahead = slice(panel.days, panel.days + 14)
    assert np.allclose(changed.price[rows, ahead], panel.price[rows, ahead] / 2)
    assert np.array_equal(changed.price[~rows], panel.price[~rows])
    assert (changed.promotion[rows, ahead] == 30).all()
    assert panel.event_names[changed.event[panel.days] - 1] == name
    with pytest.raises(PipelineError, match=r"the calendar has no holiday Carnival; it has .*Christmas"):
        supposed(panel, rows, first, 14, Assumptions(holiday=Holiday(dates=[first], name="Carnival")))


def test_a_promotion_moves_what_the_model_forecasts(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    question = asked(method="model_exogenous", assumptions=Assumptions(promotion=PromotionPlan(discount=0.3)))

    baseline, demand = asked_of_model(warehouse, question, forecast_of(warehouse, question))

    assert len(baseline) == len(demand) == 14
    assert sum(demand) != sum(baseline)


def test_scenarios_are_saved_kept_and_deleted(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    cheap = asked(assumptions=Assumptions(price=Price(change=-0.1, elasticity=-2)), tags=["price", "price"], horizon=7)
    change_scenarios(warehouse, [cheap], at=NOW, by=IDS[0])
    change_scenarios(warehouse, [asked(store_id=None, cloned_from=IDS[0])], at=NOW + timedelta(days=1), by=IDS[1])

    before = hashlib.sha256(warehouse.path("planning/scenario").read_bytes()).hexdigest()
    change_scenarios(warehouse, [], at=NOW, by=IDS[2])
    change_scenarios(warehouse, [cheap], at=NOW, by=IDS[0])
    assert hashlib.sha256(warehouse.path("planning/scenario").read_bytes()).hexdigest() == before

    saved = {row["scenario_id"]: row for row in warehouse.read("planning/scenario").iter_rows(named=True)}
    assert saved[IDS[0]]["units"] == pytest.approx(saved[IDS[0]]["baseline_units"] * 0.9**-2)
    assert saved[IDS[0]]["revenue"] == pytest.approx(saved[IDS[0]]["baseline_revenue"] * 0.9**-1)
    assert (saved[IDS[0]]["tags"], saved[IDS[1]]["store_id"], saved[IDS[1]]["cloned_from"]) == ('["price"]', None, IDS[0])
    assert warehouse.read("planning/scenario_day").filter(scenario_id=IDS[0]).height == 7

    change_scenarios(warehouse, [DeleteScenarioParams(IDS[0])], at=NOW, by=IDS[2])
    assert warehouse.read("planning/scenario")["scenario_id"].to_list() == [IDS[1]]
    assert warehouse.read("planning/scenario_day").filter(pl.col("scenario_id") == IDS[0]).is_empty()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"product_id": "Nothing"}, "no product is called Nothing"),
        ({"store_id": "S999"}, "no store is called S999"),
        ({"run_id": "0" * 32}, "is not forecast by run 0{32}"),
        ({"method": "model_exogenous", "assumptions": Assumptions(holiday=Holiday(dates=[NOW.date()]))}, "holiday.name"),
        ({"horizon": 15}, "horizon is more than the 14 days that are forecast"),
        ({"assumptions": Assumptions(holiday=Holiday(dates=[date(2050, 1, 1)]))}, "assumptions.holiday.dates lies outside"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_saved(changes: dict[str, Any], why: str, demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)

    with pytest.raises(PipelineError, match=why):
        change_scenarios(warehouse, [asked(**changes)], at=NOW, by=IDS[0])

    assert warehouse.read("planning/scenario").is_empty()


def test_what_is_simulated_at_once_is_what_a_job_saves(own_root: Path) -> None:
    from assets_config.declared import load_declarations
    from pipelines.publish.snapshot import publish

    warehouse, declared = Warehouse(own_root), load_declarations()
    what = Assumptions(price=Price(change=0.2), inventory=Stock(on_hand=30.0))
    change_scenarios(warehouse, [asked(assumptions=what, tags=["a", "b"])], at=NOW, by=IDS[0])
    change_scenarios(warehouse, [asked(name="As it is", tags=["a"])], at=NOW + timedelta(days=1), by=IDS[1])
    publish(warehouse, measures=declared.published_measures(), kpis=declared.kpis)

    body = {"product_id": PRODUCT, "store_id": STORE, "assumptions": {"price": {"change": 0.2}, "inventory": {"on_hand": 30}}}
    with client_of(own_root) as client:
        at_once = client.post("/api/v1/scenarios/simulate", json=body).json()
        again = client.post("/api/v1/scenarios/simulate", json=body)
        saved = client.get(f"/api/v1/scenarios/{IDS[0]}").json()
        listed = client.get("/api/v1/scenarios").json()["items"]
        tagged = client.get("/api/v1/scenarios?tag=a&tag=b").json()["items"]
        ranked = client.post("/api/v1/scenarios/compare", json={"scenario_ids": IDS[:2], "rank_by": "units"}).json()
        same = client.post("/api/v1/scenarios", json={**body, "name": "What if", "tags": ["b", "a"]})
        fresh = client.post("/api/v1/scenarios", json={**body, "name": "Another", "cloned_from": IDS[0]})
        refused = [
            client.post(f"/api/v1/scenarios{path}", json=sent).status_code
            for path, sent in (
                ("/simulate", {**body, "product_id": "Nothing"}),
                ("/simulate", {**body, "run_id": "0" * 32}),
                ("/simulate", {**body, "horizon": 0}),
                ("/simulate", {**body, "assumptions": {"weather": {}}}),
                ("/simulate", {**body, "assumptions": {"price": {"changed": 1}}}),
                ("/simulate", {**body, "assumptions": {"inventory": {"on_hand": 1, "inbound": [{"day": 1}]}}}),
                ("/compare", {"scenario_ids": [IDS[0], IDS[3]]}),
                ("/compare", {"scenario_ids": [IDS[0]] * 2}),
                ("/compare", {"scenario_ids": IDS[:1]}),
                ("", {**body, "name": "x", "cloned_from": IDS[3]}),
                ("", {**body, "name": "x", "method": "oracle"}),
            )
        ]
        gone = client.delete(f"/api/v1/scenarios/{IDS[3]}").status_code

    assert at_once["days"] == saved["days"]
    assert (at_once["sums"], at_once["result_hash"]) == (saved["sums"], saved["result_hash"])
    assert again.json() == at_once
    assert at_once["sums"]["units"] + at_once["left"] == pytest.approx(30)
    assert at_once["sums"]["change_revenue"] == pytest.approx(
        at_once["sums"]["revenue"] - at_once["sums"]["baseline_revenue"], abs=0.011
    )
    assert [each["scenario_id"] for each in listed] == [IDS[1], IDS[0]]
    assert [each["scenario_id"] for each in tagged] == [IDS[0]]
    assert [(each["rank"], each["scenario_id"]) for each in ranked["items"]] == [(1, IDS[1]), (2, IDS[0])]
    assert len(ranked["chart"]) == 14
    assert set(ranked["chart"][0]["sold"]) == set(IDS[:2])
    assert (same.status_code, fresh.status_code) == (200, 503)
    assert same.json() == saved
    assert refused == [404, 404, 422, 422, 422, 422, 404, 422, 422, 404, 422]
    assert gone == 404
