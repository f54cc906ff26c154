"""A season walked week by week: what stores sell, and what the distribution centre sends them for the weeks to come."""

from collections.abc import Sequence

from msgspec import Struct

from pipelines.planning.season.allocation import allocate

EVERY = {"none": 0, "weekly": 1, "bi-weekly": 2}
"""Weeks from one shipment to the next; 0: there is none."""


class Week(Struct, frozen=True):
    """One week of every store, in the order in which stores are named. Units."""

    opening: list[int]  # in stores before the shipment
    needed: list[int]  # to have what is expected until the next shipment
    shipped: list[int]
    sold: list[int]
    lost: list[int]  # wanted and not there
    kept: int  # at the distribution centre, after the shipment


def walk(
    stock: Sequence[int],
    kept: int,
    expected: Sequence[Sequence[int]],
    wanted: Sequence[Sequence[int]],
    *,
    strategy: str,
    pack: int = 1,
) -> list[Week]:
    """The season of all stores.

    Takes    stock: units in each store at the start; kept: those at the distribution centre; expected: what a store is expected to
             sell, by week, which shipments go by; wanted: what is asked for there, by week. The first week lives on the allocation.
    Gives    a Week for each week. A shipment is what a store lacks for the weeks until the next one, in whole packs, in fair
             shares where the centre has less: it never sends what it does not have, and nothing with the strategy `none`.
    """
    every, found, stores = EVERY[strategy], [], range(len(stock))
    stock = list(stock)
    for week, (asked, _) in enumerate(zip(wanted, expected, strict=True)):
        opening, shipped = list(stock), [0] * len(stock)
        ahead = expected[week : week + max(every, 1)]
        needed = [max(sum(each[n] for each in ahead) - stock[n], 0) for n in stores]
        if every and week and week % every == 0 and any(needed):
            most = [-(-each // pack) * pack for each in needed]
            shipped = allocate(min(kept, sum(most)), needed, most=most, pack=pack).units
            kept -= sum(shipped)
            stock = [have + more for have, more in zip(stock, shipped, strict=True)]
        sold = [min(have, want) for have, want in zip(stock, asked, strict=True)]
        lost = [want - each for want, each in zip(asked, sold, strict=True)]
        stock = [have - each for have, each in zip(stock, sold, strict=True)]
        found.append(Week(opening, needed, shipped, sold, lost, kept))
    return found
