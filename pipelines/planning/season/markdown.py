"""How much to cut a price so that what is left is sold by the end of the season."""

import math
from fractions import Fraction

from msgspec import Struct

STEP = Fraction(1, 20)
MOST = Fraction(3, 5)
MARGIN = 0.0
"""Part of the cost that a price must stay above it."""
APART = Fraction(1, 10)
"""How far from the recommendation those cuts are that are shown beside it."""


class Checkpoint(Struct, frozen=True):
    """A plan at its checkpoint. Rates and stock are in units, prices in money a unit."""

    stock: int  # units that are left: in stores and at the distribution centre
    rate: float  # units that a week sells at the price as it is
    weeks: int  # that are left
    elasticity: float
    price: float
    cost: float | None  # None: not known, and then it bounds nothing


class Option(Struct, frozen=True):
    """What one cut would bring until the end of the season."""

    cut: float  # ratio of the price
    is_recommended: bool
    units: float
    left: float
    revenue: float
    margin: float | None  # revenue less the cost of what is sold


def lift_needed(at: Checkpoint) -> float | None:
    """How many times the rate must be for the stock to be sold out; None where it never will be: no rate, or no week is left."""
    return at.stock / (at.rate * at.weeks) if at.rate > 0 and at.weeks > 0 else None


def markdown(at: Checkpoint) -> Fraction:
    """The cut that clears the stock, rounded up to 5 %; at most 60 %, and no price is cut below cost.

    >>> float(markdown(Checkpoint(1200, 100, 6, -1.8, 50.0, 10.0)))
    0.35
    """
    lift = lift_needed(at)
    if at.stock <= 0 or at.weeks <= 0 or (lift is not None and lift <= 1):
        return Fraction(0)
    if lift is None:
        return _most(at)
    needed = 1 - lift ** (1 / at.elasticity)
    return min(math.ceil(round(needed / float(STEP), 9)) * STEP, _most(at))


def sold(at: Checkpoint, cut: float) -> float:
    """Units that are sold by the end with a cut price, no more than there are."""
    return min(float(at.stock), at.rate * at.weeks * (1 - cut) ** at.elasticity)


def options(at: Checkpoint) -> list[Option]:
    """What no cut, the recommended one and those ten points beside it would bring, the smallest first."""
    best = markdown(at)
    cuts = sorted({Fraction(0), best, max(best - APART, Fraction(0)), min(best + APART, MOST)})
    found = []
    for cut in cuts:
        units = sold(at, float(cut))
        revenue = units * at.price * float(1 - cut)
        margin = None if at.cost is None else revenue - units * at.cost
        found.append(Option(float(cut), cut == best, units, at.stock - units, revenue, margin))
    return found


def _most(at: Checkpoint) -> Fraction:
    """The deepest cut that is allowed, in whole steps."""
    if at.cost is None or at.price <= 0:
        return MOST
    above_cost = 1 - at.cost * (1 + MARGIN) / at.price
    return max(min(MOST, math.floor(round(above_cost / float(STEP), 9)) * STEP), Fraction(0))
