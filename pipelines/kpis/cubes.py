"""Prefix sums over days, one int64 array a grain: any range of any declared grain is one subtraction.

A cube has the axes of its grain, then days + 1, then the measures; cell [..., d, m] sums the first d days. Money is in
cents, so that differences are exact. All arrays go into one zip, written in one step, so that they always fit together.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np

from assets_config.contract.manifest import Cubes, Grain, Measure
from assets_config.contract.names import UNKNOWN
from assets_config.contract.durable import replacing
from pipelines.errors import ContractError, PipelineError
from pipelines.warehouse import Warehouse, quoted

LARGEST = 256 * 1024 * 1024
"""Bytes past which a grain is left to DuckDB. Serving holds every cube in memory: a mapped file that is truncated kills."""

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

    Raises ContractError, when kpi_daily has no rows.
    """
    _load(warehouse, connection)
    [(first_day, last_day)] = connection.execute("SELECT min(date), max(date) FROM facts").fetchall()
    if first_day is None:
        raise ContractError("kpis/kpi_daily has no rows: there is nothing to sum")
    days = (last_day - first_day).days + 1
    axes = {axis: _members(axis, connection) for axis in MEMBERS}
    written: dict[str, Grain] = {}
    with replacing(cubes_path(warehouse)) as beside, zipfile.ZipFile(beside, "w") as archive:
        for grain in grains:
            shape = [len(axes[axis]) for axis in grain] + [days + 1, len(measures)]
            size = int(np.prod(shape)) * 8
            if size > LARGEST:
                continue
            name = "_".join(grain) or "total"
            content = io.BytesIO()
            np.save(content, _cube(grain, shape, axes, measures, connection), allow_pickle=False)
            archive.writestr(_entry(f"cube_{name}.npy"), content.getbuffer())
            written[name] = Grain(list(grain), f"cube_{name}.npy", size)
        cubes = Cubes(first_day, days, [measure.name for measure in measures], axes, written)
        archive.writestr(_entry("cubes.json"), msgspec.json.encode(cubes))
        archive.comment = warehouse.stamp("kpis/kpi_daily").dataset_id.encode()
    return cubes


def _load(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    for view, key in (("facts", "kpis/kpi_daily"), ("stores", "core/dim_store"), ("products", "core/dim_product")):
        path = quoted(warehouse.existing(key))
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS FROM read_parquet('{path}')")


def _members(axis: str, connection: duckdb.DuckDBPyConnection) -> list[str | int]:
    member = MEMBERS[axis]
    table = "stores s" if member.count("s.store_id") or "s.region" in member else "products p"
    return [row[0] for row in connection.execute(f"SELECT DISTINCT {member} FROM {table} ORDER BY 1").fetchall()]


def _cube(
    grain: Sequence[str],
    shape: Sequence[int],
    axes: dict[str, list[str | int]],
    measures: Sequence[Measure],
    connection: duckdb.DuckDBPyConnection,
) -> np.ndarray:
    positions = []
    for axis in grain:
        kind = "BIGINT" if axis in ("store", "product") else "VARCHAR"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE axis_{axis} (member {kind}, position BIGINT)")
        connection.execute(f"INSERT INTO axis_{axis} SELECT unnest(?::{kind}[]), unnest(range(?))", [axes[axis], len(axes[axis])])
        positions.append(f"(SELECT position FROM axis_{axis} WHERE member = {MEMBERS[axis]})")
    sums = [f"sum({measure.name}{' * 100' if measure.unit == 'money' else ''})::BIGINT AS {measure.name}" for measure in measures]
    keys = [f"{position} AS axis_{n}" for n, position in enumerate(positions)]
    start = "(SELECT min(date) FROM facts)"
    result = connection.execute(
        f"SELECT {', '.join([*keys, f'(f.date - {start})::BIGINT AS day', *sums])} FROM facts f "
        "JOIN stores s USING (store_id) JOIN products p USING (product_id) GROUP BY ALL"
    ).fetchnumpy()
    cube = np.zeros(shape, dtype=np.int64)
    index = tuple(result[f"axis_{n}"].astype(np.int64) for n in range(len(grain)))
    for m, measure in enumerate(measures):
        cube[(*index, result["day"].astype(np.int64) + 1, m)] = result[measure.name]
    np.cumsum(cube, axis=-2, out=cube)
    return cube


def _entry(name: str) -> zipfile.ZipInfo:
    """A stored entry with a fixed date: the same numbers give the same bytes."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
