"""Stock policies: numbers worked out elsewhere, laws that hold for any stock, and a chain whose causes are known, simulated."""

import math
import random
from datetime import date
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.contract.seeds import Seed
from assets_config.inventory import StockRules, stock_rules
from pipelines.planning.inventory.ahead import Ahead, expected, walked, windows
from pipelines.planning.inventory.levels import policy_frame
from pipelines.planning.inventory.policy import (
    Supply,
    economic_quantity,
    fill_rate,
    lead_time_sigma,
    newsvendor,
    normal_cdf,
    normal_loss,
    order_quantity,
    safety_stock,
    undershoot,
    upper_quantile,
    z_of,
)
from pipelines.sources.synthetic.demand import make_demand, sell
from pipelines.sources.synthetic.streams import months

COUNT = st.integers(0, 500)


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def rules(**changes: float) -> StockRules:
    return StockRules(**{**{name: getattr(stock_rules(), name) for name in StockRules.__struct_fields__}, **changes})


def supply(series: int, *, level: float = 0.95, lead: int = 7, cycle: float = 0.0) -> Supply:
    ones = np.ones(series, dtype=np.int64)
    return Supply(np.full(series, level), lead * ones, np.zeros(series), ones, ones, np.full(series, cycle))


def test_a_service_level_asks_for_its_standard_deviations() -> None:
    assert np.round(z_of(array(0.9, 0.95, 0.975, 0.99)), 4).tolist() == [1.2816, 1.6449, 1.96, 2.3263]


def test_safety_stock_is_that_of_the_worked_example() -> None:
    sigma = lead_time_sigma(array(6 * math.sqrt(7)), array(20), array(1.5))  # 20 a day +- 6, 7 days +- 1.5

    safe = safety_stock(array(0.95), sigma)

    assert round(safe[0], 2) == 55.83
    assert round(20 * 7 + safe[0], 2) == 195.83


def test_fill_rate_is_that_of_the_worked_example() -> None:
    assert round(float(fill_rate(array(40), array(25), array(200))[0]), 5) == 0.99709


def test_one_order_is_the_newsvendors() -> None:
    assert newsvendor(120, 10, price=30, cost=12, salvage=10) == pytest.approx(132.815515655446, abs=1e-9)
    assert newsvendor(120, 10, price=12, cost=12, salvage=2) == 0, "nothing is earned by what is sold"
    assert newsvendor(120, 10, price=13, cost=12, salvage=12) == math.inf, "nothing is lost by what is left"
    few = [newsvendor(120, 10, price=12 + earned, cost=12, salvage=2) for earned in (5, 1, 0.1, 1e-9)]
    assert few == sorted(few, reverse=True)


def test_the_cheapest_order_is_the_economic_quantity() -> None:
    quantity = economic_quantity(array(1300), 8, array(0.225))[0]

    assert quantity == pytest.approx(304.0467800264368, abs=1e-9)
    cost = {q: 8 * 1300 / q + 0.225 * q / 2 for q in (quantity - 1, quantity, quantity + 1)}
    assert min(cost, key=cost.__getitem__) == quantity
    assert economic_quantity(array(1300), 8, array(0))[0] == 0, "what costs nothing to hold says nothing of orders"


def test_the_normal_and_its_loss_are_those_of_plain_python() -> None:
    x = np.linspace(-5, 5, 101)

    normal = NormalDist()
    assert normal_cdf(x).tolist() == pytest.approx([normal.cdf(each) for each in x], abs=1e-12)
    expected_loss = [normal.pdf(each) - each * (1 - normal.cdf(each)) for each in x]
    assert normal_loss(x).tolist() == pytest.approx(expected_loss, abs=1e-9)


def test_cover_is_walked_down_the_forecast() -> None:
    days, outlasts = walked(array(25, 30, 70, 71, 0, -4), np.full((6, 7), 10.0))

    assert days.tolist() == [2.5, 3, 7, 7, 0, 0]
    assert outlasts.tolist() == [False, False, True, True, False, False]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=10), st.integers(-5, 100))
def test_cover_is_that_of_a_loop(demand: list[int], stock: int) -> None:
    left, days = max(stock, 0), 0.0
    for units in demand:
        if units > left:
            days += left / units
            break
        left, days = left - units, days + 1

    found, _ = walked(array(stock), np.array([demand], dtype=float))

    assert found[0] == pytest.approx(days)


@given(COUNT, COUNT, COUNT, COUNT, st.integers(1, 60), st.integers(1, 24))
def test_an_order_is_what_a_buyer_would_work_out(on: int, point: int, cycle: int, room: int, moq: int, pack: int) -> None:
    up_to, most = point + cycle, point + cycle + room
    wanted = 0
    if on <= point:
        wanted = math.ceil(max(moq, up_to - on) / pack) * pack
        while wanted - pack + on >= most and wanted > 0:  # a pack less fills the room already
            wanted -= pack

    [quantity] = order_quantity(*(np.array([each]) for each in (on, point, up_to, most, moq, pack)))

    assert quantity == wanted
    assert quantity % pack == 0
    assert on + quantity <= most + pack or quantity == 0
    assert quantity == 0 or on <= point


@given(COUNT, COUNT, COUNT, st.integers(1, 60), st.integers(1, 24), COUNT)
def test_a_higher_reorder_point_never_orders_less(on: int, point: int, cycle: int, moq: int, pack: int, more: int) -> None:
    quantities = [
        int(order_quantity(*(np.array([n]) for n in (on, rop, rop + cycle, rop + cycle + 60, moq, pack)))[0])
        for rop in (point, point + more)
    ]

    assert quantities == sorted(quantities)


