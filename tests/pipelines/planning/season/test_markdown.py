"""How much to cut a price."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipelines.planning.season.markdown import Checkpoint, lift_needed, markdown, options, sold

AT = Checkpoint(stock=1200, rate=100, weeks=6, elasticity=-1.8, price=50.0, cost=10.0)


def test_twice_the_rate_asks_for_thirty_five_percent() -> None:
    """2 ^ (-1 / 1.8) = 0.680: a cut of 32 %, rounded up."""
    assert lift_needed(AT) == 2
    assert markdown(AT) == Fraction(35, 100)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stock": 600}, 0),
        ({"stock": 0}, 0),
        ({"weeks": 0}, 0),
        ({"stock": 601}, 0.05),
        ({"stock": 100_000}, 0.6),
        ({"rate": 0.0}, 0.6),
        ({"cost": 40.0}, 0.2),
        ({"cost": 38.0}, 0.2),
        ({"cost": 50.0}, 0),
        ({"cost": 90.0}, 0),
        ({"cost": None, "stock": 100_000}, 0.6),
    ],
)
def test_a_cut_has_bounds(change: dict[str, float], expected: float) -> None:
    assert float(markdown(replace(AT, **change))) == expected


checkpoints = st.builds(
    Checkpoint,
    stock=st.integers(0, 5000),
    rate=st.floats(0.1, 500),
    weeks=st.integers(1, 20),
    elasticity=st.floats(-5, -0.1),
    price=st.floats(1, 200),
    cost=st.one_of(st.none(), st.floats(0, 250)),
)


@given(checkpoints, st.integers(0, 1000))
def test_more_stock_is_never_cut_less(at: Checkpoint, more: int) -> None:
    assert markdown(replace(at, stock=at.stock + more)) >= markdown(at)


@given(checkpoints)
def test_a_cut_below_its_bound_clears_the_stock(at: Checkpoint) -> None:
    cut = markdown(replace(at, cost=None))

    assert cut % Fraction(1, 20) == 0
    if cut < Fraction(3, 5):
        assert at.rate * at.weeks * float(1 - cut) ** at.elasticity >= at.stock * (1 - 1e-9)


@given(checkpoints)
def test_no_price_is_cut_below_cost(at: Checkpoint) -> None:
    cut = float(markdown(at))

    assert cut == 0 or at.cost is None or at.price * (1 - cut) >= at.cost * (1 - 1e-9)


def test_the_options_stand_beside_the_recommendation() -> None:
    found = options(AT)

    assert [(each.cut, each.is_recommended) for each in found] == [(0, False), (0.25, False), (0.35, True), (0.45, False)]
    assert [round(each.units) for each in found] == [600, 1007, 1200, 1200]
    assert [round(each.revenue) for each in found] == [30_000, 37_764, 39_000, 33_000]
    assert found[0].margin == 600 * 40
    assert all(each.units + each.left == 1200 for each in found)
    assert sold(AT, 0.9) == 1200
