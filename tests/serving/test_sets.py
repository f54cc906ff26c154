"""Sets of forecasts, their days and levels, from rows that can be checked by eye."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from litestar.testing import TestClient

from assets_config.contract.accuracy import IntervalCoverage
from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.explanations import ForecastExplanation
from assets_config.contract.forecasts import Forecast
from assets_config.contract.levels import ForecastLevel
from assets_config.contract.sets import ForecastSet, ForecastSetLevel
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

URL = "/api/v1/forecasts"
CUTOFF, FIRST, SECOND = date(2024, 6, 30), date(2024, 7, 1), date(2024, 7, 2)
NOON = datetime(2024, 6, 30, 12)
QUANTILES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)  # from q05 to q95


def set_of(set_id: str, cutoff: date, units: float, *, is_current: bool) -> ForecastSet:
    models = '{"ets": 1, "naive": 1}'
    made_at = NOON.replace(day=cutoff.day)
    return ForecastSet(set_id, "series", cutoff, FIRST, SECOND, 2, 2, units, models, is_current, True, "d", made_at)


def level(name: str, member: str, day: date, yhat: float, source: str = "forecast") -> ForecastLevel:
    return ForecastLevel(name, member, day, source, day.day, CUTOFF, 2, yhat, *QUANTILES, None)


def old_level(name: str, member: str, day: date, yhat: float) -> ForecastSetLevel:
    return ForecastSetLevel("b" * 16, name, member, day, day.day, yhat, *QUANTILES)


ROWS = {
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", None, *[None] * 7) for n in (1, 2)],
    "dim_product": [DimProduct(1, "P1", "Rye", "Bakery", *[None] * 6)],
    "forecast_set": [
        set_of("a" * 16, CUTOFF, 10.0, is_current=True),
        set_of("b" * 16, date(2024, 6, 23), 8.0, is_current=False),
    ],
    "forecast_set_level": [
        *(old_level("total", "total", day, 4.0) for day in (FIRST, SECOND)),
        *(old_level("store", "S1", day, 3.0) for day in (FIRST, SECOND)),
        *(old_level("store", "S2", day, 1.0) for day in (FIRST, SECOND)),
        old_level("region", "gone", FIRST, 3.0),
    ],
    "forecast": [
        Forecast(store, 1, day, "forecast", day.day, CUTOFF, 2.5, 2.0, 4.0, 6.0, None, "ets", "r1", 1.0, 3.0, 5.0, 7.0)
        for store in (1, 2)
        for day in (FIRST, SECOND)
    ],
    "forecast_level": [
        level("total", "total", CUTOFF, 9.0, "backtest"),
        level("total", "total", FIRST, 5.0),
        level("total", "total", SECOND, 5.0),
        level("product", "P1", FIRST, 5.0),
    ],
    "forecast_explanation": [
        ForecastExplanation(1, 1, "horizon", FIRST, SECOND, CUTOFF, 5.0, "[]", 0.5, "high", '["FEW_DAYS"]', "said", "ets", "r1")
    ],
    "interval_coverage": [
        IntervalCoverage("series", "all", "all", "all", 10, 0.9, 0.8, 0.95, True),
        IntervalCoverage("total", "h_1_7", "all", "all", 10, 2 / 3, 0.4, 0.8, False),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("sets")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "sets"),
    [
        ("", "ab"),
        ("?sort_order=asc", "ba"),
        ("?cutoff=2024-06-23", "b"),
        ("?kind=season", ""),
        ("?sort_by=units&page_size=1", "a"),
        ("?page=9", ""),
    ],
)
def test_sets_are_listed_newest_first(query: str, sets: str, client: TestClient) -> None:
    items = client.get(f"{URL}{query}").json()["items"]

    assert [each["set_id"][0] for each in items] == list(sets)
    assert all(each["models"] == {"ets": 1, "naive": 1} for each in items)


def test_a_set_tells_its_curve_and_who_sells_how_much(client: TestClient) -> None:
    found = client.get(f"{URL}/{'b' * 16}").json()

    assert [(each["date"], each["yhat"], each["q90"]) for each in found["curve"]] == [
        ("2024-07-01", 4.0, 6.0),
        ("2024-07-02", 4.0, 6.0),
    ]
    assert found["members"] == {
        "region": [{"member": "gone", "units": 3.0, "share": 0.375}],
        "store": [{"member": "S1", "units": 6.0, "share": 0.75}, {"member": "S2", "units": 2.0, "share": 0.25}],
    }


@pytest.mark.parametrize(
    ("set_id", "query", "total", "yhat"),
    [
        ("a", "", 2, 5.0),
        ("a", "?level=product&member=P1", 1, 5.0),
        ("a", "?level=series", 4, 2.5),
        ("a", "?level=series&store_id=S2&product_id=1&start_date=2024-07-02", 1, 2.5),
        ("b", "", 2, 4.0),
        ("b", "?level=store&member=S1&end_date=2024-07-01", 1, 3.0),
        ("b", "?level=store&member=1&end_date=2024-07-01", 1, 3.0),
        ("b", "?level=region&member=gone", 1, 3.0),
        ("a", "?level=category&member=Bakery", 0, None),
    ],
)
def test_points_of_a_set_are_told_by_level(set_id: str, query: str, total: int, yhat: float | None, client: TestClient) -> None:
    found = client.get(f"{URL}/{set_id * 16}/points{query}").json()

    assert found["total"] == total
    assert {each["yhat"] for each in found["items"]} == ({yhat} if total else set())
    for each in found["items"]:
        assert [each[name] for name in ("q05", "q10", "q25", "q50", "q75", "q90", "q95")] == list(QUANTILES)
        assert (each["member"] is None) == (each["level"] == "series") == (each["store_id"] is not None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{'b' * 16}/points?level=series", 410),
        (f"{'b' * 16}/points?level=product", 410),
        (f"{'b' * 16}/explanation", 410),
        (f"{'a' * 16}/points?store_id=S1", 400),
        (f"{'a' * 16}/points?level=series&member=S1", 400),
        (f"{'a' * 16}/points?start_date=2024-07-02&end_date=2024-07-01", 400),
        (f"{'a' * 16}/points?level=shelf", 422),
        (f"{'a' * 16}/points?member=S1", 404),
        (f"{'b' * 16}/points?level=store&member=S9", 404),
        (f"{'a' * 16}/points?level=region&member=gone", 404),
        ("levels?level=store&member=9", 404),
        ("levels?member=nope", 404),
        ("none", 404),
        ("none/points", 404),
        ("none/explanation", 404),
    ],
)
def test_what_a_set_does_not_have_is_refused(path: str, status: int, client: TestClient) -> None:
    assert client.get(f"{URL}/{path}").status_code == status


def test_the_current_set_is_explained(client: TestClient) -> None:
    [said] = client.get(f"{URL}/{'a' * 16}/explanation?store_id=1&span=horizon").json()["items"]

    assert (said["forecast"], said["caveats"][0]["code"]) == (5.0, "FEW_DAYS")
    assert client.get(f"{URL}/{'a' * 16}/explanation?store_id=2").json()["items"] == []


def test_levels_are_told_with_their_past(client: TestClient) -> None:
    url = f"{URL}/levels"

    everything, past = client.get(url).json(), client.get(f"{url}?source=backtest&level=total&member=total").json()

    assert everything["total"] == 4
    assert [(each["date"], each["yhat"]) for each in past["items"]] == [("2024-06-30", 9.0)]
    assert client.get(f"{url}?start_date=2024-07-02&end_date=2024-07-02").json()["total"] == 1
    assert client.get(f"{url}?level=series").status_code == 422
    assert client.get(f"{url}?member=P1").json() == client.get(f"{url}?level=product&member=1").json()


def test_coverage_is_told_by_level_and_days_ahead(client: TestClient) -> None:
    items = client.get(f"{URL}/coverage?level=total&bucket=h_1_7").json()["items"]

    assert [(each["coverage"], each["low"], each["inside"]) for each in items] == [(0.666667, 0.4, False)]
    assert client.get(f"{URL}/coverage?demand=over_1").json() | {"metadata": None} == {
        "items": [], "page": 1, "page_size": 20, "total": 0, "metadata": None, "reason": None,
    }  # fmt: skip


def test_a_snapshot_without_sets_lists_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {}, leave_out=["sets", "levels", "accuracy"])
    with client_of(tmp_path) as client:
        answers = [client.get(f"{URL}{path}") for path in ("", "/levels", "/coverage")]

    assert [(each.status_code, each.json()["items"]) for each in answers] == [(200, [])] * 3
    assert "materialise" in answers[2].json()["reason"]


def test_quantiles_that_do_not_add_up_are_null_with_the_reason(client: TestClient) -> None:
    url = f"/api/v1/items/P1/timeseries?start={FIRST}&end={SECOND}"

    of_all, of_one = client.get(url).json(), client.get(f"{url}&store_id=S1").json()
    elsewhere = client.get(of_all["reason"].split()[-1]).json()["items"]

    assert [(each["forecast"], each["q05"]) for each in of_all["timeseries"]] == [(5.0, None)] * 2
    assert [(each["member"], each["q05"]) for each in elsewhere if each["date"] == str(FIRST)] == [("P1", 1.0)]
    assert ([each["q05"] for each in of_one["timeseries"]], of_one["reason"]) == ([1.0, 1.0], None)
