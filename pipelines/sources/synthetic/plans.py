"""What a generated retailer plans ahead: holidays, list prices, promotions, and which days are missing from its records.

Plans come from the seed alone, never from the noise seed, and do not depend on the end of the range: they run on in a later batch.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import numpy as np

from assets_config.contract.seeds import Seed
from pipelines.sources.synthetic.shops import Products
from pipelines.sources.synthetic.streams import Draw, Month, months, stream

FIXED_HOLIDAYS = {
    (1, 1): "New Year's Day",
    (2, 14): "Valentine's Day",
    (5, 1): "May Day",
    (12, 24): "Christmas Eve",
    (12, 25): "Christmas Day",
    (12, 31): "New Year's Eve",
}
PRICE_RANGE = 0.2  # list prices stay within this share of the first one
CHAIN_WIDE = 0.7  # share of the promoted days of a series that the whole chain promotes
SHORTEST, LONGEST = 3, 14  # days of a promotion
MEAN = (SHORTEST + LONGEST) / 2
DISCOUNTS = (10, 15, 20, 25, 30, 35, 40)  # percent


class Promotion(NamedTuple):
    """A promotion of a product over days, in one store or (None) in all. One of percent and cents is not 0."""

    store: int | None
    product: int
    first: int
    last: int
    percent: int
    cents: int

    def paid(self, listed: np.ndarray) -> np.ndarray:
        """What is paid, in cents, where `listed` is the list price; half a cent is rounded up."""
        return (listed * (100 - self.percent) + 50) // 100 - self.cents


class Plan(msgspec.Struct, frozen=True):
    """Prices and promotions. Arrays are [P, T] from the day numbered `origin` on, to the end of the month after the range."""

    origin: int
    listed: np.ndarray  # list price in cents
    paid: np.ndarray  # price in cents with chain-wide promotions
    promoted: np.ndarray  # whether a chain-wide promotion runs
    moved: np.ndarray  # whether a new list price begins
    chain: list[Promotion]
    local: dict[tuple[int, int], list[Promotion]]  # (store, Month.index) -> promotions of the store that run in the month

    def of(self, month: Month) -> slice:
        """The days of a month in the arrays."""
        return slice(month.first - self.origin, month.first - self.origin + month.days)

    def promotions(self) -> list[Promotion]:
        """Every promotion once: chain-wide ones first, then store by store."""
        locals_ = {each for found in self.local.values() for each in found}
        return sorted(self.chain, key=lambda each: (each.product, each.first)) + sorted(locals_)


def holiday_name(day: date) -> str | None:
    """The holiday of a day.

    >>> holiday_name(date(2024, 11, 29))
    'Black Friday'
    """
    if day.month == 11 and day.weekday() == 3 and 22 <= day.day <= 28:
        return "Thanksgiving"
    if day.month == 11 and day.weekday() == 4 and 23 <= day.day <= 29:
        return "Black Friday"
    return FIXED_HOLIDAYS.get((day.month, day.day))


def special(seed: Seed, day: date) -> tuple[str, float] | None:
    """Name and factor of a holiday or special day; what the seed says of the day wins."""
    name = holiday_name(day)
    if day.isoformat() in seed.special_days:
        return name or "Special day", seed.special_days[day.isoformat()]
    return (name, seed.holiday_lift) if name else None


def promotion_name(seed: Seed, promotion: Promotion) -> str:
    """For people: the time of year, and whether only one store has it."""
    day = seed.start + timedelta(days=promotion.first)
    season = ("Winter", "Spring", "Summer", "Autumn")[day.month % 12 // 3]
    return f"{season} deal" if promotion.store is None else f"{season} local deal"


def make_plan(seed: Seed, products: Products) -> Plan:
    """Draw prices and promotions of the whole range.

    A promotion of one store never runs on a day of a chain-wide one of the same product, nor two of the same kind at once.
    """
    span = months(seed, more=1)
    origin = span[0].first
    listed, moved = _prices(seed, products, span)
    chain = _chain_promotions(seed, products, span)
    paid, promoted = listed.copy(), np.zeros(listed.shape, dtype=bool)
    for each in chain:
        days = slice(each.first - origin, each.last - origin + 1)
        paid[each.product, days] = each.paid(listed[each.product, days])
        promoted[each.product, days] = True
    local = defaultdict(list)
    for store in range(seed.stores):
        for each in _store_promotions(seed, products, span[:-1], store, promoted):
            for month in span:
                if month.first <= each.last and each.first < month.first + month.days:
                    local[store, month.index].append(each)
    return Plan(origin, listed, paid, promoted, moved, chain, dict(local))


def make_gaps(seed: Seed, store: int) -> tuple[np.ndarray, np.ndarray]:
    """[P, G] first and last day numbers of the days that are missing from the records of a store's series.

    Each series has `seed.gaps` of them in each 365 days from the start on; they may overlap.
    """
    least, most = seed.gap_days
    firsts, lasts = [], []
    for year in range((seed.end - seed.start).days // 365 + 1):
        draws = stream(seed.seed, Draw.GAP, store, year).random((seed.products, seed.gaps, 2))
        first = 365 * year + (draws[:, :, 0] * 365).astype(np.int64)
        firsts.append(first)
        lasts.append(first + least - 1 + (draws[:, :, 1] * (most - least + 1)).astype(np.int64))
    return np.concatenate(firsts, axis=1), np.concatenate(lasts, axis=1)


def _prices(seed: Seed, products: Products, span: list[Month]) -> tuple[np.ndarray, np.ndarray]:
    draws = np.concatenate(
        [stream(seed.seed, Draw.PRICE, month.index).random((seed.products, month.days, 2)) for month in span], axis=1
    )
    days = np.arange(draws.shape[1])
    begins = (draws[:, :, 0] < seed.price_change_share) & (days + span[0].first > 0)
    fresh = np.rint(products.cents[:, None] * (1 + PRICE_RANGE * (2 * draws[:, :, 1] - 1))).astype(np.int32)
    since = np.maximum.accumulate(np.where(begins, days, -1), axis=1)
    listed = np.where(since < 0, products.cents[:, None], np.take_along_axis(fresh, np.maximum(since, 0), axis=1)).astype(np.int32)
    moved = np.zeros_like(begins)
    moved[:, 1:] = listed[:, 1:] != listed[:, :-1]
    return listed, moved


def _chain_promotions(seed: Seed, products: Products, span: list[Month]) -> list[Promotion]:
    chance = _chance(CHAIN_WIDE * seed.promotion_share)
    busy = np.full(seed.products, -1)
    found: list[Promotion] = []
    for month in span:
        draws = stream(seed.seed, Draw.CHAIN_PROMOTION, month.index).random((seed.products, month.days, 3))
        found.extend(_started(draws, None, products, month, chance, busy))
    return found


def _store_promotions(seed: Seed, products: Products, span: list[Month], store: int, promoted: np.ndarray) -> Iterator[Promotion]:
    share = CHAIN_WIDE * seed.promotion_share
    free = (1 - share) * (1 - _chance(share)) ** (MEAN - 1)  # of the days, those on which one would not meet the chain's
    chance = _chance((1 - CHAIN_WIDE) * seed.promotion_share) / free
    busy = np.full(seed.products, -1)
    for month in span:
        draws = stream(seed.seed, Draw.STORE_PROMOTION, store, month.index).random((seed.products, month.days, 3))
        yield from _started(draws, store, products, month, chance, busy, promoted[:, month.first - span[0].first :])


def _started(
    draws: np.ndarray,
    store: int | None,
    products: Products,
    month: Month,
    chance: float,
    busy: np.ndarray,
    taken: np.ndarray | None = None,
) -> Iterator[Promotion]:
    """Promotions that start in a month while the product is on sale.

    `busy` [P] is the last promoted day so far, and is moved on; `taken` [P, days] are days, from the month's first on, that are
    promoted already.
    """
    for product, day in np.argwhere(draws[:, :, 0] < chance).tolist():
        _, length, cut = draws[product, day]
        days = SHORTEST + int(length * (LONGEST - SHORTEST + 1))
        first, last = month.first + day, month.first + day + days - 1
        if first <= busy[product] or first < products.launch[product] or last > products.last[product]:
            continue
        if taken is not None and taken[product, day : day + days].any():
            continue
        busy[product] = last
        percent = DISCOUNTS[int(cut * 2 % 1 * len(DISCOUNTS))]
        cents = max(5, int(products.cents[product]) * percent // 500 * 5)
        yield Promotion(store, product, first, last, *((percent, 0) if cut < 0.5 else (0, cents)))


def _chance(share: float) -> float:
    """Chance that a promotion starts on a day without one, such that `share` of the days are promoted."""
    return share / (MEAN * (1 - share))