def test_undershoot_is_what_reviews_find() -> None:
    draw = random.Random(1)
    found = []
    for _ in range(4000):
        position = 300 + draw.random() * 40
        while position > 100:
            position -= max(draw.gauss(20, 6), 0)
        found.append(100 - position)

    mean, variance = (float(each[0]) for each in undershoot(array(20), array(6), 1))
    assert mean == pytest.approx(np.mean(found), abs=0.4)
    assert variance == pytest.approx(np.var(found), rel=0.08)
    assert [each.tolist() for each in undershoot(array(20, 0), array(6, 0), 0)] == [[0, 0], [0, 0]]


def test_a_quantile_is_an_order_that_was_seen() -> None:
    samples = np.array([[5, 1, np.nan, 3, 2], [np.nan] * 5, [7, np.nan, np.nan, np.nan, np.nan]])

    assert upper_quantile(samples, array(0.5, 0.5, 0.99))[[0, 2]].tolist() == [3, 7]
    assert upper_quantile(samples, array(0.9, 0.9, 0.9))[0] == 5


def test_windows_add_up_days_that_follow_each_other() -> None:
    error = np.array([[[1.0, 2, 3, 4], [5, np.nan, 7, 8]]])

    assert windows(error, 2)[0].tolist()[:4] == [3, 5, 7, pytest.approx(math.nan, nan_ok=True)]
    assert windows(error, 8)[0][0] == pytest.approx(3 * 2), "half the horizon, twice as wide for four times the days"


def test_past_the_horizon_demand_goes_on_at_its_mean() -> None:
    ahead = Ahead(date(2024, 1, 1), np.array([1]), np.array([1]), np.array([[1.0, 3.0]]), np.zeros((1, 0, 2)))

    assert [float(expected(ahead, np.array([days]))[0]) for days in (1, 2, 5)] == [1, 4, 10]


def test_sparse_demand_takes_the_quantile_of_what_happened() -> None:
    draw = np.random.default_rng(5)
    error = np.where(draw.random((2, 4, 28)) < 0.1, 9.0, -1.0)  # nothing, or ten at once, against a forecast of one a day
    ahead = Ahead(date(2024, 1, 1), np.array([1, 1]), np.array([1, 2]), np.ones((2, 28)), error)
    segments = segment_rows(["lumpy", "smooth"])

    lumpy, smooth = policy_frame(ahead, supply(2), rules(), segments).rows(named=True)

    sums = sorted(sum(error[0, fold, n : n + 8]) for fold in range(4) for n in range(21))
    assert lumpy["method"] == "empirical"
    assert lumpy["reorder_point"] == pytest.approx(8 + max(sums[math.ceil(85 * 0.95) - 1], 0))  # eight days of one, and the error
    assert smooth["method"] == "normal"
    squares = [sum(error[1, fold, n : n + 8]) ** 2 for fold in range(4) for n in range(21)]
    assert smooth["lead_time_sigma"] == pytest.approx(math.sqrt(sum(squares) / len(squares)))


def test_a_series_without_backtests_goes_by_its_history() -> None:
    ahead = Ahead(date(2024, 1, 1), np.array([1]), np.array([1]), np.full((1, 28), 4.0), np.zeros((1, 0, 28)))

    [found] = policy_frame(ahead, supply(1), rules(review_days=0), segment_rows(["smooth"])).rows(named=True)

    daily = math.sqrt(2 * 4 * (1 + 0.25) - 2**2)  # mean 2, every second day 4 +- 2: E[y^2] is 10
    assert found["method"] == "history"
    assert found["reorder_point"] == pytest.approx(28 + 1.6448536 * daily * math.sqrt(7))


def segment_rows(patterns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(1, n, pattern, 2.0, 0.25, 2.0) for n, pattern in enumerate(patterns, 1)],
        schema=["store_id", "product_id", "pattern", "adi", "cv2", "mean_demand"],
        orient="row",
    )


@pytest.fixture(scope="module")
def chain() -> tuple[np.ndarray, np.ndarray]:
    """What 240 series of a generated chain want on each of 366 days, and what chance is left out of: [S, T] each."""
    seed = Seed(stores=8, products=30, promotion_share=0, stockout_share=0, anomaly_share=0)
    made = make_demand(seed)
    sold = [sell(made, month) for month in months(seed)]
    wanted, known = (np.concatenate([getattr(each, name) for each in sold], axis=2) for name in ("wanted", "expected"))
    return wanted.reshape(240, -1).astype(float), known.reshape(240, -1)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_service_that_was_asked_for_is_reached(level: float, chain: tuple[np.ndarray, np.ndarray]) -> None:
    wanted, known = chain
    begin, lead, horizon = 9 * 28, 7, 28
    error = (wanted - known)[:, :begin].reshape(len(wanted), -1, horizon)
    segments = segment_rows(["smooth"] * len(wanted))
    one = np.ones(len(wanted), dtype=np.int64)
    position, orders, kept = np.zeros(len(wanted)), 0, 0

    for day in range(begin, wanted.shape[1] - horizon):  # in the evening of a day that is known
        position -= wanted[:, day]
        ahead = Ahead(date(2024, 1, 1), one, np.arange(1, len(wanted) + 1), known[:, day + 1 : day + 1 + horizon], error)
        policy = policy_frame(ahead, supply(len(wanted), level=level, cycle=120), rules(), segments)
        levels = [policy[name].to_numpy() for name in ("reorder_point", "order_up_to", "max_stock")]
        ordered = order_quantity(position, *levels, one, one)
        if day >= begin + 14:  # the first order fills an empty shelf
            is_cycle = ordered > 0
            orders += int(is_cycle.sum())
            kept += int((position >= wanted[:, day + 1 : day + 1 + lead].sum(axis=1))[is_cycle].sum())
        position += ordered

    assert orders > 2000
    assert kept / orders == pytest.approx(level, abs=0.02)
