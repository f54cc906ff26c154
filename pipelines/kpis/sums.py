"""The sums in a cube: those of its days from the facts, or, for a coarser grain, those of a finer cube added up.

A cube is int64 [*axes of the grain, days, measures], money in cents. The connection has the dimensions as the temporary tables
`stores` and `products`, and the rows of a year of kpi_daily as `facts`.
"""

from collections.abc import Sequence
from datetime import date

import duckdb
import numpy as np

from assets_config.contract.manifest import Measure
from assets_config.contract.names import UNKNOWN

MEMBERS = {
    "store": "s.store_id",
    "product": "p.product_id",
    "category": f"coalesce(p.category, '{UNKNOWN}')",
    "department": f"coalesce(p.department, '{UNKNOWN}')",
    "region": f"coalesce(s.region, '{UNKNOWN}')",
}
"""The member of each axis that a store `s` or a product `p` is, or belongs to."""

SIDES = {"store": "store", "region": "store", "product": "product", "category": "product", "department": "product"}


def is_finer(finer: Sequence[str], grain: Sequence[str]) -> bool:
    """Whether a grain is a sum of a finer one: each axis is one of it, or what its stores or products belong to.

    An axis can be summed to one other: [category, department] is no sum of [product].
    """
    taken = [axis if axis in finer else SIDES[axis] for axis in grain]
    return set(taken) <= set(finer) and len(set(taken)) == len(taken)


def belonging(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[int, str]]:
    """What each store and product belongs to on each axis."""
    found = {}
    for axis, side in SIDES.items():
        if axis != side:
            rows = connection.execute(f"SELECT {side}_id, {MEMBERS[axis]} FROM {side}s {side[0]}").fetchall()
            found[axis] = dict(rows)
    return found


def coarser(
    cube: np.ndarray,
    finer: Sequence[str],
    grain: Sequence[str],
    axes: dict[str, list[str | int]],
    belongs: dict[str, dict[int, str]],
) -> np.ndarray:
    """The cube of a grain summed up from a finer one, an axis after the other. `belongs` as `belonging` gives it."""
    left = list(finer)
    for axis in finer:
        place = left.index(axis)
        target = next((each for each in grain if each == axis or (SIDES[each] == axis and each not in finer)), None)
        if target == axis:
            continue
        if target is None:
            cube = cube.sum(axis=place)
            left.remove(axis)
            continue
        positions = {member: n for n, member in enumerate(axes[target])}
        moved = np.moveaxis(cube, place, 0)
        summed = np.zeros((len(positions), *moved.shape[1:]), dtype=np.int64)
        for n, member in enumerate(axes[axis]):
            summed[positions[belongs[target][int(member)]]] += moved[n]
        cube = np.moveaxis(summed, 0, place)
        left[place] = target
    return np.ascontiguousarray(np.moveaxis(cube, [left.index(axis) for axis in grain], range(len(grain))))


def members_of(axis: str, connection: duckdb.DuckDBPyConnection, *, among: Sequence[int] | None = None) -> list[str | int]:
    """The members of an axis, in order; only those of some stores or products, where `among` gives their ids."""
    side = SIDES[axis]
    where, values = ("", []) if among is None else (f"WHERE list_contains(?, {side}_id)", [among])
    rows = connection.execute(f"SELECT DISTINCT {MEMBERS[axis]} FROM {side}s {side[0]} {where} ORDER BY 1", values).fetchall()
    return [row[0] for row in rows]


def add_sums(
    cube: np.ndarray,
    grain: Sequence[str],
    axes: dict[str, list[str | int]],
    first_day: date,
    measures: Sequence[Measure],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Put the sums a day of the facts into a cube of zeros, whose first day is `first_day`."""
    keys, joins = [], ""
    for n, axis in enumerate(grain):
        side = SIDES[axis]
        kind = "BIGINT" if axis == side else "VARCHAR"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE place_{n} AS SELECT {side}_id, position FROM {side}s {side[0]} JOIN "
            f"(SELECT unnest(?::{kind}[]) AS member, unnest(range(?)) AS position) ON member = {MEMBERS[axis]}",
            [axes[axis], len(axes[axis])],
        )
        joins += f" JOIN place_{n} ON place_{n}.{side}_id = f.{side}_id"
        keys.append(f"place_{n}.position AS axis_{n}")
    sums = [f"sum({measure.name}{' * 100' if measure.unit == 'money' else ''})::BIGINT AS {measure.name}" for measure in measures]
    result = connection.execute(
        f"SELECT {', '.join([*keys, '(f.date - ?::DATE)::BIGINT AS day', *sums])} FROM facts f{joins} GROUP BY ALL", [first_day]
    ).fetchnumpy()
    index = tuple(result[f"axis_{n}"].astype(np.int64) for n in range(len(grain)))
    for m, measure in enumerate(measures):
        cube[(*index, result["day"].astype(np.int64), m)] = result[measure.name]
