"""Whole units and cents: how many to buy, how many to hold back, and a total shared so that its parts add up to it."""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
STEPS = 2**40  # weights with a fraction are taken as whole numbers of these of the largest


def bought(demand: int, safety_stock: float) -> int:
    """Units to manufacture: demand and the safety stock on top, a ratio of it, rounded up.

    >>> bought(8000, 0.2)
    9600
    """
    return math.ceil(demand * (1 + Decimal(str(safety_stock))))


def held_back(buy: int, share: float) -> tuple[int, int]:
    """What goes to stores at once, and what the distribution centre keeps; together they are the buy. A half is kept.

    >>> held_back(9600, 0.45)
    (5280, 4320)
    """
    kept = int((buy * Decimal(str(share))).quantize(Decimal(1), ROUND_HALF_UP))
    return buy - kept, kept


def money(amount: float) -> Decimal:
    """An amount to the cent; a half goes to the even one."""
    return Decimal(repr(amount)).quantize(CENT)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Share a total by weight, by largest remainder; equally where all weights are zero. The parts add up to it.

    Equal remainders go to the larger weight, then to the one named first.

    >>> apportion(10, [1, 1, 1])
    [4, 3, 3]
    """
    whole = _whole(weights)
    if not whole:
        return []
    every = sum(whole)
    parts = [total * each // every for each in whole]
    order = sorted(range(len(whole)), key=lambda n: (-(total * whole[n] % every), -whole[n], n))
    for n in order[: total - sum(parts)]:
        parts[n] += 1
    return parts


def _whole(weights: Sequence[float]) -> list[int]:
    """The weights as whole numbers of the same proportion; ones where all are zero."""
    if all(isinstance(each, int) for each in weights):
        found = [int(each) for each in weights]
    else:
        largest = max(weights, default=0) or 1
        found = [round(each / largest * STEPS) for each in weights]
    return found if any(found) else [1] * len(found)
