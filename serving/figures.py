"""Numbers as they are said: KPIs from exact sums, rounded half up at the very end."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import defstruct
from msgspec.structs import astuple

from assets_config.contract.expressions import quotient
from assets_config.contract.manifest import Kpi, Measure

PLACES = {"money": 2, "ratio": 6, "count": 6}
CENTS = 100
RATIO = 6  # places of a change in relation to its base
Columns = Sequence[Sequence[int]]
"""The sums of several rows: a column a measure, in the order of the snapshot's measures; money in cents."""
Figure = Callable[[Columns], Sequence[int | float | None]]
"""A KPI of each row; null where it divides by zero."""


Row = Any
"""Every KPI of a row by name: a Struct, which is made and encoded quicker than a dict, and is the same in JSON."""


def values(row: Row) -> Sequence[int | float | None]:
    """The KPIs of a row, in the order of the snapshot's."""
    return astuple(row)


class Figures:
    """The KPIs of a snapshot, compiled: every figure from the sums of the measures."""

    def __init__(self, measures: Sequence[Measure], kpis: Sequence[Kpi]) -> None:
        places = {each.name: (n, CENTS if each.unit == "money" else 1) for n, each in enumerate(measures)}
        self.kpis: dict[str, Figure] = {each.name: _figure(each, places) for each in kpis}
        self.revenue = places["revenue"][0] if "revenue" in places else None
        self._exact = {each.name: (quotient(each.expression, places), PLACES[each.unit]) for each in kpis}
        fields = {f"kpi{n}": each.name for n, each in enumerate(kpis)}
        self._row = defstruct("Row", list(fields), rename=fields, frozen=True, gc=False)

    def metrics(self, sums: Sequence[int]) -> Row:
        """The KPIs of one row."""
        columns = [[each] for each in sums]
        return self._row(*[figure(columns)[0] for figure in self.kpis.values()])

    def table(self, columns: Columns) -> list[Row]:
        """The KPIs of each row."""
        return list(map(self._row, *[figure(columns) for figure in self.kpis.values()]))

    def change(self, name: str, sums: Sequence[int], base: Sequence[int]) -> tuple[int | float | None, float | None]:
        """Value minus the base's, and that over the size of the base's; both of what is exact, not of what was rounded.

        Null where one of them divides by zero; the ratio also where the base's value is 0.
        """
        compute, places = self._exact[name]
        now, before = compute(sums), compute(base)
        if now is None or before is None:
            return None, None
        difference = now[0] * before[1] - before[0] * now[1], now[1] * before[1]
        if before[0] == 0:
            return rounded(difference, places), None
        ratio = difference[0] * abs(before[1]), difference[1] * abs(before[0])
        return rounded(difference, places), rounded(ratio, RATIO)


def _figure(kpi: Kpi, places: Mapping[str, tuple[int, int]]) -> Figure:
    """The function of a KPI. A measure, or money over a measure, is what most KPIs are, and has a quicker one."""
    over, slash, under = (each.strip() for each in kpi.expression.partition("/"))
    if over in places and not slash:
        return _measure(*places[over])
    if over in places and under in places and kpi.unit == "money" and places[over][1] == CENTS:
        return _rate(places[over][0], *places[under])
    compute, digits = quotient(kpi.expression, places), PLACES[kpi.unit]
    return lambda columns: [rounded(compute(row), digits) for row in zip(*columns, strict=True)]


def _measure(place: int, scale: int) -> Figure:
    return (lambda columns: columns[place]) if scale == 1 else (lambda columns: [each / scale for each in columns[place]])


def _rate(over: int, under: int, scale: int) -> Figure:
    """Money over a measure: the quotient is in cents, and half of `below`, cut to a whole, rounds it half up."""

    def one(cents: int, below: int) -> float | None:
        return rounded((cents * scale, below * CENTS), PLACES["money"]) if below else None

    def figure(columns: Columns) -> list[float | None]:
        pairs = zip(columns[over], columns[under], strict=True)
        return [
            (cents * scale + below // 2) // below / CENTS if below > 0 <= cents else one(cents, below) for cents, below in pairs
        ]

    return figure


def rounded(value: tuple[int, int] | None, places: int) -> int | float | None:
    """A numerator and denominator as a number, rounded half away from zero; counts and ratios that are whole as integers."""
    if value is None:
        return None
    over, under = value if value[1] > 0 else (-value[0], -value[1])
    if places == PLACES["count"]:
        whole, rest = divmod(over, under)
        if rest == 0:
            return whole
    power: int = 10**places
    nearest = (2 * abs(over) * power + under) // (2 * under)
    return (nearest if over >= 0 else -nearest) / power


def said(value: Fraction, *, places: int) -> int | float:
    """A number rounded half away from zero; whole numbers that were counted stay integers."""
    found = rounded((value.numerator, value.denominator), places)
    assert found is not None
    return found


def shares(parts: Sequence[int], order: Sequence[int]) -> list[int]:
    """How many hundredths of a percent each part is of all; together they are 10,000, by largest remainder, and zeros where the
    whole is zero. `order` has the places of all parts that are not zero: of equal remainders the first in it is rounded up.

    >>> shares([1, 0, 1, 1], [3, 2, 0])
    [3333, 0, 3333, 3334]
    """
    whole = sum(parts)
    if whole == 0:
        return [0] * len(parts)
    scale, whole = (10_000, whole) if whole > 0 else (-10_000, -whole)
    cut = [divmod(part * scale, whole) for part in parts]
    found = [each for each, _ in cut]
    for n in sorted(order, key=[rest for _, rest in cut].__getitem__, reverse=True)[: 10_000 - sum(found)]:
        found[n] += 1
    return found
