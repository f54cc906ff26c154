"""What changed since an earlier range, and why that cannot be said where it cannot."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated

from msgspec import Meta, Struct

from serving.cubes import Sums, sums
from serving.figures import Figures
from serving.filters import Filters
from serving.periods import DAY, Compare, base_bounds
from serving.snapshot import Snapshot

Metrics = Annotated[
    dict[str, int | float | None],
    Meta(description="Each KPI of the snapshot by name; null where it divides by zero. Money has two places."),
]


class KpiChange(Struct, frozen=True):
    """How one KPI changed."""

    absolute: Annotated[int | float | None, Meta(description="Value minus that of the base, in the unit of the KPI.")]
    ratio: Annotated[float | None, Meta(description="The change over the size of the base's value; 0.05 is 5 % more. [ratio]")]
    reason: Annotated[str | None, Meta(description="Why one of them is null, where it is.")]


class KpiComparison(Struct, frozen=True):
    """The same KPIs of an earlier range, the base, and what changed since."""

    start_date: Annotated[date | None, Meta(description="First day of the base; null where no day is.")]
    end_date: Annotated[date | None, Meta(description="Last day of the base; null where no day is.")]
    metrics: Metrics
    changes: Annotated[dict[str, KpiChange], Meta(description="The change of each KPI by name.")]


async def compared(
    lease: Snapshot, filters: Filters, bounds: list[date], compare: Compare, found: Sums, *, daily: bool = False
) -> list[KpiComparison]:
    """The comparison of each period; `daily` where each is to be one day, which has no two days for its base."""
    base = base_bounds(bounds, compare)
    before = (await sums(lease, filters, base)).values[0].tolist()
    now = found.values[0].tolist()
    periods = zip(pairwise(bounds), pairwise(base), now, before, strict=True)
    return [
        _compared(lease.figures, values, earlier, its, _fault(lease, ours, its, earlier, daily=daily))
        for ours, its, values, earlier in periods
    ]


def _compared(
    figures: Figures, values: Sequence[int], earlier: Sequence[int], base: tuple[date, date], fault: str | None
) -> KpiComparison:
    changes = {}
    for name in figures.kpis:
        absolute, ratio = (None, None) if fault else figures.change(name, values, earlier)
        reason = fault
        if absolute is None:
            reason = reason or "it divides by zero in the range or in its base"
        elif ratio is None:
            reason = "its base is 0"
        changes[name] = KpiChange(absolute, ratio, reason)
    first, after = base
    is_empty = first == after
    start, end = (None, None) if is_empty else (first, after - DAY)
    return KpiComparison(start, end, figures.metrics(earlier), changes)


def _fault(lease: Snapshot, ours: tuple[date, date], base: tuple[date, date], earlier: Sequence[int], *, daily: bool) -> str | None:
    """Why two periods cannot be compared, where they cannot."""
    manifest, (first, after) = lease.manifest, base
    if first < manifest.first_day:
        return f"the base begins on {first}, before the first day of sales, {manifest.first_day}"
    if first == after:
        return "a year earlier there was no 29 February"
    if ours[1] - DAY > manifest.as_of:
        return f"the range ends on {ours[1] - DAY}, after the last day of sales, {manifest.as_of}"
    if daily and after - first > DAY:
        return "a year earlier February had one day more: the base is both"
    if not any(earlier):
        return "nothing was recorded in the base"
    return None
