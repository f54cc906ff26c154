"""Numbers as they are said: KPIs from exact sums, rounded half up at the very end."""

from collections.abc import Sequence
from fractions import Fraction

from assets_config.contract.expressions import quotient
from assets_config.contract.manifest import Kpi, Measure

PLACES = {"money": 2, "ratio": 6, "count": 6}
RATIO = 6  # places of a change in relation to its base


class Figures:
    """The KPIs of a snapshot, compiled: every figure from the sums of the measures, money in cents."""

    def __init__(self, measures: Sequence[Measure], kpis: Sequence[Kpi]) -> None:
        places = {each.name: (n, 100 if each.unit == "money" else 1) for n, each in enumerate(measures)}
        self.kpis = {each.name: (quotient(each.expression, places), PLACES[each.unit]) for each in kpis}
        self.revenue = places["revenue"][0] if "revenue" in places else None

    def metrics(self, sums: Sequence[int]) -> dict[str, int | float | None]:
        """Every KPI by name; null where it divides by zero."""
        return {name: rounded(compute(sums), places) for name, (compute, places) in self.kpis.items()}

    def metric(self, name: str, sums: Sequence[int]) -> int | float | None:
        compute, places = self.kpis[name]
        return rounded(compute(sums), places)

    def change(self, name: str, sums: Sequence[int], base: Sequence[int]) -> tuple[int | float | None, float | None]:
        """Value minus the base's, and that over the size of the base's; both of what is exact, not of what was rounded.

        Null where one of them divides by zero; the ratio also where the base's value is 0.
        """
        compute, places = self.kpis[name]
        now, before = compute(sums), compute(base)
        if now is None or before is None:
            return None, None
        difference = now[0] * before[1] - before[0] * now[1], now[1] * before[1]
        if before[0] == 0:
            return rounded(difference, places), None
        ratio = difference[0] * abs(before[1]), difference[1] * abs(before[0])
        return rounded(difference, places), said(Fraction(*ratio), places=RATIO)


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


def shares(parts: Sequence[int]) -> list[float]:
    """Percentages with two places that add up to 100.00 exactly, by largest remainder; zeros where the whole is zero.

    >>> shares([1, 1, 1])
    [33.34, 33.33, 33.33]
    """
    whole = sum(parts)
    if whole == 0:
        return [0.0] * len(parts)
    sign = 1 if whole > 0 else -1
    divided = [divmod(part * 10_000 * sign, abs(whole)) for part in parts]
    left = 10_000 - sum(floor for floor, _ in divided)
    largest = sorted(range(len(parts)), key=lambda n: (-divided[n][1], n))[:left]
    extra = set(largest)
    return [(floor + (n in extra)) / 100 for n, (floor, _) in enumerate(divided)]
