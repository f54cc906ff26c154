"""Days, prices and promotions, from rows that can be checked by eye."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimCalendar, DimProduct, DimStore, PriceHistory, Promotion
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

URL = "/api/v1/dimensions"


def june(day: int) -> date:
    return date(2024, 6, day)


ROWS = {
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", None, *[None] * 7) for n in (1, 2)],
    "dim_product": [DimProduct(n, f"P{n}", f"Product {n}", None, *[None] * 6) for n in (1, 2)],
    "dim_calendar": [
        DimCalendar(june(n), june(n).weekday(), 6, 2, 2024, n == 3, "Summer Feast" if n == 3 else None) for n in (1, 2, 3, 4)
    ],
    "price_history": [
        PriceHistory(1, None, Decimal("2.00"), june(1), june(9)),
        PriceHistory(1, None, Decimal("2.50"), june(10), None),
        PriceHistory(1, 2, Decimal("1.80"), june(5), june(20)),
        PriceHistory(2, None, Decimal("9.99"), june(1), None),
    ],
    "promotion": [
        Promotion(1, None, "Feast week", 0.2, None, june(2), june(3)),
        Promotion(1, 2, "Local deal", None, Decimal("0.50"), june(3), june(8)),
    ],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("calendar")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"1": 0, "2": 1, "3": 2, "4": 1}),
        ("?is_holiday=true", {"3": 2}),
        ("?is_holiday=false&start_date=2024-06-02&end_date=2024-06-03", {"2": 1}),
        ("?search=FEAST", {"3": 2}),
        ("?page=2&page_size=3", {"4": 1}),
        ("?start_date=2025-01-01", {}),
    ],
)
def test_days_tell_holidays_and_promotions(query: str, expected: dict[str, int], client: TestClient) -> None:
    items = client.get(f"{URL}/calendar{query}").json()["items"]

    assert {each["date"][-1]: each["promotions"] for each in items} == expected
    assert all(each["is_holiday"] == (each["holiday_name"] is not None) for each in items)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2.0, 2.5, 1.8, 9.99]),
        ("?product_id=P1&as_of=2024-06-09", [2.0, 1.8]),
        ("?product_id=P1&store_id=S1", [2.0, 2.5]),
        ("?product_id=P1&store_id=S2", [2.0, 2.5, 1.8]),
        ("?start_date=2024-06-21", [2.5, 9.99]),
        ("?product_id=1&end_date=2024-06-04", [2.0]),
    ],
)
def test_prices_are_intervals_of_days(query: str, expected: list[float], client: TestClient) -> None:
    items = client.get(f"{URL}/prices{query}").json()["items"]

    assert [each["price"] for each in items] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Feast week", "Local deal"]),
        ("?store_id=S1", ["Feast week"]),
        ("?start_date=2024-06-04", ["Local deal"]),
        ("?end_date=2024-06-02", ["Feast week"]),
        ("?search=deal", ["Local deal"]),
        ("?product_id=P2", []),
    ],
)
def test_promotions_are_those_that_run_in_the_range(query: str, expected: list[str], client: TestClient) -> None:
    items = client.get(f"{URL}/promotions{query}").json()["items"]

    assert [each["name"] for each in items] == expected
    assert all((each["discount_pct"] is None) != (each["discount_amount"] is None) for each in items)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("calendar?start_date=2024-06-02&end_date=2024-06-01", 400),
        ("calendar?start_date=2020-01-01&end_date=2024-06-01", 400),
        ("prices?product_id=none", 404),
        ("promotions?store_id=none", 404),
        ("calendar?is_holiday=perhaps", 422),
        ("prices?as_of=today", 422),
    ],
)
def test_a_wrong_question_is_refused(path: str, status: int, client: TestClient) -> None:
    assert client.get(f"{URL}/{path}").status_code == status
