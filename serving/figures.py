"""Numbers as they are said: KPIs from exact sums, rounded half up at the very end."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from assets_config.contract.expressions import Formula, formula
from assets_config.contract.manifest import Manifest

PLACES = {"money": 2, "ratio": 6, "count": 6}
compiled = lru_cache(maxsize=256)(formula)


def metrics(manifest: Manifest, values: Sequence[int]) -> dict[str, int | float | None]:
    """Every KPI of a snapshot from the sums of its measures (money in cents); null where it divides by zero."""
    units = manifest.measures
    exact = {each.name: Fraction(int(value), 100 if each.unit == "money" else 1) for each, value in zip(units, values, strict=True)}
    found: dict[str, int | float | None] = {}
    for kpi in manifest.kpis:
        compute: Formula = compiled(kpi.expression)
        value = compute(exact)
        found[kpi.name] = None if value is None else said(value, places=PLACES[kpi.unit])
    return found


def said(value: Fraction, *, places: int) -> int | float:
    """A number rounded half away from zero; whole numbers that were counted stay integers."""
    if places == PLACES["count"] and value.denominator == 1:
        return int(value)
    scaled = abs(value) * 10**places
    rounded = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return float(Fraction(rounded if value >= 0 else -rounded, 10**places))


def shares(parts: Sequence[int]) -> list[float]:
    """Percentages with two places that add up to 100.00 exactly, by largest remainder; zeros where the whole is zero.

    >>> shares([1, 1, 1])
    [33.34, 33.33, 33.33]
    """
    whole = sum(parts)
    if whole <= 0:
        return [0.0] * len(parts)
    floors = [part * 10_000 // whole for part in parts]
    order = sorted(range(len(parts)), key=lambda n: (-(parts[n] * 10_000 % whole), n))
    for n in order[: 10_000 - sum(floors)]:
        floors[n] += 1
    return [floor / 100 for floor in floors]
