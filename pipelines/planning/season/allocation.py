"""Which store gets how much: by need, in whole packs, between a least and a most."""

from collections.abc import Sequence

from msgspec import Struct

from pipelines.planning.season.quantities import apportion


class Allotment(Struct, frozen=True):
    """What each store gets of a supply, in the order in which the stores were named."""

    units: list[int]
    unallocated: int  # less than a pack, unless every store is full
    is_relaxed: bool  # the supply does not reach for the minima: each is cut in proportion


def allocate(
    supply: int, needs: Sequence[int], *, least: Sequence[int] | None = None, most: Sequence[int] | None = None, pack: int = 1
) -> Allotment:
    """Share a supply by need, each store between its `least` and `most` units, in whole packs.

    What a store over its most, or under its least, takes is fixed, and the rest is shared anew among the others; so a store that is
    not at a bound has its part by need, rounded by largest remainder. Ties go to the larger need, then to the store named first.
    A store without need gets its least, and more only when all others are full. Units and packs are whole and not negative.

    >>> allocate(5280, [30, 20, 10, 5], least=[100] * 4, most=[2000, 3000, 900, 900], pack=6).units
    [1998, 1908, 900, 474]
    """
    packs, count = supply // pack, len(needs)
    high = [packs if most is None else each // pack for each in (most or needs)]
    low = [-(-each // pack) for each in (least or [0] * count)]
    if most is not None:  # the supply is no bound of a store: minima beyond it are told
        low = [min(each, top) for each, top in zip(low, high, strict=True)]
    if sum(low) > packs:
        return _told(supply, apportion(packs, low), pack, is_relaxed=True)
    given = _filled(packs, needs, low, high)
    left = packs - sum(given)
    if left:
        room = [0 if need else top - have for need, top, have in zip(needs, high, given, strict=True)]
        more = _filled(left, [int(each > 0) for each in room], [0] * count, room)
        given = [have + each for have, each in zip(given, more, strict=True)]
    return _told(supply, given, pack, is_relaxed=False)


def _told(supply: int, packs: Sequence[int], pack: int, *, is_relaxed: bool) -> Allotment:
    units = [each * pack for each in packs]
    return Allotment(units, supply - sum(units), is_relaxed)


def _filled(packs: int, needs: Sequence[int], low: Sequence[int], high: Sequence[int]) -> list[int]:
    """Packs a store; all are given, or every store with a need has its most."""
    given, free, left = list(low), [n for n, need in enumerate(needs) if need], packs
    left -= sum(low) - sum(low[n] for n in free)
    while free:
        weight = sum(needs[n] for n in free)
        wanted = {n: left * needs[n] for n in free}  # in parts of weight
        bounded = {n: min(max(wanted[n], low[n] * weight), high[n] * weight) for n in free}
        over = sum(bounded.values()) - left * weight
        fixed = [n for n in free if (bounded[n] > wanted[n] if over > 0 else bounded[n] < wanted[n])]
        if not fixed:
            for n, part in zip(free, apportion(left, [needs[n] for n in free]), strict=True):
                given[n] = part
            break
        for n in fixed:
            given[n] = low[n] if over > 0 else high[n]
            left -= given[n]
        free = [n for n in free if n not in fixed]
    return given
