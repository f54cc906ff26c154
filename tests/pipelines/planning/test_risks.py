"""Risks and orders of a few stocks that can be worked out by hand, and laws that hold for any stock."""

import math
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.planning.inventory.ahead import Ahead, ahead_of
from pipelines.planning.inventory.orders import proposal_frame
from pipelines.planning.inventory.policy import newsvendor
from pipelines.planning.inventory.risks import chances, lost_sales, risk_frame

AS_OF = date(2024, 6, 30)
HORIZON = 28


def policy(**changes: object) -> dict[str, object]:
    """Ten a day, seven days to come, sigma 10: reorder at 90, up to 160."""
    given: dict[str, object] = {
        "service_level": 0.95, "lead_time_days": 7, "lead_time_sd": 0.0, "review_days": 0, "mean_demand": 10.0,
        "lead_time_demand": 70.0, "lead_time_sigma": 10.0, "method": "normal", "safety_stock": 20.0, "reorder_point": 90.0,
        "order_up_to": 160.0, "max_stock": 300.0, "moq": 1, "pack_size": 1, "fill_rate": 1.0, "as_of": AS_OF,
    }  # fmt: skip
    return given | changes


def planned(
    stock: list[tuple[int, int]],
    *policies: dict[str, object],
    lost: list[float] | None = None,
    discontinued: list[date | None] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Risks and orders of stocks (on hand, on order), a product each in one store; price 4, cost 3."""
    n = len(stock)
    keys = {"store_id": np.ones(n, np.int64), "product_id": np.arange(1, n + 1)}
    ahead = Ahead(AS_OF, keys["store_id"], keys["product_id"], np.full((n, HORIZON), 10.0), np.zeros((n, 0, HORIZON)))
    said = pl.DataFrame(
        [{**{name: int(each[k]) for name, each in keys.items()}, **(policies or [policy()] * n)[k]} for k in range(n)]
    )
    counted = pl.DataFrame(keys).with_columns(
        pl.lit(AS_OF).alias("date"),
        pl.Series("on_hand", [each[0] for each in stock]),
        pl.Series("on_order", [each[1] for each in stock]),
        pl.Series("is_stockout", [each[0] == 0 for each in stock]),
    )
    prices, costs = pl.DataFrame(keys).with_columns(price=4.0), pl.DataFrame(keys).select("product_id", cost=3.0, list_price=4.0)
    costs = costs.with_columns(pl.Series("discontinued_on", discontinued or [None] * n, pl.Date))
    missed = pl.DataFrame(keys).with_columns(pl.Series("lost_units", lost or [0.0] * n))
    risks = risk_frame(ahead, said, counted, prices=prices, costs=costs, lost=missed)
    return risks, proposal_frame(said, risks, costs)


def test_stock_is_told_by_where_it_stands_in_its_policy() -> None:
    risks, _ = planned([(0, 200), (19, 100), (50, 40), (120, 0), (400, 0)])

    assert risks["state"].to_list() == ["stocked_out", "below_safety", "below_reorder_point", "healthy", "overstocked"]
    assert risks["days_of_cover"].to_list() == [0, 1.9, 5, 12, None]
    assert risks["beyond_horizon"].to_list() == [False] * 4 + [True]


def test_risk_and_shortage_are_those_of_the_normal_curve() -> None:
    risks, _ = planned([(70, 0), (60, 20)], lost=[0.0, 2.5])

    normal = NormalDist(70, 10)
    assert risks["stockout_risk"].to_list() == pytest.approx([0.5, 1 - normal.cdf(80)])
    middle = 10 / math.sqrt(2 * math.pi)  # E|N - 70| / 2
    assert risks["shortage_units"][0] == pytest.approx(middle)
    assert risks["shortage_value"][0] == round(4 * middle, 2)
    assert risks["lost_value"].to_list() == [0, 10]


def test_what_is_left_over_is_above_nine_demands_in_ten() -> None:
    risks, _ = planned([(400, 0)])

    most = 280 + NormalDist().inv_cdf(0.9) * 10 * math.sqrt(28 / 7)
    assert risks["overstock_units"][0] == pytest.approx(400 - most)
    assert risks["overstock_value"][0] == round(3 * (400 - most), 2)


@pytest.mark.parametrize("review", [0, 7])
def test_risk_and_what_is_left_over_are_those_of_simulated_orders_whose_lead_times_vary(review: int) -> None:
    daily, late = 3.0, 1.5  # ten a day +- 3, seven days +- 1.5
    varied = policy(review_days=review, lead_time_sd=late, lead_time_sigma=math.sqrt((7 + review) * daily**2 + (10 * late) ** 2))
    draw = np.random.default_rng(7)
    missed, periods = [], []
    for _ in range(20_000):
        days = max(draw.normal(7, late), 0)
        units = draw.normal(10, daily, int(days)).sum() + draw.normal(10 * (days % 1), daily * math.sqrt(days % 1))
        missed.append(max(units - 95, 0))
        periods.append(draw.normal(10, daily, HORIZON).sum())

    risks, _ = planned([(95, 0), (400, 0)], varied, varied)

    over_lead_time = NormalDist(70, math.sqrt(7 * daily**2 + (10 * late) ** 2))
    assert risks["stockout_risk"][0] == pytest.approx(1 - over_lead_time.cdf(95))
    assert risks["stockout_risk"][0] == pytest.approx(np.mean([each > 0 for each in missed]), abs=0.006)
    assert risks["shortage_units"][0] == pytest.approx(np.mean(missed), abs=0.1)  # a normal curve has the thinner tail
    assert risks["overstock_units"][1] == pytest.approx(400 - NormalDist(280, daily * math.sqrt(28)).inv_cdf(0.9))
    assert risks["overstock_units"][1] == pytest.approx(400 - np.quantile(periods, 0.9), abs=0.6)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0, 300), st.floats(0, 80))
def test_more_stock_never_has_more_risk(stock: int, more: int, mean: float, sigma: float) -> None:
    position = np.array([stock, stock + more])

    chance, missed = chances(position, np.full(2, mean), np.full(2, sigma))

    assert 0 <= chance[1] <= chance[0] <= 1
    assert 0 <= missed[1] <= missed[0] + 1e-9


def test_an_order_says_how_much_and_why() -> None:
    small = policy(moq=100, pack_size=24)
    tight = policy(order_up_to=200.0, max_stock=150.0, pack_size=10)
    _, orders = planned([(0, 0), (91, 0), (80, 10), (85, 0), (85, 0)], policy(), policy(), policy(), small, tight)

    rows = orders.rows(named=True)
    assert [(row["product_id"], row["quantity"], row["packs"], row["limits"]) for row in rows] == [
        (1, 160, 160, ""),
        (3, 70, 70, ""),  # 90 is at the reorder point
        (4, 120, 5, "moq,pack"),  # 75 are free, 100 the least, 120 whole packs
        (5, 70, 7, "max_stock"),  # 115 are free, 65 more are the most
    ]
    assert [row["cost"] for row in rows] == [480, 210, 360, 210]
    assert rows[0]["why"].startswith("It is out of stock: 0 units on hand and on order, reorder point 90.0; 10.0 a day")
    assert rows[0]["expected_on"] == AS_OF + timedelta(days=8)


def test_a_product_that_goes_out_of_sale_is_ordered_for_the_days_that_are_left() -> None:
    ends = [AS_OF + timedelta(days=n) for n in (-3, 7, 10, 90)]
    _, orders = planned([(0, 0)] * 4, discontinued=[*ends])

    last = newsvendor(
        10 * 10, 10 * (10 / 7) ** 0.5, price=4, cost=3, salvage=1.5
    )  # ten days of ten, for 1 a unit sold and 1.5 left
    assert [(row["product_id"], row["quantity"], row["limits"]) for row in orders.rows(named=True)] == [
        (3, math.ceil(last), "last_order"),  # of the first it comes too late, and of the second by a day
        (4, 160, ""),
    ]
    assert 90 < last < 100, "more is lost by a unit that is left than by one that is missed"


def test_a_last_order_is_the_same_whether_lead_times_vary_or_not() -> None:
    sure, varied = policy(lead_time_sigma=8.0), policy(lead_time_sigma=17.0, lead_time_sd=1.5)  # 17^2 = 8^2 + (10 x 1.5)^2

    _, orders = planned([(0, 0)] * 2, sure, varied, discontinued=[AS_OF + timedelta(days=10)] * 2)

    last = newsvendor(10 * 10, 8 * (10 / 7) ** 0.5, price=4, cost=3, salvage=1.5)
    assert orders["quantity"].to_list() == [math.ceil(last)] * 2, "all that sells until the last day is ordered for"


def test_what_is_not_forecast_to_sell_is_not_ordered() -> None:
    none = policy(mean_demand=0.0, lead_time_demand=0.0, reorder_point=0.0, order_up_to=0.0)

    _, orders = planned([(0, 0)], none)

    assert orders.is_empty()


def test_lost_sales_are_the_mean_of_weekday_and_model() -> None:
    days = [AS_OF - timedelta(days=n) for n in range(3)]
    stockouts = pl.DataFrame(
        {"store_id": [1] * 3, "product_id": [1] * 3, "date": days, "sold": [1, 0, 9], "unconstrained": [5.0, 4.0, 9.0]}
    )
    forecast = pl.DataFrame(
        {"store_id": [1, 1], "product_id": [1, 1], "date": days[::2], "yhat": [9.0, 2.0], "source": ["backtest"] * 2}
    )

    found = lost_sales(stockouts, forecast)

    assert found.rows() == [(1, 1, (5 + 9) / 2 - 1 + 4 + 0)]  # of the third day more was sold than would have been


def test_forecasts_become_arrays_whatever_the_order_of_rows() -> None:
    rows = [
        (store, 1, source, step, cutoff, 1.0 * store + step, y)
        for store in (1, 2)
        for source, cutoff, y in (("backtest", AS_OF - timedelta(days=3), 7.0), ("forecast", AS_OF, None))
        for step in (1, 2, 3)
    ]
    schema = ["store_id", "product_id", "source", "step", "cutoff", "yhat", "y"]
    frame = pl.DataFrame(rows, schema=schema, orient="row").sample(fraction=1, shuffle=True, seed=3)

    found = ahead_of(frame.filter(~((pl.col("source") == "backtest") & (pl.col("store_id") == 2) & (pl.col("step") == 2))))

    assert found.as_of == AS_OF
    assert found.yhat.tolist() == [[2, 3, 4], [3, 4, 5]]
    assert found.error[0].tolist() == [[5, 4, 3]]
    assert np.isnan(found.error[1]).tolist() == [[False, True, False]]
