"""Sums of the measures over ranges of days, for any filter and grouping: from prefix sums where a grain fits, else DuckDB.

Everything is exact: money is counted in cents.
"""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from itertools import product as combinations
from math import prod
from typing import Any

import numpy as np
from msgspec import Struct

from assets_config.contract.names import UNKNOWN
from serving.arrays import Array, taken
from serving.filters import SIDES, Filters, Side
from serving.snapshot import Snapshot

MOST_CELLS = 400_000
"""Numbers read from a cube for one answer, about 3 ms; past it DuckDB is asked, in a thread, so that nobody waits."""


class Sums(Struct, frozen=True):
    """The sums of each group and period: integers [groups, periods, measures]; without grouping one group, None."""

    members: list[Any]
    values: Array


async def sums(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums:
    """Sum every measure between consecutive bounds: the days from bounds[i] up to, but not with, bounds[i + 1]."""
    found = from_cubes(snapshot, filters, bounds, group=group)
    return found if found is not None else await from_facts(snapshot, filters, bounds, group=group)


def from_cubes(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums | None:
    """The sums by two look-ups a period; None where no published grain has the axes that are needed, or too many cells."""
    if filters.segments or group == "segment":
        return None
    days = _days(snapshot, bounds)
    most = MOST_CELLS // len(days)
    store, product = filters.store, filters.product
    for grain in _grains(snapshot, store.axis if store else None, product.axis if product else None, group):
        picks = [_pick(snapshot, axis, store if SIDES[axis] == "store" else product) for axis in grain.axes]
        if grain.all_cells > most and grain.cells(picks) > most:
            continue
        found = _read(grain.cube, picks, days)
        if grain.place is None:
            flat = found.reshape(-1, *found.shape[-2:])
            return Sums([None], flat if len(flat) == 1 else flat.sum(axis=0, keepdims=True))
        values = found if len(picks) == 1 else _over(found, 1 - grain.place)
        pick, axis = picks[grain.place], grain.axes[grain.place]
        members = snapshot.cubes.axes[axis]
        kept = members if pick is None else [members[n] for n in pick]
        return Sums(kept, values) if axis == group else _fold(snapshot, str(group), kept, values)
    return None


async def from_facts(snapshot: Snapshot, filters: Filters, bounds: Sequence[date], *, group: str | None = None) -> Sums:
    """The same sums by SQL over kpi_daily. They may pass 64 bits: the array holds Python's integers."""
    measures = snapshot.manifest.measures
    joins, where = [], ["f.date >= ? AND f.date < ?"]
    values: list[Any] = []
    key = "NULL"
    if group in ("store", "product"):
        key = f"f.{group}_id"
    elif group is not None and group != "segment":
        side, names = SIDES[group], snapshot.names[group]
        joins.append(f"JOIN (SELECT unnest(?::BIGINT[]) AS {side}_id, unnest(?::VARCHAR[]) AS name) USING ({side}_id)")
        values += [list(names), list(names.values())]
        key = "name"
    if filters.segments or group == "segment":
        pattern = f"'{UNKNOWN}'"
        if snapshot.has("segments", "series_segment"):
            joins.append("LEFT JOIN segments.series_segment g USING (store_id, product_id)")
            pattern = f"coalesce(g.pattern, '{UNKNOWN}')"
        key = pattern if group == "segment" else key
    values += [bounds[0], bounds[-1]]
    for noun, members in (("store", _ids(snapshot, filters.store)), ("product", _ids(snapshot, filters.product))):
        if members is not None:
            where.append(f"f.{noun}_id IN (SELECT unnest(?::BIGINT[]))")
            values.append(members)
    if filters.segments:
        where.append(f"{pattern} IN (SELECT unnest(?::VARCHAR[]))")
        values.append(filters.segments)
    periods = [n for n, (first, after) in enumerate(pairwise(bounds)) if first < after]
    totals = ", ".join(f"sum(f.{each.name}) AS {each.name}" for each in measures)
    said = ", ".join(f"(sum({each.name}) * {100 if each.unit == 'money' else 1})::HUGEINT" for each in measures)
    rows = await snapshot.query(
        f"WITH days AS (SELECT {key} AS member, f.date, {totals} FROM kpi_daily f {' '.join(joins)} "  # noqa: S608 - ours
        f"WHERE {' AND '.join(where)} GROUP BY ALL), starts AS (SELECT unnest(?::DATE[]) AS start, unnest(?::INTEGER[]) AS period) "
        f"SELECT member, period, {said} FROM days ASOF JOIN starts ON days.date >= starts.start GROUP BY ALL ORDER BY ALL",
        [*values, [bounds[n] for n in periods], periods],
    )
    groups = list(dict.fromkeys(row[0] for row in rows)) if group else [None]
    place = {member: n for n, member in enumerate(groups)}
    result = np.zeros((len(groups), len(bounds) - 1, len(measures)), dtype=object)
    for member, period, *numbers in rows:
        result[place[member], period] = numbers
    return Sums(groups, result)


class Grain(Struct, frozen=True):
    """A published grain, and how it serves a question."""

    cube: Array  # [*axes, days, measures]
    axes: list[str]
    place: int | None  # of the axis that is grouped by
    all_cells: int  # numbers of one day

    def cells(self, picks: Sequence[list[int] | None]) -> int:
        """How many numbers one day of these places has."""
        shape = self.cube.shape
        return int(prod([shape[n] if pick is None else len(pick) for n, pick in enumerate(picks)]) * shape[-1])


def _grains(snapshot: Snapshot, store: str | None, product: str | None, group: str | None) -> list[Grain]:
    """The grains that serve filters on these axes and a grouping; those with the fewest cells first."""
    asked = ("grains", store, product, group)
    found: list[Grain] | None = snapshot.memo.get(asked)
    if found is None:
        sides = (("store", store), ("product", product))
        axes = [_axes(noun, axis, group if SIDES.get(group or "") == noun else None) for noun, axis in sides]
        names = [snapshot.grains[each] for each in combinations(*axes) if each in snapshot.grains]
        found = snapshot.memo[asked] = [_grain(snapshot, name, group) for name in names]
    return found


def _grain(snapshot: Snapshot, name: str, group: str | None) -> Grain:
    axes = snapshot.cubes.grains[name].axes
    place = None if group is None else next(n for n, axis in enumerate(axes) if SIDES[axis] == SIDES[group])
    cube = snapshot.arrays[name]
    return Grain(cube, axes, place, cube[..., 0, :].size)


def _axes(noun: str, filtered: str | None, group: str | None) -> list[str | None]:
    """Axes of stores or of products that serve a filter and a grouping, the coarsest first; the finest serves all, folded."""
    wanted = {axis for axis in (filtered, group) if axis}
    return [*(wanted if len(wanted) == 1 else () if wanted else (None,)), *([] if wanted == {noun} else [noun])]


def _days(snapshot: Snapshot, bounds: Sequence[date]) -> list[int]:
    first, most = snapshot.first_ordinal, snapshot.cubes.days
    places = [bound.toordinal() - first for bound in bounds]
    return places if places[0] >= 0 and places[-1] <= most else [min(max(place, 0), most) for place in places]


def _pick(snapshot: Snapshot, axis: str, side: Side | None) -> list[int] | None:
    """The places on an axis that a filter leaves; None for all."""
    if side is None:
        return None
    places = snapshot.places[axis]
    if side.axis == axis:
        return [places[member] for member in side.members if member in places]
    names, wanted = snapshot.names[side.axis], set(side.members)  # coarser than the axis: keep those that belong
    return [n for member, n in places.items() if names[member] in wanted]


def _read(cube: Array, picks: list[list[int] | None], days: list[int]) -> Array:
    """The sums of each period at the picked places: [*picks, periods, measures]."""
    index: list[Any] = []
    for pick in picks:
        if pick is not None and len(pick) != 1:
            lists = [range(cube.shape[n]) if each is None else each for n, each in enumerate(picks)]
            at = cube[np.ix_(*lists, days)]
            break
        index.append(slice(None) if pick is None else slice(pick[0], pick[0] + 1))
    else:
        at = cube[tuple(index)]
        if len(days) == 2:  # one period, which most questions are of: two views, nothing copied
            first, after = days
            whole: Array = at[..., after : after + 1, :] - at[..., first : first + 1, :]
            return whole
        at = taken(at, days)
    found: Array = at[..., 1:, :] - at[..., :-1, :]
    return found


def _over(sums: Array, axis: int) -> Array:
    found: Array = sums.squeeze(axis) if sums.shape[axis] == 1 else sums.sum(axis=axis)
    return found


def _ids(snapshot: Snapshot, side: Side | None) -> list[int] | None:
    if side is None or side.axis in ("store", "product"):
        return side.members if side else None
    wanted = set(side.members)
    return [each for each, name in snapshot.names[side.axis].items() if name in wanted]


def _fold(snapshot: Snapshot, group: str, members: list[Any], values: Array) -> Sums:
    names = snapshot.names[group]
    groups = sorted({names[member] for member in members})
    places = {name: n for n, name in enumerate(groups)}
    folded = np.zeros((len(groups), *values.shape[1:]), dtype=np.int64)
    np.add.at(folded, [places[names[member]] for member in members], values)
    return Sums(groups, folded)
