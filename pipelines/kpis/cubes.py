"""Prefix sums over days, one int64 array a grain: any range of any declared grain is one subtraction.

A cube has the axes of its grain, then days + 1, then the measures; cell [..., d, m] sums the first d days. Money is in
cents, so that differences are exact. All arrays go into one zip, written in one step, so that they always fit together.
"""

import io
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import numpy as np

from assets_config.contract.durable import replacing, write_bytes
from assets_config.contract.integrity import sha256
from assets_config.contract.manifest import Cubes, Grain, Measure
from assets_config.contract.names import UNKNOWN
from pipelines.errors import ContractError, PipelineError
from pipelines.warehouse import Warehouse, scan

LARGEST = 256 * 1024 * 1024
"""Bytes past which a grain is left to DuckDB. Serving holds every cube in memory: a mapped file that is truncated kills."""

MOST_IN_A_CELL = 4e18
MEMBERS = {
    "store": "s.store_id",
    "product": "p.product_id",
    "category": f"coalesce(p.category, '{UNKNOWN}')",
    "department": f"coalesce(p.department, '{UNKNOWN}')",
    "region": f"coalesce(s.region, '{UNKNOWN}')",
}


def cubes_path(warehouse: Warehouse) -> Path:
    return warehouse.folder / "kpis" / "cubes" / "cubes.zip"


def cubes_for(warehouse: Warehouse) -> Path:
    """The cubes of the kpi_daily that is there now.

    Raises PipelineError, when kpis/cubes was never materialised or sums another kpi_daily.
    """
    path = cubes_path(warehouse)
    if not path.exists():
        raise PipelineError("kpis/cubes is not there yet: materialise kpis/cubes first")
    with zipfile.ZipFile(path) as archive:
        if archive.comment.decode() != warehouse.stamp("kpis/kpi_daily").dataset_id:
            raise PipelineError("kpis/cubes sums another kpi_daily than the one there is: materialise kpis/cubes again")
    return path


def write_cubes(
    warehouse: Warehouse,
    measures: Sequence[Measure],
    grains: Sequence[Sequence[str]],
    connection: duckdb.DuckDBPyConnection,
) -> Cubes:
    """Write all declared grains that are not too large; gives what was written.

    Months whose kpi_daily did not change are taken from the cubes that there are; only the others are summed from rows.

    Raises ContractError, when kpi_daily has no rows.
    """
    for view, key in (("stores", "core/dim_store"), ("products", "core/dim_product")):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {view} AS FROM {warehouse.parquet(key)}")
    months = _months(warehouse)
    first_day = min(month.first_date for month in months.values())
    days = (max(month.last_date for month in months.values()) - first_day).days + 1
    axes = {axis: _members(axis, connection) for axis in MEMBERS}
    state = State({name: month.signature for name, month in months.items()}, _groups(connection))
    old = _Old(cubes_path(warehouse), state, [measure.name for measure in measures])
    changed = [month for name, month in months.items() if old.months.get(name) != month.signature]
    sizes = {tuple(grain): int(np.prod([len(axes[axis]) for axis in grain] + [days + 1, len(measures)])) * 8 for grain in grains}
    if _overflows(warehouse, measures, connection):
        sizes = {}  # sums that no int64 holds are left to DuckDB, whose decimals do
    fitting = sorted((grain for grain in sizes if sizes[grain] <= LARGEST), key=lambda each: -sizes[each])
    if not changed and old.is_of(warehouse.stamp("kpis/kpi_daily").dataset_id, axes, list(months), fitting):
        return old.cubes
    kept = [month for name, month in months.items() if month not in changed]
    belongs = _belongs(connection)
    made: dict[str, np.ndarray] = {}
    written: dict[str, Grain] = {}
    with replacing(cubes_path(warehouse)) as beside, zipfile.ZipFile(beside, "w") as archive:
        for grain in fitting:  # the largest first: the others are sums of it
            name = "_".join(grain) or "total"
            finer = next((each for each in written.values() if _is_finer(each.axes, grain)), None)
            if finer is not None:
                cube = _coarser(made["_".join(finer.axes) or "total"], finer.axes, grain, axes, belongs)
            else:
                cube = np.zeros([len(axes[axis]) for axis in grain] + [days + 1, len(measures)], dtype=np.int64)
                is_filled = old.fill(cube, name, grain, axes, first_day, kept)
                summed = changed if is_filled else list(months.values())
                if summed:
                    connection.execute(f"CREATE OR REPLACE TEMP VIEW facts AS FROM {scan([month.path for month in summed])}")
                    _add_sums(cube, grain, axes, first_day, measures, connection)
                np.cumsum(cube, axis=-2, out=cube)
            made[name] = cube
            content = io.BytesIO()
            np.save(content, cube, allow_pickle=False)
            archive.writestr(_entry(f"cube_{name}.npy"), content.getbuffer())
            written[name] = Grain(list(grain), f"cube_{name}.npy", cube.nbytes)
        cubes = Cubes(first_day, days, [measure.name for measure in measures], axes, written)
        archive.writestr(_entry("cubes.json"), msgspec.json.encode(cubes))
        archive.comment = warehouse.stamp("kpis/kpi_daily").dataset_id.encode()
    write_bytes(state_path(warehouse), msgspec.json.encode(state.of(cubes_path(warehouse))))
    return cubes


