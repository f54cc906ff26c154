"""What is compared with what, and what is said where nothing can be."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.manifest import Kpi, Measure
from serving.comparison import KpiChange, _compared
from serving.figures import Figures
from serving.periods import base_bounds, period_bounds, whole

FIGURES = Figures(
    [Measure("revenue", "money", ""), Measure("units", "count", "")],
    [Kpi("total", "revenue", "money", "up", ""), Kpi("price", "revenue / units", "money", "none", "")],
)
BASE = (date(2024, 1, 1), date(2024, 1, 8))


def days(*said: str) -> list[date]:
    return [date.fromisoformat(each) for each in said]


def test_previous_is_as_many_days_right_before() -> None:
    assert base_bounds(whole(date(2024, 3, 1), date(2024, 3, 10)), "previous") == days("2024-02-20", "2024-03-01")


def test_a_year_earlier_has_the_same_dates() -> None:
    assert base_bounds(whole(date(2025, 3, 1), date(2025, 3, 31)), "year") == days("2024-03-01", "2024-04-01")
    assert base_bounds(whole(date(2025, 2, 1), date(2025, 2, 28)), "year") == days("2024-02-01", "2024-03-01")


def test_the_29th_of_february_has_no_base_and_parts_still_add_up() -> None:
    bounds = period_bounds(date(2024, 2, 27), date(2024, 3, 1), "day")

    base = base_bounds(bounds, "year")

    assert base == days("2023-02-27", "2023-02-28", "2023-03-01", "2023-03-01", "2023-03-02")


def test_no_base_lies_before_the_first_date_there_is() -> None:
    assert base_bounds(whole(date(1, 1, 1), date(1, 1, 3)), "previous")[0] == date.min
    assert base_bounds(whole(date(1, 1, 1), date(1, 1, 3)), "year")[0] == date.min


def test_a_change_is_of_exact_values_and_rounded_once() -> None:
    # 20.00 / 3 = 6.6667 and 20.00 / 6 = 3.3333: the change is 3.3333, not 6.67 - 3.33 = 3.34
    changes = _compared(FIGURES, [2000, 3], [2000, 6], BASE, None).changes

    assert changes["price"] == KpiChange(3.33, 1.0, None)
    assert changes["total"] == KpiChange(0.0, 0.0, None)


@pytest.mark.parametrize(
    ("now", "base", "total", "price"),
    [
        ([500, 5], [0, 5], KpiChange(5.0, None, "its base is 0"), KpiChange(1.0, None, "its base is 0")),
        ([500, 5], [-250, 5], KpiChange(7.5, 3.0, None), KpiChange(1.5, 3.0, None)),
        ([500, 0], [250, 5], KpiChange(2.5, 1.0, None), KpiChange(None, None, "it divides by zero in the range or in its base")),
        ([500, 5], [250, 0], KpiChange(2.5, 1.0, None), KpiChange(None, None, "it divides by zero in the range or in its base")),
    ],
)
def test_a_change_that_cannot_be_said_has_its_reason(now: list[int], base: list[int], total: KpiChange, price: KpiChange) -> None:
    changes = _compared(FIGURES, now, base, BASE, None).changes

    assert changes == {"total": total, "price": price}


@pytest.mark.parametrize(
    ("start", "end", "compare", "reason"),
    [
        ("2024-10-01", "2024-10-31", "year", "before the first day of sales, 2024-09-03"),
        ("2024-09-10", "2024-09-30", "previous", "the base begins on 2024-08-20"),
        ("2024-12-15", "2025-01-05", "previous", "the range ends on 2025-01-05, after the last day of sales, 2024-12-31"),
        ("0001-01-01", "0001-01-09", "previous", "before the first day"),
        ("0001-01-01", "0001-01-09", "year", "before the first day"),
    ],
)
def test_a_base_outside_of_the_data_is_told(start: str, end: str, compare: str, reason: str, client: TestClient) -> None:
    params = {"start_date": start, "end_date": end, "compare": compare}

    comparison = client.get("/api/v1/analytics/kpis", params=params).json()["comparison"]

    for change in comparison["changes"].values():
        assert (change["absolute"], change["ratio"]) == (None, None)
        assert reason in change["reason"]


def test_without_compare_there_is_no_comparison(client: TestClient) -> None:
    params = {"start_date": "2024-10-01", "end_date": "2024-10-31"}

    assert client.get("/api/v1/analytics/kpis", params=params).json()["comparison"] is None


@pytest.mark.parametrize("granularity", ["day", "week", "month"])
def test_bases_of_the_periods_add_up_to_that_of_the_range(granularity: str, client: TestClient) -> None:
    params = {"start_date": "2024-11-03", "end_date": "2024-12-20", "compare": "previous"}

    points = client.get("/api/v1/analytics/timeseries", params={**params, "granularity": granularity}).json()["points"]

    bases: list[dict[str, Any]] = [each["comparison"] for each in points]
    whole_base = client.get("/api/v1/analytics/kpis", params=params).json()["comparison"]
    assert sum(each["metrics"]["total_units"] for each in bases) == whole_base["metrics"]["total_units"]
    assert (bases[0]["start_date"], bases[-1]["end_date"]) == (whole_base["start_date"], whole_base["end_date"])
    for earlier, later in pairwise(bases):
        assert date.fromisoformat(later["start_date"]) - date.fromisoformat(earlier["end_date"]) == timedelta(days=1)
