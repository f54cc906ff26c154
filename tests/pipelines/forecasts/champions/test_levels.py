"""Levels agree: the forecast of every total, region, store and the like is the sum of those of its series."""

from collections import defaultdict
from datetime import date, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_config.contract.names import UNKNOWN
from pipelines.backtests.intervals import NAMES
from pipelines.features.levels import Members
from pipelines.forecasts.champions.levels import ABOVE, level_frame
from pipelines.warehouse import Warehouse

DAY = date(2024, 6, 30)


def member_of(warehouse: Warehouse) -> Any:
    """The name of a series' member at a level, from the dimension tables alone."""
    stores = {row["store_id"]: row for row in warehouse.read("core/dim_store").iter_rows(named=True)}
    products = {row["product_id"]: row for row in warehouse.read("core/dim_product").iter_rows(named=True)}

    def name(level: str, store_id: int, product_id: int) -> str:
        store, product = stores[store_id], products[product_id]
        codes = {"total": "total", "store": store["code"], "product": product["sku"]}
        return str(codes.get(level) or store.get(level) or product.get(level) or UNKNOWN)

    return name


def forecast(yhat: list[list[float]], y: list[list[float | None]]) -> pl.DataFrame:
    """One row a series and day; days whose demand is null in every series lie ahead, two past days are a fold."""
    rows = []
    for s, (expected, known) in enumerate(zip(yhat, y, strict=True)):
        for d, (each, actual) in enumerate(zip(expected, known, strict=True)):
            ahead = all(other[d] is None for other in y)
            fold = d // 2
            rows.append(
                {
                    "store_id": 1,
                    "product_id": s + 1,
                    "date": DAY + timedelta(days=d),
                    "source": "forecast" if ahead else "backtest",
                    "step": d % 2 + 1,
                    "cutoff": DAY + timedelta(days=2 * fold - 1),
                    "yhat": each,
                    "y": actual,
                }
            )
    return pl.DataFrame(rows, schema_overrides={"y": pl.Float64, "yhat": pl.Float64, "step": pl.Int64})


def members(series: int) -> Members:
    frame = {"store": ["A"] * series, "product": [f"p{s}" for s in range(series)]}
    return Members(pl.DataFrame({**frame, **{name: ["x"] * series for name in ("region", "category", "department")}}))


def test_every_level_is_the_sum_of_its_series(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    name, expected = member_of(warehouse), defaultdict(float)
    for row in warehouse.read("forecasts/forecast").iter_rows(named=True):
        if row["source"] == "forecast" or row["y"] is not None:
            for level in ABOVE:
                expected[level, name(level, row["store_id"], row["product_id"]), row["date"]] += row["yhat"]

    found = warehouse.read("forecasts/forecast_level")

    assert found.height == len(expected)
    for level, member, day, yhat in found.select("level", "member", "date", "yhat").iter_rows():
        assert yhat == pytest.approx(expected[level, member, day], rel=1e-12)


@pytest.mark.parametrize("level", ABOVE)
def test_the_members_of_a_level_add_up_to_the_total(level: str, demo_root: Path) -> None:
    table = Warehouse(demo_root).read("forecasts/forecast_level")

    total = table.filter(level="total").sort("date")
    parts = table.filter(level=level).group_by("date").agg(pl.col("yhat", "y", "series").sum()).sort("date")

    assert parts["yhat"].to_list() == pytest.approx(total["yhat"].to_list(), rel=1e-12)
    assert parts["y"].to_list() == total["y"].fill_null(0).to_list()
    assert parts["series"].to_list() == total["series"].to_list()


def test_a_day_whose_demand_is_unknown_is_in_no_sum() -> None:
    # series 1 was launched on the second day; nobody was there on the first two days of series 0's past but itself
    made = level_frame(forecast([[1, 2, 4], [8, 16, 32]], [[5, 6, None], [None, 7, None]]), members(2))

    total = made.filter(level="total").select("series", "yhat", "y").rows()
    second = made.filter(level="product", member="p1").select("series", "yhat", "y").rows()

    assert total == [(1, 1, 5), (2, 18, 13), (2, 36, None)]
    assert second == [(1, 16, 7), (1, 32, None)]


def test_quantiles_are_conformal_ranks_of_the_level_itself(demo_root: Path) -> None:
    total = Warehouse(demo_root).read("forecasts/forecast_level").filter(level="total")
    past = [(row["y"] - row["yhat"], row["cutoff"]) for row in total.iter_rows(named=True) if row["source"] == "backtest"]
    assert len(past) == 42, "fewer than fifty: one cell holds them all"

    for row in total.iter_rows(named=True):
        others = sorted(error for error, cutoff in past if cutoff != row["cutoff"])
        for column in NAMES:
            rank = min(ceil((len(others) + 1) * int(column[1:]) / 100 - 1e-9), len(others))
            assert row[column] == pytest.approx(max(row["yhat"] + others[rank - 1], 0))


def test_without_a_backtest_the_quantiles_of_a_level_are_its_forecast() -> None:
    made = level_frame(forecast([[3.0], [4.0]], [[None], [None]]), members(2))

    assert made.filter(level="store").select("yhat", *NAMES).rows() == [(7.0,) * 8]
