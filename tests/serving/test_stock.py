"""The newest stock and how long it lasts, from rows that can be walked down by eye."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.forecasts import Forecast
from assets_config.contract.inventory import InventoryPolicy, ReplenishmentProposal, StockRisk
from assets_config.contract.stock import InventoryDaily
from serving.stock import cover_of
from tests.serving.conftest import client_of
from tests.serving.parts import LAST, write_snapshot

STATUS, ITEM = "/api/v1/analytics/inventory-status", "/api/v1/inventory"
DEMAND = {(1, 1): 2.0, (2, 1): 4.0, (1, 2): 1.0}  # units a day, of three days ahead; nothing is forecast of product 2 in store 2


def counted(store: int, product: int, days_ago: int, on_hand: int) -> InventoryDaily:
    return InventoryDaily(store, product, LAST - timedelta(days=days_ago), on_hand, 10 * store, on_hand == 0)


def policy(store: int, product: int, safety_stock: float, reorder_point: float) -> InventoryPolicy:
    levels = (safety_stock, reorder_point, 40.0, 90.0)
    return InventoryPolicy(store, product, 0.95, 7, 0.0, 1, 2.0, 14.0, 3.0, "normal", *levels, 1, 1, 0.99, LAST)


def risk(store: int, product: int, chance: float, value: float | None, state: Any = "healthy") -> StockRisk:
    return StockRisk(store, product, LAST, 5, 15, state, 2.5, False, chance, 1.0, value, 0.0, None, 0.0, 0.0, LAST)


ROWS = {
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", None, *[None] * 7) for n in (1, 2)],
    "dim_product": [DimProduct(n, f"P{n}", f"Product {n}", None, *[None] * 6) for n in (1, 2, 3)],
    "inventory_daily": [
        counted(1, 1, 5, 90),
        counted(1, 1, 0, 5),  # 2 + 2 + 1 of 2: 2.5 days
        counted(2, 1, 1, 0),  # 0 days
        counted(1, 2, 0, 50),  # outlasts the three days
        counted(2, 2, 8, 7),  # too old to tell
    ],
    "inventory_policy": [policy(1, 1, 6.0, 15.0), policy(2, 1, 5.5, 12.0), policy(1, 2, 3.0, 9.0)],
    "stock_risk": [risk(1, 1, 0.5, 8.0, "below_safety"), risk(2, 1, 0.9, None, "stocked_out"), risk(1, 2, 0.0, 0.5)],
    "replenishment_proposal": [
        ReplenishmentProposal(1, 1, 15, 15.0, 40.0, 25, 5, 100.0, 0.5, LAST, "It is low.", "pack", LAST),
        ReplenishmentProposal(2, 1, 3, 12.0, 40.0, 37, 37, None, 0.9, LAST, "It is out of stock.", "", LAST),
    ],
    "forecast": [
        Forecast(store, product, LAST + timedelta(days=n), "forecast", n, LAST, units, 0.0, units, 9.0, None, "ets", "r")
        for (store, product), units in DEMAND.items()
        for n in (1, 2, 3)
    ],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("stock")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["S1/P1 5 2.5", "S1/P2 50 3.0", "S2/P1 0 0.0", "S2/P2 7 None"]),
        ("?sort_by=days_of_cover", ["S2/P1 0 0.0", "S1/P1 5 2.5", "S1/P2 50 3.0", "S2/P2 7 None"]),
        ("?sort_by=on_hand&sort_order=desc&page_size=2", ["S1/P2 50 3.0", "S2/P2 7 None"]),
        ("?store_id=S2&product_id=P1", ["S2/P1 0 0.0"]),
        ("?is_stockout=true", ["S2/P1 0 0.0"]),
        ("?product_id=3", []),
        ("?page=2&page_size=3", ["S2/P2 7 None"]),
        ("?page=9", []),
        ("?as_of=2024-06-25", ["S1/P1 90 None", "S2/P2 7 None"]),
        ("?below=rop", ["S1/P1 5 2.5"]),  # 5 and 10 on order are at 15; 0 and 20 are above 12
        ("?below=safety", ["S1/P1 5 2.5", "S2/P1 0 0.0"]),
        ("?below=rop&page=2", []),
        ("?below=rop&as_of=2024-06-25", []),
    ],
)
def test_stock_is_the_newest_count_and_is_walked_down(query: str, expected: list[str], client: TestClient) -> None:
    found = client.get(f"{STATUS}{query}").json()

    said = [f"{each['code']}/{each['sku']} {each['on_hand']} {each['days_of_cover']}" for each in found["items"]]
    assert said == expected
    assert all((each["days_of_cover"] is None) == (each["reason"] is not None) for each in found["items"])
    assert [each["outlasts"] for each in found["items"] if each["on_hand"] == 50] in ([], [True])


@pytest.mark.parametrize(
    ("query", "total"),
    [("", 4), ("?page=9", 4), ("?page=9&is_stockout=true", 1), ("?page=9&below=safety", 2), ("?as_of=2024-06-20", 0)],
)
def test_the_total_is_of_all_pages(query: str, total: int, client: TestClient) -> None:
    assert client.get(f"{STATUS}{query}").json()["total"] == total


def test_a_product_is_told_in_all_its_stores_together(client: TestClient) -> None:
    found = client.get(f"{ITEM}/P1").json()

    assert (found["current_stock"], found["on_order"], found["last_updated"]) == (5, 30, LAST.isoformat())
    assert found["days_of_cover"] == 0.833333  # 5 of 2 + 4 a day
    assert [each["code"] for each in found["stores"]] == ["S1", "S2"]
    assert (found["reorder_point"], found["safety_stock"], found["policy_reason"]) == (27, 11.5, None)
    assert [(each["reorder_point"], each["safety_stock"]) for each in found["stores"]] == [(15, 6), (12, 5.5)]


@pytest.mark.parametrize(
    ("path", "stock", "reason"),
    [
        ("P2", 57, "older than the last day"),
        ("P2?store_id=S1", 50, None),
        ("P3", None, "nothing was counted"),
        ("P1?as_of=2024-06-29", 90, "as_of lies before"),
    ],
)
def test_unknown_cover_has_its_reason(path: str, stock: int | None, reason: str | None, client: TestClient) -> None:
    found = client.get(f"{ITEM}/{path}").json()

    assert found["current_stock"] == stock
    assert (found["reason"] is None) if reason is None else (reason in found["reason"])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("P2", "nothing is forecast of it"),  # of store 2
        ("P3", "nothing was counted"),
        ("P1?as_of=2024-06-29", "as_of lies before"),
        ("P2?store_id=S1", None),
    ],
)
def test_an_unknown_policy_has_its_reason(path: str, reason: str | None, client: TestClient) -> None:
    found = client.get(f"{ITEM}/{path}").json()

    assert (found["reorder_point"] is None) == (found["safety_stock"] is None) == (reason is not None)
    assert (found["policy_reason"] is None) if reason is None else (reason in found["policy_reason"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("risks", ["S2/P1", "S1/P1", "S1/P2"]),
        ("risks?sort_by=shortage_value", ["S1/P1", "S1/P2", "S2/P1"]),
        ("risks?sort_order=asc&page_size=1", ["S1/P2"]),
        ("risks?stock_state=below_safety", ["S1/P1"]),
        ("risks?store_id=S1&product_id=P2", ["S1/P2"]),
        ("replenishment", ["S2/P1", "S1/P1"]),
        ("replenishment?sort_by=cost", ["S1/P1", "S2/P1"]),
        ("replenishment?product_id=P3", []),
    ],
)
def test_risks_and_orders_are_listed_by_what_is_asked(query: str, expected: list[str], client: TestClient) -> None:
    found = client.get(f"{ITEM}/{query}").json()

    assert [f"{each['code']}/{each['sku']}" for each in found["items"]] == expected


def test_without_forecasts_or_stock_nothing_is_invented(tmp_path: Path) -> None:
    for name, left_out in (("a", ["forecasts"]), ("b", ["stock"])):
        write_snapshot(tmp_path / name, ROWS, leave_out=left_out)
    with client_of(tmp_path / "a") as client:
        status = client.get(STATUS).json()["items"]
    with client_of(tmp_path / "b") as client:
        none = client.get(STATUS).json()["items"], client.get(f"{ITEM}/P1").json()["current_stock"]

    assert {each["reason"] for each in status} == {"no forecast is published"}
    assert none == ([], None)


def test_without_policies_nothing_is_below_them(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["inventory"])
    with client_of(tmp_path) as client:
        below = [client.get(f"{STATUS}?below={which}").json()["total"] for which in ("rop", "safety")]
        lists = [client.get(f"{ITEM}/{which}").json()["items"] for which in ("risks", "replenishment")]
        stock = client.get(f"{ITEM}/P1").json()

    assert (below, lists) == ([0, 0], [[], []])
    assert (stock["reorder_point"], stock["policy_reason"]) == (None, "no inventory policy is published")


@pytest.mark.parametrize(
    ("stock", "demand", "expected"),
    [
        (0, [1.0], (0, False)),
        (3, [1.0, 1.0], (2, True)),
        (2, [0.0, 4.0], (1.5, False)),
        (-1, [1.0], (0, False)),
        (1, [], (0, True)),
    ],
)
def test_cover_is_walked_a_day_at_a_time(stock: float, demand: list[float], expected: tuple[float, bool]) -> None:
    assert cover_of(stock, demand) == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{ITEM}/none", 404), (f"{STATUS}?store_id=none", 404), (f"{STATUS}?sort_by=price", 422), (f"{STATUS}?below=max", 422)],
)
def test_what_is_not_there_is_refused(path: str, status: int, client: TestClient) -> None:
    assert client.get(path).status_code == status


def test_one_day_is_enough(client: TestClient) -> None:
    assert client.get(f"{STATUS}?as_of={date.max}").json()["items"][0]["days_of_cover"] == 2.5
