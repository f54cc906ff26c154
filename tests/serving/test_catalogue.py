"""Stores, products, categories, supply and stock, from rows that can be checked by eye."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimCategory, DimProcess, DimProduct, DimStore, HistProduct, HistStore, IdMap
from assets_config.contract.stock import InventoryDaily
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

STORES = [
    DimStore(1, "S1", "One", "North", "Ashford", "market", 12000, "A", 65000, date(2015, 3, 2), None),
    DimStore(2, "S2", "Two", None, None, None, None, None, None, None, None),
]
PRODUCTS = [
    DimProduct(1, "P1", "Rye", "Bakery", "Bread", None, Decimal("2.99"), Decimal("1.20"), date(2024, 2, 1), None),
    DimProduct(2, "P2", "Milk", "Dairy", None, None, None, None, None, None),
]
MOVED = date(2024, 6, 15)  # store S1 came to the region North, product P1 got its price


def version(row: msgspec.Struct, kind: type, since: date | None, until: date | None, **changes: object) -> msgspec.Struct:
    return kind(**{**msgspec.structs.asdict(row), **changes}, valid_from=since, valid_to=until)


ROWS = {
    "dim_store": STORES,
    "dim_product": PRODUCTS,
    "hist_store": [
        version(STORES[0], HistStore, None, date(2024, 6, 14), region="South", size_sqft=9000),
        version(STORES[0], HistStore, MOVED, None),
        version(STORES[1], HistStore, MOVED, None),
    ],
    "hist_product": [
        version(PRODUCTS[0], HistProduct, None, date(2024, 6, 14), base_price=Decimal("2.49")),
        version(PRODUCTS[0], HistProduct, MOVED, None),
        version(PRODUCTS[1], HistProduct, None, None),
    ],
    "id_map": [
        IdMap("erp", "product", "500", "P1", 1),
        IdMap("till", "product", "R-1", "P1", 1),
        IdMap("erp", "product", "X", "P1", 1),
        IdMap("till", "product", "X", "P2", 2),
        IdMap("erp", "product", "lost", "P9", None),
        IdMap("erp", "store", "1042", "S1", 1),
        IdMap("till", "product", "P2", "P1", 1),
    ],
    "dim_category": [
        DimCategory(1, "Dairy", 1, None, 0),
        DimCategory(2, "Bakery", 1, date(2024, 6, 1), 30),
    ],
    "dim_process": [DimProcess(1, "Mill", "purchase", 7, 24, 12, Decimal("1.20"))],
    "inventory_daily": [
        InventoryDaily(store, product, date(2024, 6, day), 10 * day + store, 5, False)
        for store in (1, 2)
        for product in (1, 2)
        for day in (1, 2, 3)
    ],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("catalogue")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


def test_stores_and_products_tell_all_their_fields(client: TestClient) -> None:
    store = client.get("/api/v1/dimensions/stores/S1").json()
    product = client.get("/api/v1/dimensions/products/P1").json()

    assert (store["size_sqft"], store["location_tier"], store["median_income"]) == (12000, "A", 65000)
    assert (store["opened_on"], store["closed_on"]) == ("2015-03-02", None)
    assert (product["base_price"], product["launched_on"], product["discontinued_on"]) == (2.99, "2024-02-01", None)


@pytest.mark.parametrize(
    ("day", "region", "size", "price"),
    [("2024-06-14", "South", 9000, 2.49), ("2024-06-15", "North", 12000, 2.99), ("1990-01-01", "South", 9000, 2.49)],
)
def test_attributes_are_told_as_of_a_day(day: str, region: str, size: int, price: float, client: TestClient) -> None:
    store = client.get(f"/api/v1/dimensions/stores/S1?as_of={day}").json()
    product = client.get(f"/api/v1/dimensions/products/1?as_of={day}").json()
    listed = client.get(f"/api/v1/dimensions/stores?as_of={day}&region={region}").json()

    assert (store["region"], store["size_sqft"], product["base_price"]) == (region, size, price)
    assert [each["code"] for each in listed["items"]] == ["S1"]


@pytest.mark.parametrize(
    "query",
    [
        *("stores?region=Nowhere", "stores?region=South", "stores?store_type=kiosk", "stores?cluster=9"),
        *("products?category=Nowhere", "products?department=Nowhere", "products?brand=Nowhere"),
    ],
)
def test_a_list_by_a_name_that_nothing_has_is_not_found(query: str, client: TestClient) -> None:
    answer = client.get(f"/api/v1/dimensions/{query}")

    assert answer.status_code == 404
    assert "is called '" in answer.json()["detail"]


def test_a_store_of_later_is_not_there_before(client: TestClient) -> None:
    listed = client.get("/api/v1/dimensions/stores?as_of=2024-06-14").json()
    single = client.get("/api/v1/dimensions/stores/S2?as_of=2024-06-14")

    assert [each["code"] for each in listed["items"]] == ["S1"]
    assert (single.status_code, single.json()["code"]) == (404, "NOT_FOUND")


def test_a_product_is_found_by_any_of_its_ids(client: TestClient) -> None:
    found = [client.get(f"/api/v1/dimensions/products/{text}").json()["sku"] for text in ("P1", "1", "500", "R-1", "P2")]
    external = client.get("/api/v1/dimensions/products/P1").json()["external_ids"]

    assert found == ["P1", "P1", "P1", "P1", "P2"]  # our own code goes before what a source calls something
    assert {(each["source"], each["external_id"]) for each in external} == {
        *(("erp", "500"), ("till", "R-1"), ("erp", "X"), ("till", "P2")),
    }
    assert client.get("/api/v1/dimensions/stores/1042").json()["code"] == "S1"


def test_an_external_id_of_two_products_is_contradictory(client: TestClient) -> None:
    answer = client.get("/api/v1/dimensions/products/X")

    assert answer.status_code == 400
    assert "P1 or P2" in answer.json()["detail"]
    assert client.get("/api/v1/dimensions/products/lost").status_code == 404


def test_categories_are_listed_by_name(client: TestClient) -> None:
    items = client.get("/api/v1/dimensions/categories").json()["items"]

    assert items == [
        {"category_id": 2, "category_name": "Bakery", "row_count": 30, "products": 1, "first_seen": "2024-06-01"},
        {"category_id": 1, "category_name": "Dairy", "row_count": 0, "products": 1, "first_seen": None},
    ]


def test_supply_is_null_where_the_extract_does_not_know_the_product(client: TestClient) -> None:
    known = client.get("/api/v1/dimensions/products/500/supply").json()
    other = client.get("/api/v1/dimensions/products/P2/supply").json()

    assert (known["sku"], known["supplier"], known["lead_time_days"], known["unit_cost"]) == ("P1", "Mill", 7, 1.2)
    assert (other["product_id"], other["sku"], other["supplier"], other["unit_cost"]) == (2, "P2", None, None)
    assert client.get("/api/v1/dimensions/products/none/supply").status_code == 404


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", ["1/1", "1/2", "2/1", "2/2", "3/1", "3/2"]),
        ("?store_id=S2", ["1/2", "2/2", "3/2"]),
        ("?store_id=1&start_date=2024-06-02", ["2/1", "3/1"]),
        ("?store_id=1&end_date=2024-06-03&as_of=2024-06-02", ["1/1", "2/1"]),
        ("?page=2&page_size=4", ["3/1", "3/2"]),
        ("?start_date=2024-07-01", []),
    ],
)
def test_stock_is_told_by_day_and_store(query: str, days: list[str], client: TestClient) -> None:
    items = client.get(f"/api/v1/inventory/P1/history{query}").json()["items"]

    assert [f"{int(each['date'][-2:])}/{each['store_id']}" for each in items] == days
    assert all(each["on_hand"] == 10 * int(each["date"][-2:]) + each["store_id"] for each in items)


@pytest.mark.parametrize(
    ("query", "status"), [("?store_id=none", 404), ("?start_date=2024-06-02&end_date=2024-06-01", 400), ("?as_of=never", 422)]
)
def test_a_wrong_question_about_stock_is_refused(query: str, status: int, client: TestClient) -> None:
    assert client.get(f"/api/v1/inventory/P1/history{query}").status_code == status
