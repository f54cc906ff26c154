"""Sums of the measures a day, one int64 array a grain and year: serving adds them up once, then any range is one subtraction.

A cube has the axes of its grain, then the days of its year, then the measures. Money is in cents, so that differences are
exact. The arrays of a year go into one zip; a year whose rows and members did not change keeps its file.

    <root>/warehouse/kpis/cubes/index.json                   what there is; replaced in one step, after the files it names
                                cubes-<signature>.json       axes, days and grains over all years
                                <year>-<signature>.zip       cubes.json of the year, cube_<grain>.npy
"""

import hashlib
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
from pipelines.errors import ContractError, PipelineError
from pipelines.kpis.sums import MEMBERS, SIDES, add_sums, belonging, coarser, is_finer, members_of
from pipelines.partitions import Partition
from pipelines.warehouse import Warehouse, scan

CODE = "1"
"""Rises when the same rows would give other cubes: every year is then summed again."""
LARGEST = 256 * 1024 * 1024
"""Bytes of all years past which a grain is left to DuckDB. Serving holds every cube in memory: a mapped file that is
truncated kills."""

MOST_IN_A_CELL = 4e18
"""Sums of all rows past which everything is left to DuckDB, whose decimals hold what no int64 does."""


class Year(msgspec.Struct, frozen=True):
    """One year of the cubes."""

    file: str
    sha256: str
    rows: str  # hash of its months of kpi_daily
    signature: str  # hash of all that it is made of
    stores: list[int]  # those with rows
    products: list[int]
    largest: float  # the largest sum of a measure, cents or units

    def ids(self, side: str) -> list[int]:
        """The stores or the products."""
        return self.stores if side == "store" else self.products


class Index(msgspec.Struct, frozen=True):
    """What lies in the folder, and which kpi_daily it sums."""

    dataset_id: str
    cubes: Cubes
    file: str  # the same cubes, as they are published
    years: dict[str, Year]


def cubes_folder(warehouse: Warehouse) -> Path:
    """The folder that all cubes lie in."""
    return warehouse.folder / "kpis" / "cubes"


def read_index(warehouse: Warehouse) -> Index:
    """The cubes of the kpi_daily that is there now.

    Raises PipelineError, when kpis/cubes was never materialised or sums another kpi_daily.
    """
    index = _known(warehouse)
    if index is None:
        raise PipelineError("kpis/cubes is not there yet: materialise kpis/cubes first")
    if index.dataset_id != warehouse.stamp("kpis/kpi_daily").dataset_id:
        raise PipelineError("kpis/cubes sums another kpi_daily than the one there is: materialise kpis/cubes again")
    return index


def months_of_years(warehouse: Warehouse) -> dict[str, list[Partition]]:
    """The months of kpi_daily that have rows, in order, by year. Raises PipelineError, when it was never materialised."""
    warehouse.files("kpis/kpi_daily")
    index = warehouse.partitioned("kpis/kpi_daily").index()
    years: dict[str, list[Partition]] = {}
    for name, month in sorted(index.partitions.items() if index else ()):
        if month.rows:
            years.setdefault(name[:4], []).append(month)
    return years


def rows_of(months: Sequence[Partition]) -> str:
    """A hash of the rows of some months, 64 hex digits."""
    return hashlib.sha256("\n".join(month.sha256 for month in months).encode()).hexdigest()


def write_cubes(
    warehouse: Warehouse,
    measures: Sequence[Measure],
    grains: Sequence[Sequence[str]],
    connection: duckdb.DuckDBPyConnection,
) -> Index:
    """Write all declared grains that are not too large; gives what is there then.

    Only years whose rows, or whose stores or products, are others than before are summed.

    Raises ContractError, when kpi_daily has no rows.
    """
    for view, key in (("stores", "core/dim_store"), ("products", "core/dim_product")):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {view} AS FROM {warehouse.parquet(key)}")
    months = months_of_years(warehouse)
    if not months:
        raise ContractError("kpis/kpi_daily has no rows: there is nothing to sum")
    known = _known(warehouse)
    before = known.years if known else {}
    seen = {year: _seen(warehouse, each, measures, before.get(year), connection) for year, each in months.items()}
    axes = {axis: members_of(axis, connection) for axis in MEMBERS}
    first, last = _span([month for each in months.values() for month in each])
    days = (last - first).days + 1
    sizes = {tuple(grain): _size(grain, axes, days, measures) for grain in grains}
    overflows = sum(each.largest for each in seen.values()) > MOST_IN_A_CELL
    fitting = sorted((grain for grain in sizes if sizes[grain] <= LARGEST and not overflows), key=lambda each: -sizes[each])
    years = {}
    for year, each in seen.items():
        signature = _signature(each, fitting, measures, connection)
        path = cubes_folder(warehouse) / f"{year}-{signature}.zip"
        if year not in before or before[year].signature != signature or not path.exists() or sha256(path) != before[year].sha256:
            _write_year(path, warehouse, months[year], each, fitting, measures, connection)
        years[year] = msgspec.structs.replace(each, file=path.name, sha256=sha256(path), signature=signature)
    written = {_name(grain): Grain(list(grain), f"cube_{_name(grain)}.npy", sizes[grain]) for grain in fitting}
    cubes = Cubes(first, days, [measure.name for measure in measures], axes, written)
    content = msgspec.json.encode(cubes)
    file = f"cubes-{hashlib.sha256(content).hexdigest()[:16]}.json"
    write_bytes(cubes_folder(warehouse) / file, content)
    index = Index(warehouse.stamp("kpis/kpi_daily").dataset_id, cubes, file, years)
    write_bytes(cubes_folder(warehouse) / "index.json", msgspec.json.encode(index))
    named = {"index.json", file, *(each.file for each in years.values())}
    for path in cubes_folder(warehouse).iterdir():
        if path.name not in named:
            path.unlink(missing_ok=True)
    return index


