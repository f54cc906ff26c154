"""What is forecast, how good it was, and how series sell, from rows that can be checked by eye."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.forecasts import Forecast
from assets_config.contract.registry import Backtest, BacktestMetric
from assets_config.contract.sales import KpiDaily, SeriesSegment
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

DAY = date(2024, 6, 30)
NUMBERS = (
    8,
    2.0,
    3.0,
    0.25,
    0.3,
    0.4,
    8,
    0.9,
    0.8,
    0.5,
    0.06,
)  # from n to bias_ratio
METRICS = [
    BacktestMetric("b1", "mine", -1, "all", *NUMBERS, fva_naive=0.1, fva_seasonal_naive=-0.05, stability_pct='{"wape": 12.5}',
                   coverage_90=0.91, reason="wql: none"),
    BacktestMetric("b1", "mine", -1, "all", *NUMBERS, level="store"),
    BacktestMetric("b1", "mine", -1, "all", *NUMBERS, segment="lumpy"),
    BacktestMetric("b1", "mine", 0, "all", *NUMBERS, segment="lumpy"),
]  # fmt: skip
ROWS = {
    "backtest": [Backtest("b1", "mine", "{}", "expanding", 1, 28, 0, 2, "d")],
    "backtest_metric": METRICS,
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", "North", *[None] * 7) for n in (1, 2)],
    "dim_product": [DimProduct(1, "A-1", "Rye", "Bread", *[None] * 6)],
    "series_segment": [
        SeriesSegment(1, 1, "smooth", 1.0, 0.1, 8.5, 30, DAY),
        SeriesSegment(2, 1, "no_demand", None, None, None, 0, DAY),
    ],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_snapshot(tmp_path, ROWS)
    with client_of(tmp_path) as client:
        yield client


def test_segments_say_how_a_series_sells(client: TestClient) -> None:
    url = "/api/v1/dimensions/segments"

    everything = client.get(url).json()
    smooth = client.get(f"{url}?pattern=smooth").json()["items"]
    second = client.get(f"{url}?store_id=S2&product_id=A-1").json()["items"]

    assert everything["total"] == 2
    assert [(each["store_id"], each["adi"], each["mean_demand"]) for each in smooth] == [(1, 1.0, 8.5)]
    assert [(each["pattern"], each["adi"], each["days"]) for each in second] == [("no_demand", None, 0)]
    assert client.get(f"{url}?pattern=odd").status_code == 422


def test_forecasts_are_held_against_sales_as_their_backtest_knew_them(tmp_path: Path) -> None:
    known = Forecast(1, 1, DAY, "backtest", 1, DAY, 8.0, 7.0, 8.0, 9.0, 10.0, "ets", "r")
    sold = KpiDaily(1, 1, DAY, 7, Decimal(7), 1)
    write_snapshot(tmp_path, {**ROWS, "forecast": [known], "kpi_daily": [sold]})

    with client_of(tmp_path) as client:
        found = client.get(f"/api/v1/forecasts/summary?start={DAY}&end={DAY}").json()["summary"]
        said = client.get("/openapi.json").json()["components"]["schemas"]["Summary"]["properties"]

    assert (found["total_actual"], found["wape"]) == (10, 0.2)
    assert "as the backtest knew them" in said["total_actual"]["description"]


def test_a_backtest_tells_levels_segments_and_stability(client: TestClient) -> None:
    found = client.get("/api/v1/backtests/b1").json()

    assert (found["aggregated_metrics"]["wape"], found["aggregated_metrics"]["coverage_90"]) == (0.25, 0.91)
    assert found["forecast_value_added"] == {"naive": 0.1, "seasonal_naive": -0.05}
    assert (list(found["level_results"]), list(found["segment_results"])) == (["store"], ["lumpy"])
    assert found["stability_pct"] == {"wape": 12.5}
    assert found["reason"] == "wql: none"
