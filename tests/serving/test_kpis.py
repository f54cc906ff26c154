import random
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from litestar.testing import TestClient

from serving.figures import said, shares
from serving.periods import period_bounds
from tests.serving.conftest import client_of, publish_tiny

FIRST, LAST = date(2024, 9, 3), date(2024, 12, 31)
URL = "/api/v1/analytics/kpis"


def total(rows: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Revenue, units and records, added up one by one."""
    revenue, units, records = Decimal(0), 0, 0
    for row in rows:
        revenue, units, records = revenue + row["revenue"], units + row["units"], records + row["transactions"]
    return float(revenue), units, records


def random_filters(seed: int, sales: pl.DataFrame) -> tuple[dict[str, Any], pl.DataFrame]:
    draw = random.Random(seed)
    start = FIRST + timedelta(days=draw.randrange(120))
    end = start + timedelta(days=draw.randrange(150))
    params: dict[str, Any] = {"start_date": start.isoformat(), "end_date": end.isoformat()}
    chosen = sales.filter(pl.col("date").is_between(start, end))
    if draw.random() < 0.5:
        codes = draw.sample(sorted(set(sales["code"])), draw.randint(1, 3))
        params["store_id"], chosen = codes, chosen.filter(pl.col("code").is_in(codes))
    elif draw.random() < 0.5:
        regions = draw.sample(sorted(set(sales["region"])), 2)
        params["region"], chosen = regions, chosen.filter(pl.col("region").is_in(regions))
    if draw.random() < 0.4:
        skus = draw.sample(sorted(set(sales["sku"])), draw.randint(1, 4))
        params["product_id"], chosen = skus, chosen.filter(pl.col("sku").is_in(skus))
    elif draw.random() < 0.5:
        categories = draw.sample(sorted(set(sales["category"])), 2)
        params["category"], chosen = categories, chosen.filter(pl.col("category").is_in(categories))
    return params, chosen


@pytest.mark.parametrize("grains", ["declared", "none"])
def test_kpis_equal_a_plain_sum_for_any_filter(grains: str, root: Path, sales: pl.DataFrame) -> None:
    if grains == "none":  # every answer then comes from DuckDB
        publish_tiny(root, grains=[])
    with client_of(root) as client:
        for seed in range(60):
            params, chosen = random_filters(seed, sales)

            metrics = client.get(URL, params=params).json()["metrics"]

            found = metrics["total_revenue"], metrics["total_units"], metrics["total_transactions"]
            assert found == total(chosen.to_dicts()), params


@pytest.mark.parametrize("dimension", ["store", "product", "category", "department", "region", "date"])
def test_members_of_a_drilldown_add_up_to_the_whole(dimension: str, client: TestClient) -> None:
    params = {"start_date": "2024-10-01", "end_date": "2024-12-08", "max_items": 100, "dimension": dimension}

    body = client.get("/api/v1/analytics/drilldowns", params=params).json()

    whole = client.get(URL, params={"start_date": "2024-10-01", "end_date": "2024-12-08"}).json()["metrics"]
    assert sum(item["metrics"]["total_units"] for item in body["items"]) == whole["total_units"]
    assert round(sum(item["revenue_share_pct"] for item in body["items"]), 2) == 100.0
    assert [item["rank"] for item in body["items"]] == list(range(1, body["total_items"] + 1))


def test_a_missing_region_is_a_member_of_its_own(client: TestClient) -> None:
    params = {"start_date": "2024-10-01", "end_date": "2024-10-31", "dimension": "region"}

    items = client.get("/api/v1/analytics/drilldowns", params=params).json()["items"]

    assert "(unknown)" in {item["dimension_value"] for item in items}


def test_grouping_by_region_under_a_store_filter_folds(client: TestClient) -> None:
    params = {"start_date": "2024-10-01", "end_date": "2024-10-31", "dimension": "region", "store_id": "S001"}

    items = client.get("/api/v1/analytics/drilldowns", params=params).json()["items"]

    whole = client.get(URL, params={"start_date": "2024-10-01", "end_date": "2024-10-31", "store_id": "S001"}).json()
    assert [item["metrics"] for item in items] == [whole["metrics"]]


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter"])
def test_periods_add_up_to_the_range(granularity: str, client: TestClient) -> None:
    params = {"start_date": "2024-09-20", "end_date": "2024-12-08", "granularity": granularity}

    points = client.get("/api/v1/analytics/timeseries", params=params).json()["points"]

    whole = client.get(URL, params={"start_date": "2024-09-20", "end_date": "2024-12-08"}).json()["metrics"]
    assert sum(point["metrics"]["total_units"] for point in points) == whole["total_units"]
    assert points[0]["period_start"] == "2024-09-20"
    assert points[-1]["period_end"] == "2024-12-08"


def test_weeks_start_on_monday() -> None:
    bounds = period_bounds(date(2024, 1, 3), date(2024, 1, 16), "week")

    assert [day.weekday() for day in bounds[1:-1]] == [0, 0]


def test_repeating_a_filter_counts_nothing_twice(client: TestClient) -> None:
    params = {"start_date": "2024-10-01", "end_date": "2024-10-31"}

    once = client.get(URL, params={**params, "category": "Dairy"}).json()["metrics"]
    twice = client.get(URL, params={**params, "category": ["Dairy", "Dairy"]}).json()["metrics"]

    assert once == twice


def test_a_range_outside_the_data_is_zero_and_its_ratios_null(client: TestClient) -> None:
    metrics = client.get(URL, params={"start_date": "2020-01-01", "end_date": "2020-01-31"}).json()["metrics"]

    assert metrics["total_revenue"] == 0
    assert metrics["avg_unit_price"] is None


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"start_date": "2024-12-31", "end_date": "2024-12-01"}, 400),
        ({"start_date": "2020-01-01", "end_date": "2024-12-01"}, 400),
        ({"start_date": "2024-12-01", "end_date": "2024-12-31", "store_id": "S001", "region": "East"}, 400),
        ({"start_date": "2024-12-01", "end_date": "2024-12-31", "store_id": "S999"}, 404),
        ({"start_date": "2024-12-01", "end_date": "2024-12-31", "store_id": "99999999999999999999999"}, 404),
        ({"start_date": "2024-12-01", "end_date": "2024-12-31", "category": "Nothing"}, 404),
        ({"start_date": "2024-12-01"}, 422),
        ({"start_date": "yesterday", "end_date": "2024-12-31"}, 422),
        ({"start_date": "2024-12-01", "end_date": "2024-12-31", "stroe_id": "S001"}, 422),
    ],
)
def test_wrong_questions_are_told_what_is_wrong(params: dict[str, str], status: int, client: TestClient) -> None:
    answer = client.get(URL, params=params)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_shares_add_up_to_a_hundred() -> None:
    assert shares([1, 1, 1], [0, 1, 2]) == [3334, 3333, 3333]
    assert shares([0, 0], [0, 1]) == [0, 0]


def test_money_is_rounded_half_up() -> None:
    assert said(Fraction(25, 2000), places=2) == 0.01
    assert said(Fraction(15, 1000), places=2) == 0.02