SIDES = {"store": "store", "region": "store", "product": "product", "category": "product", "department": "product"}


def _is_finer(finer: Sequence[str], grain: Sequence[str]) -> bool:
    """Whether a grain is a sum of a finer one: each axis is one of it, or what its stores or products belong to."""
    return all(axis in finer or SIDES[axis] in finer for axis in grain)


def _belongs(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[int, str]]:
    """What each store and product belongs to on each axis."""
    found = {}
    for axis, side in SIDES.items():
        if axis != side:
            rows = connection.execute(f"SELECT {side}_id, {MEMBERS[axis]} FROM {side}s {side[0]}").fetchall()
            found[axis] = dict(rows)
    return found


def _coarser(
    cube: np.ndarray,
    finer: Sequence[str],
    grain: Sequence[str],
    axes: dict[str, list[str | int]],
    belongs: dict[str, dict[int, str]],
) -> np.ndarray:
    """A cube summed up from a finer one, an axis after the other."""
    left = list(finer)
    for axis in finer:
        place = left.index(axis)
        target = next((each for each in grain if each == axis or SIDES[each] == axis), None)
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


def _overflows(warehouse: Warehouse, measures: Sequence[Measure], connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the sum of all rows of a measure is more than a cube's cells hold."""
    sums = ", ".join(f"sum({each.name}::DOUBLE){' * 100' if each.unit == 'money' else ''}" for each in measures)
    [row] = connection.execute(f"SELECT {sums} FROM {warehouse.parquet('kpis/kpi_daily')}").fetchall()
    return any(value is not None and value > MOST_IN_A_CELL for value in row)


class Month(msgspec.Struct, frozen=True):
    """A month of kpi_daily that has rows."""

    path: Path
    signature: str
    first_date: date
    last_date: date


class State(msgspec.Struct, frozen=True):
    """What the cubes were made of: the signature of each month, and what each store and product belonged to."""

    months: dict[str, str]
    groups: dict[str, str]
    zip_sha256: str = ""

    def of(self, path: Path) -> "State":
        return msgspec.structs.replace(self, zip_sha256=sha256(path))


class _Old:
    """The cubes that there are, as far as they still hold: no months where a store or product belongs elsewhere now."""

    def __init__(self, path: Path, state: State, measures: list[str]) -> None:
        self.months: dict[str, str] = {}
        self._path = path
        try:
            known = msgspec.json.decode(path.with_name("state.json").read_bytes(), type=State)
            with zipfile.ZipFile(path) as archive:
                self.cubes, self._dataset = msgspec.json.decode(archive.read("cubes.json"), type=Cubes), archive.comment.decode()
        except (FileNotFoundError, msgspec.MsgspecError, zipfile.BadZipFile):
            return
        same = all(state.groups.get(key) == group for key, group in known.groups.items())
        if same and self.cubes.measures == measures and known.zip_sha256 == sha256(path):
            self.months = known.months

    def is_of(
        self, dataset_id: str, axes: dict[str, list[str | int]], months: Sequence[str], grains: Sequence[tuple[str, ...]]
    ) -> bool:
        """Whether they are just what would be made now."""
        if not self.months or (self._dataset, self.cubes.axes, set(self.months)) != (dataset_id, axes, set(months)):
            return False
        return {tuple(grain.axes) for grain in self.cubes.grains.values()} == set(grains)

    def fill(
        self,
        cube: np.ndarray,
        name: str,
        grain: Sequence[str],
        axes: dict[str, list[str | int]],
        first_day: date,
        kept: Sequence[Month],
    ) -> bool:
        """Put the sums a day of the kept months into a cube; False where this grain was not written then."""
        if not kept or name not in self.cubes.grains:
            return False
        with zipfile.ZipFile(self._path) as archive:
            old = np.load(io.BytesIO(archive.read(self.cubes.grains[name].file)), allow_pickle=False)
        places = [_places(axes[axis], self.cubes.axes[axis]) for axis in grain]
        sums = np.diff(old, axis=-2)
        shift = (self.cubes.first_day - first_day).days
        held = np.zeros(sums.shape[-2], dtype=bool)
        for month in kept:
            start = (month.first_date - self.cubes.first_day).days
            held[start : start + (month.last_date - month.first_date).days + 1] = True
        sums[..., ~held, :] = 0
        ends_within = shift >= 0 and shift + len(held) < cube.shape[-2]  # false where history became shorter
        if ends_within and all(each == list(range(len(each))) for each in places):  # nothing moved: by far the fastest way
            cube[(*(slice(len(each)) for each in places), slice(shift + 1, shift + 1 + len(held)))] = sums
            return True
        days = np.flatnonzero(held)
        picks = [np.array(each, dtype=np.int64) for each in places]
        cube[np.ix_(*picks, days + shift + 1, np.arange(cube.shape[-1]))] = sums[..., days, :]
        return True


def state_path(warehouse: Warehouse) -> Path:
    return cubes_path(warehouse).with_name("state.json")


def _months(warehouse: Warehouse) -> dict[str, Month]:
    index = warehouse.partitioned("kpis/kpi_daily").index()
    found = {
        name: Month(warehouse.folder / "kpis/kpi_daily" / part.file, part.signature, part.first_date, part.last_date)
        for name, part in sorted(index.partitions.items() if index else ())
        if part.first_date is not None and part.last_date is not None
    }
    if not found:
        raise ContractError("kpis/kpi_daily has no rows: there is nothing to sum")
    return found


def _groups(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT 's' || store_id, coalesce(region, '') FROM stores "
        "UNION ALL SELECT 'p' || product_id, coalesce(category, '') || '|' || coalesce(department, '') FROM products"
    )
    return dict(rows.fetchall())


def _places(members: Sequence[str | int], wanted: Sequence[str | int]) -> list[int]:
    place = {member: n for n, member in enumerate(members)}
    return [place[member] for member in wanted]


def _members(axis: str, connection: duckdb.DuckDBPyConnection) -> list[str | int]:
    member = MEMBERS[axis]
    table = "stores s" if "s." in member else "products p"
    return [row[0] for row in connection.execute(f"SELECT DISTINCT {member} FROM {table} ORDER BY 1").fetchall()]


def _add_sums(
    cube: np.ndarray,
    grain: Sequence[str],
    axes: dict[str, list[str | int]],
    first_day: date,
    measures: Sequence[Measure],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Put the sums a day of the facts into a cube, which is not cumulative yet."""
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
        cube[(*index, result["day"].astype(np.int64) + 1, m)] = result[measure.name]


def _entry(name: str) -> zipfile.ZipInfo:
    """A stored entry with a fixed date: the same numbers give the same bytes."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
