"""Sums of the measures over ranges of days, for any filter and grouping: from prefix sums where a grain fits, else DuckDB.

Everything is exact: money is counted in cents.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from msgspec import Struct

from assets_config.contract.names import UNKNOWN
from serving.filters import Filters, Side
from serving.snapshot import Snapshot

Array = np.ndarray[Any, np.dtype[np.int64]]
STORE_AXES, PRODUCT_AXES = ("store", "region"), ("product", "category", "department")
COLUMNS = {
    "store": "f.store_id",
    "product": "f.product_id",
    "region": f"coalesce(s.region, '{UNKNOWN}')",
    "category": f"coalesce(p.category, '{UNKNOWN}')",
    "department": f"coalesce(p.department, '{UNKNOWN}')",
}


class Sums(Struct, frozen=True):
    """The sums of each group and interval: int64 [groups, intervals, measures]; without grouping one group, None."""

    members: list[Any]
    values: Array


async def sums(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums:
    """Sum every measure between consecutive bounds: the days from bounds[i] up to, but not with, bounds[i + 1]."""
    found = from_cubes(snapshot, filters, bounds, group=group)
    return found if found is not None else await from_facts(snapshot, filters, bounds, group=group)


def from_cubes(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums | None:
    """The sums by two look-ups an interval; None where no published grain has the axes that are needed."""
    cubes = snapshot.cubes
    store_axis = _axis(filters.store, group if group in STORE_AXES else None, "store")
    product_axis = _axis(filters.product, group if group in PRODUCT_AXES else None, "product")
    needed = sorted(axis for axis in (store_axis, product_axis) if axis)
    grain = next((name for name, each in cubes.grains.items() if sorted(each.axes) == needed), None)
    if grain is None:
        return None
    axes = cubes.grains[grain].axes
    picks = [_pick(snapshot, axis, filters) for axis in axes]
    days = [min(max((bound - cubes.first_day).days, 0), cubes.days) for bound in bounds]
    found = np.diff(snapshot.arrays[grain][np.ix_(*picks, days)], axis=-2)
    if group is None:
        return Sums([None], found.reshape(-1, len(days) - 1, found.shape[-1]).sum(axis=0, keepdims=True))
    grouped = (store_axis if group in STORE_AXES else product_axis) or group
    place = axes.index(grouped)
    values = found.sum(axis=tuple(n for n in range(len(picks)) if n != place))
    members = [cubes.axes[grouped][n] for n in picks[place]]
    return Sums(members, values) if grouped == group else _fold(snapshot, group, members, values)


async def from_facts(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums:
    """The same sums by SQL over kpi_daily."""
    measures = [f"sum(f.{each.name}{' * 100' if each.unit == 'money' else ''})::BIGINT" for each in snapshot.manifest.measures]
    where = ["f.date >= ? AND f.date < ?"]
    values: list[Any] = [bounds[0], bounds[-1]]
    for side in (filters.store, filters.product):
        if side:
            where.append(f"list_contains(?, {COLUMNS[side.axis]})")
            values.append(side.members)
    key = COLUMNS[group] if group else "NULL"
    rows = await snapshot.query(
        f"SELECT {key}, f.date, {', '.join(measures)} FROM kpi_daily f "  # noqa: S608 - columns of the contract
        "JOIN catalogue.dim_store s USING (store_id) JOIN catalogue.dim_product p USING (product_id) "
        f"WHERE {' AND '.join(where)} GROUP BY 1, 2 ORDER BY 1, 2",
        values,
    )
    members = list(dict.fromkeys(row[0] for row in rows)) or ([] if group else [None])
    place = {member: n for n, member in enumerate(members)}
    result = np.zeros((len(members), len(bounds) - 1, len(measures)), dtype=np.int64)
    starts = np.array([bound.toordinal() for bound in bounds[:-1]])
    for member, day, *numbers in rows:
        interval = int(np.searchsorted(starts, day.toordinal(), side="right")) - 1
        result[place[member], interval] += np.array(numbers)
    return Sums(members, result)


def day_bounds(start: date, end: date) -> list[date]:
    """The bounds that give one interval a day, both days included."""
    return [start + timedelta(days=n) for n in range((end - start).days + 2)]


def _axis(side: Side | None, group: str | None, finest: str) -> str | None:
    """The axis that serves both a filter and a grouping; the finest where they differ, which has to be folded."""
    if side is None or group is None or side.axis == group:
        return side.axis if side else group
    return finest


def _pick(snapshot: Snapshot, axis: str, filters: Filters) -> list[int]:
    side = filters.store if axis in STORE_AXES else filters.product
    members = snapshot.cubes.axes[axis]
    if side is None:
        return list(range(len(members)))
    wanted = set(side.members)
    if side.axis == axis:
        return [n for n, member in enumerate(members) if member in wanted]
    names = snapshot.names[side.axis]  # the filter is coarser than the axis: keep the members that belong
    return [n for n, member in enumerate(members) if names[member] in wanted]


def _fold(snapshot: Snapshot, group: str, members: list[Any], values: Array) -> Sums:
    names = snapshot.names[group]
    groups = sorted({names[member] for member in members})
    folded = np.zeros((len(groups), *values.shape[1:]), dtype=np.int64)
    np.add.at(folded, [groups.index(names[member]) for member in members], values)
    return Sums(groups, folded)
