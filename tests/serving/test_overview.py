"""One call for a first page, and how everything is measured."""

import shutil
from pathlib import Path

from litestar.testing import TestClient

from assets_config.declared import load_declarations
from tests.serving.conftest import client_of

URL = "/api/v1/analytics/overview"


def test_the_overview_is_of_the_last_28_days(client: TestClient) -> None:
    body = client.get(URL).json()

    params = {"start_date": "2024-12-04", "end_date": "2024-12-31", "compare": "previous"}
    kpis = client.get("/api/v1/analytics/kpis", params=params).json()
    assert (body["start_date"], body["end_date"]) == ("2024-12-04", "2024-12-31")
    assert (body["metrics"], body["comparison"]) == (kpis["metrics"], kpis["comparison"])


def test_the_overview_says_how_new_each_part_is(client: TestClient) -> None:
    body = client.get(URL).json()

    assert (body["freshness"]["first_day"], body["freshness"]["as_of"]) == ("2024-09-03", "2024-12-31")
    assert {each["name"] for each in body["freshness"]["parts"]} >= {"catalogue", "facts_2024", "kpis"}
    assert "forecasts" in body["freshness"]["omitted"]


def test_the_overview_without_forecasts_has_the_reason(client: TestClient) -> None:
    accuracy = client.get(URL, params={"compare": "year"}).json()["accuracy"]

    assert (accuracy["realised"], accuracy["backtest"]) == (None, None)
    assert "materialise" in accuracy["reason"]


def test_the_overview_tells_how_good_the_champions_were(demo_root: Path, tmp_path: Path) -> None:
    with client_of(shutil.copytree(demo_root, tmp_path / "demo")) as client:
        accuracy = client.get(URL).json()["accuracy"]
        stages = client.get("/api/v1/forecasts/value-added?segment=all&stage=champion").json()["items"]

    assert accuracy["backtest"]["wape"] == round(stages[0]["wape"], 6)
    assert accuracy["backtest"]["n"] == stages[0]["n"]
    assert accuracy["realised"] is None
    assert "no day of a frozen forecast is known yet" in accuracy["reason"]


def test_the_overview_counts_what_is_worth_a_look(client: TestClient, demo_root: Path) -> None:
    with client_of(demo_root) as demo:
        body = demo.get(URL).json()
        risks = demo.get("/api/v1/inventory/risks?page_size=100").json()["items"]
        alerts = demo.get("/api/v1/alerts?alert_state=open").json()["total"]
    nothing = client.get(URL).json()

    assert body["stock"]["series"] == len(risks)
    assert body["stock"]["stocked_out"] == sum(each["state"] == "stocked_out" for each in risks)
    assert body["stock"]["overstock_value"] == round(sum(each["overstock_value"] for each in risks), 2)
    assert (body["alerts"]["open"], body["alerts"]["critical"]) == (alerts, 0)
    assert set(nothing["stock"].values()) == set(nothing["alerts"].values()) == {None}


def test_every_kpi_says_how_it_is_measured(client: TestClient) -> None:
    items = {each["name"]: each for each in client.get("/api/v1/analytics/definitions").json()["items"]}

    assert list(items) == [each.name for each in load_declarations().kpis]
    price = items["avg_unit_price"]
    assert (price["formula"], price["unit"], price["additivity"]) == ("revenue / units", "money", "ratio")
    assert [each["name"] for each in price["measures"]] == ["revenue", "units"]
    assert (items["total_revenue"]["additivity"], items["total_revenue"]["direction"]) == ("additive", "up")
    assert items["total_units"]["source_table"] == "kpi_daily"
