"""The arithmetic of what-if, on numbers that can be worked out by hand."""

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.contract.outlook import multiplied, outlook
from assets_config.contract.scenarios import (
    Assumptions,
    Holiday,
    Inbound,
    Lifecycle,
    Price,
    PromotionPlan,
    Question,
    Stock,
    result_hash,
    why_not_ask,
)

FIRST = date(2025, 1, 1)
TEN_OFF = Price(change=-0.1)
PROMOTION = PromotionPlan(lift=0.15, discount=0.2, start_date=FIRST, end_date=FIRST + timedelta(days=1))
numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)
assumed = st.builds(
    Assumptions,
    price=st.one_of(st.none(), st.builds(Price, change=st.floats(-0.9, 3))),
    promotion=st.one_of(st.none(), st.builds(PromotionPlan, lift=st.floats(-0.5, 3), discount=st.floats(0, 0.9))),
    holiday=st.one_of(st.none(), st.builds(Holiday, dates=st.just([FIRST]), lift=st.floats(-1, 3))),
    lifecycle=st.one_of(st.none(), st.builds(Lifecycle, change_per_week=st.floats(-0.5, 0.5))),
)


def test_ten_percent_off_and_a_promotion_are_those_of_the_example() -> None:
    """0.9 ^ -1.5 x 1.15 = 1.34690"""
    found = multiplied([100.0] * 3, FIRST, Assumptions(price=TEN_OFF, promotion=PROMOTION), -1.5)

    assert found == pytest.approx([134.690, 134.690, 117.121], abs=0.001)


@given(numbers)
def test_nothing_assumed_is_the_baseline_to_the_bit(baseline: list[float]) -> None:
    found = multiplied(baseline, FIRST, Assumptions(), -1.5)
    told = outlook(baseline, found, FIRST, Assumptions(), 9.99)

    assert found == baseline
    assert [day[3] for day in told.days] == baseline
    assert (told.units, told.lost, told.revenue) == (told.baseline_units, 0, told.baseline_revenue)


@given(numbers, assumed)
def test_assumptions_compose_in_any_order(baseline: list[float], what: Assumptions) -> None:
    whole = multiplied(baseline, FIRST, what, -1.5)
    parts = [Assumptions(price=what.price), Assumptions(promotion=what.promotion), Assumptions(holiday=what.holiday)]

    for order in itertools.permutations(parts):
        found = baseline
        for part in order:
            found = multiplied(found, FIRST, part, -1.5)
        assert found == pytest.approx(whole, rel=1e-9)


@given(numbers, assumed, st.floats(0, 1e6), st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1e5)), max_size=4))
def test_stock_only_lowers_sales_and_no_unit_is_lost(
    baseline: list[float], what: Assumptions, have: float, coming: list[tuple[int, float]]
) -> None:
    deliveries = [Inbound(FIRST + timedelta(days=n), units) for n, units in coming]
    demand = multiplied(baseline, FIRST, what, -1.5)

    free = outlook(baseline, demand, FIRST, what, 2.0)
    stocked = Assumptions(
        price=what.price, promotion=what.promotion, holiday=what.holiday, lifecycle=what.lifecycle,
        inventory=Stock(on_hand=have, inbound=deliveries),
    )  # fmt: skip
    capped = outlook(baseline, demand, FIRST, stocked, 2.0)

    assert all(a[3] <= b[3] for a, b in zip(capped.days, free.days, strict=True))
    arrived = sum(each.units for each in deliveries if each.date < FIRST + timedelta(days=len(baseline)))
    assert capped.left is not None
    assert capped.units + capped.left == pytest.approx(have + arrived, rel=1e-9, abs=1e-6)
    assert capped.units + capped.lost == pytest.approx(free.units, rel=1e-9, abs=1e-6)


def test_money_is_units_times_the_price_of_their_day() -> None:
    """First two days: 10 x 0.9 x 0.8 = 7.2 a unit; the third 9.0."""
    what = Assumptions(price=TEN_OFF, promotion=PROMOTION, inventory=Stock(on_hand=25, inbound=[]))

    told = outlook([10.0] * 3, [10.0] * 3, FIRST, what, 10.0)

    assert [day[3] for day in told.days] == [10, 10, 5]
    assert [day[4] for day in told.days] == pytest.approx([7.2, 7.2, 9.0])
    assert told.revenue == pytest.approx(10 * 7.2 + 10 * 7.2 + 5 * 9.0)
    assert (told.baseline_revenue, told.lost, told.left) == (300, 5, 0)
    assert outlook([1.0], [1.0], FIRST, what, None).revenue is None


def test_a_lifecycle_compounds_by_the_week() -> None:
    told = outlook([100.0] * 15, [100.0] * 15, FIRST, Assumptions(lifecycle=Lifecycle(change_per_week=-0.1)), None)

    assert [told.days[n][2] for n in (0, 7, 14)] == pytest.approx([100, 90, 81])


def test_the_hash_is_of_the_baseline_and_what_is_assumed() -> None:
    def hashed(versions: list[str], what: Assumptions) -> str:
        return result_hash(versions, FIRST, 28, product_id=1, store_id=None, method="heuristic", assumed=what)

    one = hashed(["a", "b"], Assumptions(price=TEN_OFF))
    assert one == hashed(["b", "a"], Assumptions(price=Price(change=-0.1)))
    assert len({one, hashed(["a"], Assumptions(price=TEN_OFF)), hashed(["a", "b"], Assumptions())}) == 3


def test_a_question_that_cannot_be_is_named() -> None:
    late = Assumptions(promotion=PromotionPlan(start_date=date(2025, 2, 1), end_date=FIRST))
    nameless = Assumptions(holiday=Holiday(dates=[FIRST]))

    assert why_not_ask(Question(product_id="a", assumptions=late), "heuristic") == (
        "assumptions.promotion.start_date",
        "is after end_date, 2025-01-01",
    )
    assert why_not_ask(Question(product_id="a", assumptions=nameless), "heuristic") is None
    assert why_not_ask(Question(product_id="a", assumptions=nameless), "model_exogenous") is not None
