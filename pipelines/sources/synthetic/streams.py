"""Random streams of the generator, one an entity, and the calendar months that they are drawn by.

A stream is named by the seed, what is drawn, and which one; so more stores, products or days leave the draws of the first ones
alone. Draws of days are made for whole calendar months, products first: a month that is used in part is drawn in whole.
"""

from datetime import date, timedelta
from enum import IntEnum

import msgspec
import numpy as np

from assets_config.contract.seeds import Seed


class Draw(IntEnum):
    """What a stream is for. A number is never used again for something else, nor with another count of indices."""

    STORE = 0  # store
    PRODUCT = 1  # product
    PRICE = 2  # month: [product, day, 2]
    CHAIN_PROMOTION = 3  # month: [product, day, 3]
    STORE_PROMOTION = 4  # store, month: [product, day, 3]
    PAIR = 5  # store: [product]
    GAP = 6  # store, year after the start: [product, gap, 2]
    TEMPERATURE = 7  # store, month: [day]; from here on the chance of a day, of the noise seed
    NOISE = 8  # store, month: [product, day], as all that follow
    ANOMALY = 9
    SALE = 10
    STOCKOUT = 11
    STOCK = 12
    RECEIPT = 13
    RETURN = 14
    RETURN_DELAY = 15


class Month(msgspec.Struct, frozen=True):
    """A calendar month. Days are numbered from the first day of the seed, 0; those before it are negative."""

    year: int
    month: int
    first: int
    days: int

    @property
    def name(self) -> str:
        """For example 2024-01."""
        return f"{self.year}-{self.month:02}"

    @property
    def index(self) -> int:
        """The same for a month whatever the range, as an index of streams."""
        return self.year * 12 + self.month - 1

    @property
    def numbers(self) -> np.ndarray:
        """[D] day numbers."""
        return np.arange(self.first, self.first + self.days)

    @property
    def dates(self) -> list[date]:
        return [date(self.year, self.month, 1) + timedelta(days=n) for n in range(self.days)]


def stream(seed: int, draw: Draw, *index: int) -> np.random.Generator:
    """The stream of an entity, from its beginning."""
    return np.random.default_rng([seed, int(draw), *index])


def months(seed: Seed, *, more: int = 0) -> list[Month]:
    """The months that the seed's days lie in, whole, and `more` after them.

    >>> [(each.name, each.first) for each in months(Seed(start=date(2024, 1, 2), end=date(2024, 2, 1)))]
    [('2024-01', -1), ('2024-02', 30)]
    """
    found = []
    day = seed.start.replace(day=1)
    last = seed.end.year * 12 + seed.end.month - 1 + more
    while day.year * 12 + day.month - 1 <= last:
        after = (day + timedelta(days=31)).replace(day=1)
        found.append(Month(day.year, day.month, (day - seed.start).days, (after - day).days))
        day = after
    return found