def _known(warehouse: Warehouse) -> Index | None:
    try:
        return msgspec.json.decode((cubes_folder(warehouse) / "index.json").read_bytes(), type=Index)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _name(grain: Sequence[str]) -> str:
    return "_".join(grain) or "total"


def _span(months: Sequence[Partition]) -> tuple[date, date]:
    days = [day for month in months for day in (month.first_date, month.last_date) if day is not None]
    return min(days), max(days)


def _size(grain: Sequence[str], axes: dict[str, list[str | int]], days: int, measures: Sequence[Measure]) -> int:
    return int(np.prod([len(axes[axis]) for axis in grain] + [days, len(measures)])) * 8


def _seen(
    warehouse: Warehouse,
    months: Sequence[Partition],
    measures: Sequence[Measure],
    known: Year | None,
    connection: duckdb.DuckDBPyConnection,
) -> Year:
    """What the rows of a year hold; looked at only where they are others than before."""
    rows = rows_of(months)
    if known is not None and known.rows == rows:
        return known
    source = scan([warehouse.folder / "kpis/kpi_daily" / month.file for month in months])
    sums = ", ".join(f"sum({each.name})::DOUBLE{' * 100' if each.unit == 'money' else ''}" for each in measures)
    [[stores, products, *totals]] = connection.execute(
        f"SELECT list_sort(list(DISTINCT store_id)), list_sort(list(DISTINCT product_id)), {sums} FROM {source}"
    ).fetchall()
    return Year("", "", rows, "", stores, products, max(totals))


def _signature(
    year: Year, grains: Sequence[tuple[str, ...]], measures: Sequence[Measure], connection: duckdb.DuckDBPyConnection
) -> str:
    """A hash of the rows of a year, of what its stores and products belong to, and of what is asked for."""
    groups = [
        connection.execute(
            f"SELECT {side}_id, {', '.join(MEMBERS[axis] for axis in MEMBERS if SIDES[axis] == side)} FROM {side}s {side[0]} "
            f"WHERE list_contains(?, {side}_id) ORDER BY ALL",
            [year.ids(side)],
        ).fetchall()
        for side in ("store", "product")
    ]
    said = msgspec.json.encode([CODE, year.rows, groups, grains, [each.name for each in measures]])
    return hashlib.sha256(said).hexdigest()[:16]


def _write_year(
    path: Path,
    warehouse: Warehouse,
    months: Sequence[Partition],
    year: Year,
    grains: Sequence[tuple[str, ...]],
    measures: Sequence[Measure],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = scan([warehouse.folder / "kpis/kpi_daily" / month.file for month in months])
    connection.execute(f"CREATE OR REPLACE TEMP VIEW facts AS FROM {source}")
    first, last = _span(months)
    days = (last - first).days + 1
    axes = {axis: members_of(axis, connection, among=year.ids(SIDES[axis])) for axis in MEMBERS}
    belongs = belonging(connection)
    made: dict[tuple[str, ...], np.ndarray] = {}
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for grain in grains:  # the largest first: the others are sums of it
            finer = next((each for each in made if is_finer(each, grain)), None)
            if finer is not None:
                cube = coarser(made[finer], finer, grain, axes, belongs)
            else:
                cube = np.zeros([len(axes[axis]) for axis in grain] + [days, len(measures)], dtype=np.int64)
                add_sums(cube, grain, axes, first, measures, connection)
            made[grain] = cube
            content = io.BytesIO()
            np.save(content, cube, allow_pickle=False)
            archive.writestr(_entry(f"cube_{_name(grain)}.npy"), content.getbuffer())
        written = {_name(grain): Grain(list(grain), f"cube_{_name(grain)}.npy", cube.nbytes) for grain, cube in made.items()}
        cubes = Cubes(first, days, [measure.name for measure in measures], axes, written)
        archive.writestr(_entry("cubes.json"), msgspec.json.encode(cubes))


def _entry(name: str) -> zipfile.ZipInfo:
    """A stored entry with a fixed date: the same numbers give the same bytes."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
