"""Season plans over HTTP: how they stand, what they wait for, and what is refused before a job exists."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.season import (
    Allocation,
    Approval,
    Markdown,
    Replenishment,
    SeasonBuy,
    SeasonForecast,
    SeasonPlan,
    SeasonResult,
    SeasonStep,
    SeasonStore,
    SeasonWeek,
    VarianceWeek,
)
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

API = "/api/v1"
OPEN, SOLD, NEW = (letter * 32 for letter in "abc")
BUY_OPEN, BUY_DONE, CUT = (letter * 32 for letter in "def")
UNKNOWN = "0" * 32
START = date(2024, 6, 3)
AT = datetime(2024, 6, 1, 12)

PLAN = SeasonPlan(
    *(OPEN, 1, "plan", 0, "[]", "Summer", "Dresses", START, 4, date(2024, 6, 2), "weekly", 0.45, 2, 0.2, 6, 0, None),
    *(72.0, "approve", "lineage", AT, OPEN),
)
FORECAST = SeasonForecast(
    *(OPEN, 1, "Dresses", "Summer 2024", date(2024, 6, 2), START, date(2024, 6, 30), 4, 8000, 7000.5, 9000.25, 0.5, 0.2, 0.2),
    *(1.0, Decimal("50.00"), Decimal("20.00"), "mixed", AT),
)
APPROVAL = Approval(
    *(BUY_OPEN, OPEN, "manufacturing", "open", 9600.0, None, "8000 x 1.2", AT, AT + timedelta(hours=72), "approve"),
    *(None, None, None),
)


def store(number: int, code: str) -> DimStore:
    return DimStore(number, code, code, None, None, None, None, "A", None, None, None)


def of(plan_id: str, row: Any, **changes: Any) -> Any:
    return replace(row, plan_id=plan_id, **changes)


ROWS: dict[str, list[Any]] = {
    "dim_store": [store(1, "S2"), store(2, "S1")],
    "dim_product": [DimProduct(1, "P", "P", "Dresses", None, None, None, None, None, None)],
    "season_plan": [
        PLAN,
        of(SOLD, PLAN, requested_at=AT + timedelta(days=1), name="Sold"),
        of(SOLD, PLAN, version=2, trigger="variance", from_week=3, actuals="[1,2,3]", requested_at=AT + timedelta(days=30)),
        of(NEW, PLAN, requested_at=AT + timedelta(days=2), name="New"),
    ],
    "season_forecast": [FORECAST, of(SOLD, FORECAST), of(SOLD, FORECAST, version=2, units=6000, factor=0.7)],
    "season_week": [SeasonWeek(SOLD, 2, n + 1, START + timedelta(days=7 * n), 1500, 1.5, 2.5, n < 3) for n in range(4)],
    "season_store": [SeasonStore(SOLD, 1, "A", 0.5, 4000), SeasonStore(SOLD, 2, "B", 0.5, 4000)],
    "season_buy": [
        SeasonBuy(OPEN, 8000, 0.2, 9600, None, None, None, None, False, "8000 x 1.2"),
        SeasonBuy(SOLD, 8000, 0.2, 9600, 9600, 5280, 4320, 0, False, "8000 x 1.2; decided"),
    ],
    "allocation": [
        Allocation(SOLD, 1, "A", 4000, 0, None, 2640, "5280 x 1 / 2"),
        Allocation(SOLD, 2, "B", 4000, 0, None, 2640, "5280 x 1 / 2"),
    ],
    "replenishment": [Replenishment(SOLD, week, s, 10, 5, 5, 8, 0, True) for week in (1, 2) for s in (1, 2)],
    "variance_week": [
        VarianceWeek(SOLD, 1, 1, 100, 70, -0.3, True, "re-forecast after week 3: version 2"),
        VarianceWeek(SOLD, 2, 1, 0, 5, None, True, "none"),
    ],
    "markdown": [
        Markdown(SOLD, 2, cut, cut == 0.35, 0.5, 0.6, 1200, 100.0, -1.8, 600.0, Decimal("39000.00"), None, "why")
        for cut in (0.0, 0.35)
    ],
    "approval": [
        APPROVAL,
        replace(of(SOLD, APPROVAL, approval_id=BUY_DONE), status="approved", value=9600.0, decided_at=AT, decided_by="deadline"),
        replace(of(SOLD, APPROVAL, approval_id=CUT, kind="markdown", proposed=0.35), status="modified", value=0.3, decided_at=AT,
                decided_by=OPEN),
    ],
    "season_result": [
        SeasonResult(SOLD, policy, 1, 1, 0, 0, *(Decimal("1.50") for _ in range(3)), Decimal(profit), Decimal(regret))
        for policy, profit, regret in (("plan", "5.25", "4.75"), ("naive", "3.00", "7.00"), ("perfect_foresight", "10.00", "0.00"))
    ],
    "season_step": [
        SeasonStep(OPEN, 0, 2, "parameters", "orchestrator", "pass", "4 weeks"),
        SeasonStep(OPEN, 1, 2, "manufacturing", "inventory", "waiting", "9600 units proposed"),
        SeasonStep(SOLD, 0, 1, "results", "orchestrator", "pass", "what came of it"),
        SeasonStep(NEW, 0, 1, "forecast", "demand", "fail", "could not be forecast"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("plans")
    write_snapshot(root, ROWS)
    with client_of(root) as made:
        yield made


def test_plans_are_listed_with_how_they_stand(client: TestClient) -> None:
    listed = client.get(f"{API}/workflows").json()
    waiting = client.get(f"{API}/workflows?status=awaiting_approval").json()

    assert [(each["workflow_id"], each["status"], each["version"]) for each in listed["items"]] == [
        (NEW, "failed", 1),
        (SOLD, "completed", 2),
        (OPEN, "awaiting_approval", 1),
    ]
    assert [each["total_season_demand"] for each in listed["items"]] == [None, 6000, 8000]
    assert [each["workflow_id"] for each in waiting["items"]] == [OPEN]


def test_a_plan_tells_steps_approvals_versions_and_events(client: TestClient) -> None:
    waiting, sold = (client.get(f"{API}/workflows/{plan_id}").json() for plan_id in (OPEN, SOLD))

    assert [(each["step_name"], each["agent"], each["status"]) for each in waiting["steps"]] == [
        ("parameters", "orchestrator", "pass"),
        ("manufacturing", "inventory", "waiting"),
    ]
    assert waiting["parameters"]["season_start_date"] == "2024-06-03"
    assert [each["type"] for each in waiting["events"]] == ["agent_started", "agent_completed", "human_input_required"]
    assert waiting["events"][2]["data"]["options"] == ["approve", "modify", "reject"]
    assert [each["trigger"] for each in sold["versions"]] == ["plan", "variance"]
    assert [(each["kind"], each["status"]) for each in sold["approvals"]] == [
        ("markdown", "modified"),
        ("manufacturing", "approved"),
    ]
    assert client.get(waiting["links"]["allocations"]).status_code == 200
    assert client.get(waiting["links"]["results"]).status_code == 200


def test_a_season_is_a_set_of_forecasts_too(client: TestClient) -> None:
    listed = client.get(f"{API}/forecasts?kind=season&sort_by=units").json()["items"]
    one = client.get(f"{API}/forecasts/{SOLD}").json()

    assert [(each["set_id"], each["units"], each["horizon"]) for each in listed] == [(OPEN, 8000, 28), (SOLD, 6000, 28)]
    assert (one["kind"], one["method"], one["curve"]) == ("season", "mixed", [])
    assert one["members"]["cluster"] == [{"member": name, "units": 4000, "share": 0.5} for name in ("A", "B")]
    assert one["weekly_demand_curve"] == client.get(f"{API}/workflows/{SOLD}/results").json()["weekly_demand_curve"] != []
    assert {each["season"] for each in listed} == {one["season"]} != {None}
    assert client.get(f"{API}/forecasts/{SOLD}/points?level=series").status_code == 410


def test_the_data_of_a_season_are_the_last_that_it_saw(client: TestClient) -> None:
    [season] = [each for each in client.get(f"{API}/forecasts").json()["items"] if each["set_id"] == OPEN]
    said = client.get("/openapi.json").json()["components"]["schemas"]["SetSaid"]["properties"]["dataset_id"]["description"]

    assert season["dataset_id"] == client.get(f"{API}/workflows").json()["metadata"]["dataset_id"]
    assert said.endswith("of a season plan: the last it saw.")


def test_a_season_says_that_it_has_no_series_but_weeks(client: TestClient) -> None:
    answer = client.get(f"{API}/forecasts/{OPEN}/points?level=series")

    assert answer.status_code == 410
    assert f"GET /api/v1/forecasts/{OPEN} has its weeks" in answer.json()["detail"]


def test_results_add_up_and_are_ranked_by_profit(client: TestClient) -> None:
    told = client.get(f"{API}/workflows/{SOLD}/results").json()

    assert (told["version"], told["total_season_demand"]) == (2, 6000)
    assert sum(each["units"] for each in told["weekly_demand_curve"]) == 6000
    assert [each["is_actual"] for each in told["weekly_demand_curve"]] == [True, True, True, False]
    assert told["cluster_distribution"] == [
        {"cluster": "A", "stores": 1, "units": 4000, "share": 0.5},
        {"cluster": "B", "stores": 1, "units": 4000, "share": 0.5},
    ]
    assert told["weights"] == {"prophet_like": 0.5, "sarimax": 0.5}
    assert [(each["policy"], each["profit"], each["regret"]) for each in told["results"]] == [
        ("perfect_foresight", 10.0, 0.0),
        ("plan", 5.25, 4.75),
        ("naive", 3.0, 7.0),
    ]


def test_a_plan_that_could_not_be_forecast_says_why(client: TestClient) -> None:
    results, split = client.get(f"{API}/workflows/{NEW}/results"), client.get(f"{API}/allocations/{NEW}")

    assert (results.status_code, split.status_code) == (404, 404)
    assert "could not be forecast" in results.json()["detail"]
    assert "could not be forecast" in split.json()["detail"]


def test_the_buy_is_split_and_stores_are_named(client: TestClient) -> None:
    waiting, sold = (client.get(f"{API}/allocations/{plan_id}").json() for plan_id in (OPEN, SOLD))

    assert (waiting["proposed_qty"], waiting["manufacturing_qty"], waiting["store_allocations"]) == (9600, None, [])
    assert (sold["manufacturing_qty"], sold["initial_allocation_total"], sold["holdback_total"]) == (9600, 5280, 4320)
    assert [each["code"] for each in sold["store_allocations"]] == ["S1", "S2"]
    assert client.get(f"{API}/allocations/{SOLD}", headers={"Accept": "text/csv"}).text.count("\n") == 3
    assert client.get(f"{API}/allocations/{SOLD}/replenishment?store_id=S1").json()["total"] == 2


def test_a_markdown_is_told_with_what_was_decided(client: TestClient) -> None:
    told, early = (client.get(f"{API}/markdowns/{plan_id}").json() for plan_id in (SOLD, OPEN))

    assert [told[name] for name in ("recommended_markdown_pct", "decided_markdown_pct", "stock")] == [0.35, 0.3, 1200]
    assert [(each["markdown_pct"], each["revenue"], each["margin"]) for each in told["options"]] == [
        (0.0, 39000.0, None),
        (0.35, 39000.0, None),
    ]
    assert (early["recommended_markdown_pct"], early["options"]) == (None, [])


def test_variance_is_told_by_week(client: TestClient) -> None:
    weeks = client.get(f"{API}/variance/{SOLD}").json()["items"]
    first, none = (client.get(f"{API}/variance/{SOLD}/week/{week}") for week in (1, 4))

    assert [(each["week"], each["variance_pct"], each["threshold_exceeded"]) for each in weeks] == [
        (1, -0.3, True),
        (2, None, True),
    ]
    assert (first.json()["variance_pct"], first.json()["forecast_id"]) == (-0.3, SOLD)
    assert none.status_code == 404
    assert client.get(f"{API}/variance/{OPEN}").json()["items"] == []


def test_approvals_are_open_or_decided(client: TestClient) -> None:
    ids = {state: [each["approval_id"] for each in client.get(f"{API}/approvals?state={state}").json()["items"]] for state in
           ("open", "decided")}  # fmt: skip

    assert ids == {"open": [BUY_OPEN], "decided": [BUY_DONE, CUT]}
    assert client.get(f"{API}/approvals?kind=markdown").json()["total"] == 1
    assert client.get(f"{API}/approvals/{BUY_OPEN}").json()["deadline"] == "2024-06-04T12:00:00Z"


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    (f"approvals/{UNKNOWN}/decision", {"decision": "approve"}, 404, "No approval has the id"),
    (f"approvals/{BUY_DONE}/decision", {"decision": "approve"}, 409, "is approved already, by deadline"),
    (f"approvals/{BUY_OPEN}/decision", {"decision": "modify"}, 422, "modify needs the value"),
    (f"approvals/{BUY_OPEN}/decision", {"decision": "modify", "value": 1.5}, 422, "whole units"),
    (f"approvals/{BUY_OPEN}/decision", {"decision": "approve", "value": 5}, 422, "with modify only"),
    (f"approvals/{BUY_OPEN}/decision", {"decision": "perhaps"}, 422, "decision"),
    (f"approvals/{CUT}/decision", {"decision": "modify", "value": 0.99}, 422, "at most 0.95"),
    ("approvals/manufacturing", {"workflow_id": UNKNOWN, "quantity": 1}, 404, "No season plan has the id"),
    ("approvals/manufacturing", {"workflow_id": SOLD, "quantity": 1}, 409, "approved already"),
    ("approvals/manufacturing", {"workflow_id": OPEN, "quantity": -1}, 422, "quantity"),
    ("approvals/markdown", {"workflow_id": OPEN, "markdown": 0.3}, 409, "asks for no decision on a markdown"),
    ("approvals/markdown", {"workflow_id": OPEN, "markdown": 1}, 422, "markdown"),
    ("workflows/forecast", {"category": "Hats"}, 404, "there are Dresses"),
    ("workflows/forecast", {"forecast_horizon_weeks": 0}, 422, "forecast_horizon_weeks"),
    ("workflows/forecast", {"forecast_horizon_weeks": 6, "markdown_checkpoint_week": 6}, 422, "must be before the last week"),
    ("workflows/forecast", {"min_per_store": 5, "max_per_store": 4}, 422, "below min_per_store"),
    ("workflows/forecast", {"replenishment_strategy": "daily"}, 422, "replenishment_strategy"),
    ("workflows/reforecast", {"forecast_id": UNKNOWN}, 404, "No season plan has the id"),
    ("workflows/reforecast", {"forecast_id": OPEN}, 409, "has no week yet that all its stores reported"),
    ("workflows/reforecast", {"forecast_id": SOLD, "actual_sales_week_1_to_n": [1, 2, 3, 4]}, 409, "none remains"),
    ("workflows/reforecast", {"forecast_id": SOLD, "actual_sales_week_1_to_n": [1, 2]}, 409, "are fewer"),
    ("workflows/reforecast", {"forecast_id": SOLD, "actual_sales_week_1_to_n": [1, 2, 3], "remaining_weeks": 2}, 409, "not 2"),
    ("workflows/reforecast", {"forecast_id": SOLD, "actual_sales_week_1_to_n": [-1]}, 422, "actual_sales"),
    ("parameters/extract", {"text": ""}, 422, "text"),
    ("parameters/extract", {"text": "x" * 2001}, 422, "text"),
]


@pytest.mark.parametrize(("path", "body", "status", "said"), REFUSED)
def test_what_cannot_be_is_refused_before_a_job(
    path: str, body: dict[str, Any], status: int, said: str, client: TestClient
) -> None:
    answer = client.post(f"{API}/{path}", json=body)

    assert answer.status_code == status, answer.text
    assert said in answer.text


ALLOWED: list[tuple[str, dict[str, Any]]] = [
    (f"approvals/{BUY_OPEN}/decision", {"decision": "reject"}),
    (f"approvals/{BUY_OPEN}/decision", {"decision": "modify", "value": 9000}),
    ("approvals/manufacturing", {"workflow_id": OPEN, "quantity": 9600}),
    ("workflows/forecast", {"category": "Dresses", "name": "with 'quotes' and 💥"}),
    ("workflows/reforecast", {"forecast_id": SOLD, "actual_sales_week_1_to_n": [1, 2, 3], "remaining_weeks": 1}),
]


@pytest.mark.parametrize(("path", "body"), ALLOWED)
def test_what_is_allowed_meets_the_absent_orchestrator(path: str, body: dict[str, Any], client: TestClient) -> None:
    answer = client.post(f"{API}/{path}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), answer.text


def test_a_reader_may_extract_and_not_decide(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)

    with client_of(tmp_path, headers={}) as reader:
        decided = reader.post(f"{API}/approvals/{BUY_OPEN}/decision", json={"decision": "approve"})
        extracted = reader.post(f"{API}/parameters/extract", json={"text": "8 weeks"})

    assert (decided.status_code, extracted.status_code) == (401, 200)


def test_a_plan_whose_source_is_not_loaded_rests(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {**ROWS, "season_step": [], "approval": []})

    with client_of(tmp_path) as client:
        listed = client.get(f"{API}/workflows").json()["items"]

    assert [each["status"] for each in listed] == ["resting"] * 3


def test_a_sentence_becomes_parameters(client: TestClient) -> None:
    said = client.post(f"{API}/parameters/extract", json={"text": "8 weeks of dresses from next Monday, no replenishment"}).json()

    assert said["parameters"] == {
        "forecast_horizon_weeks": 8,
        "season_start_date": "2024-07-01",
        "replenishment_strategy": "none",
        "dc_holdback_percentage": 0.45,
        "markdown_checkpoint_week": None,
    }
    assert (said["category"], said["confidence"], said["reference_date"]) == ("Dresses", "high", "2024-06-30")
    assert [each["source"] for each in said["fields"]] == ["stated", "stated", "stated", "default", "default"]


def test_a_snapshot_without_plans_has_empty_lists(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {}, leave_out=["state", "season"])

    with client_of(tmp_path) as bare:
        assert bare.get(f"{API}/workflows").json()["items"] == []
        assert bare.get(f"{API}/approvals").json()["items"] == []
        assert bare.get(f"{API}/workflows/{OPEN}").status_code == 404


@pytest.mark.parametrize("path", ["workflows", "allocations", "markdowns", "variance", "approvals"])
@pytest.mark.parametrize("name", ["%00", "..%2F..%2Fetc", "a%27%3B--", "%ff%fe", "x" * 5000, "1"])
def test_a_hostile_id_is_not_found(path: str, name: str, client: TestClient) -> None:
    assert client.get(f"{API}/{path}/{name}").status_code == 404
