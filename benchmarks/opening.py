"""What does it cost a worker to open a snapshot, and to swap it? One line of JSON.

    python benchmarks/opening.py                                        500 stores x 200 products x 365 days: 36.5 M rows
    python benchmarks/opening.py --stores 50 --products 80 --days 500

A snapshot of that size is written without the pipeline, with every grain that publish would sum, and opened by a library in
a fresh process: for the first time, for a later one that shares all but a small part, and for one whose facts are other files.
`hash_s` is the share of the first that verifies checksums. Memory is resident, after the opening and at its highest.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np

from assets_config.contract.integrity import damage, sha256
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Cubes, File, Grain, Manifest, Measure, Part, Pointer
from assets_config.contract.tables import PARTS, SCHEMA_VERSION, TABLES
from assets_config.declared import load_declarations
from pipelines.kpis.cubes import LARGEST
from pipelines.publish.frames import fields
from serving.library import Library

FIRST, AT = date(2024, 1, 1), datetime(2025, 1, 1, tzinfo=UTC)
MEASURES = ("revenue", "units", "transactions")
GROUPS = {"region": 5, "category": 10, "department": 4}
GRAINS = [
    *([], ["store"], ["product"], ["category"], ["department"], ["region"], ["store", "category"], ["store", "department"]),
    *(["region", "category"], ["region", "department"], ["region", "product"], ["store", "product"]),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=500)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--memory", type=int, default=1024, help="as DEMANDGRAPH_CUBES_MEMORY_MB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ids = write(root, arguments.stores, arguments.products, arguments.days)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            told = pool.apply(measure, (root, ids, arguments.memory))
    rows = arguments.stores * arguments.products * arguments.days
    said = {"benchmark": "opening", "rows": rows, "memory_mb": arguments.memory, **told}
    packages = {name: version(name) for name in ("duckdb", "numpy")}
    print(json.dumps({**said, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


def measure(root: Path, ids: list[str], memory: int) -> dict[str, Any]:
    published, found = Published(root), {}
    began = time.perf_counter()
    manifest = msgspec.json.decode(published.manifest(ids[0]).read_bytes(), type=Manifest)
    assert damage(published, manifest) == []
    found["hash_s"] = round(time.perf_counter() - began, 2)
    found["before_mib"] = resident()

    async def swap() -> None:
        library = Library(published, cubes_memory=memory << 20)
        for name, snapshot_id in zip(("first", "shared", "other_facts"), ids, strict=True):
            published.pointer.write_bytes(msgspec.json.encode(Pointer(snapshot_id, AT)))
            began = time.perf_counter()
            snapshot = await library.lease()
            assert snapshot.id == snapshot_id
            snapshot.release()
            found[f"{name}_s"] = round(time.perf_counter() - began, 2)
            found[f"{name}_mib"] = resident()
        library.close()

    asyncio.run(swap())
    found["highest_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def resident() -> int:
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)


def write(root: Path, stores: int, products: int, days: int) -> list[str]:
    """Three snapshots: the second differs from the first in the part `planning` alone, the third has copies of the facts."""
    published = Published(root)
    published.snapshots.mkdir(parents=True)
    sizes = {"store": stores, "product": products, **GROUPS}
    axes: dict[str, list[str | int]] = {
        axis: list(range(1, size + 1)) if axis in ("store", "product") else [f"{axis}{n}" for n in range(size)]
        for axis, size in sizes.items()
    }
    grains = {}
    for axes_of in GRAINS:
        name = "_".join(axes_of) or "total"
        bytes_of = int(np.prod([sizes[axis] for axis in axes_of], dtype=np.int64)) * days * len(MEASURES) * 8
        if bytes_of <= LARGEST:
            grains[name] = Grain(axes_of, f"cube_{name}.npy", bytes_of)
    cubes = Cubes(FIRST, days, list(MEASURES), axes, grains)
    facts = part(published, "facts_2024-1", {"kpi_daily": kpi_rows(stores, products, days)}, cubes, sizes)
    copied = shutil.copytree(published.part("facts_2024-1"), published.part("facts_2024-2"))
    parts = {
        "catalogue": part(published, "catalogue-1", {"dim_store": store_rows(stores), "dim_product": product_rows(products)}),
        "planning": part(published, "planning-1", {}),
        "kpis": part(published, "kpis-1", {}, cubes),
        "facts_2024": facts,
    }
    variants = [
        parts,
        {**parts, "planning": part(published, "planning-2", {})},
        {**parts, "facts_2024": msgspec.structs.replace(facts, key=copied.name), "kpis": part(published, "kpis-2", {}, cubes)},
    ]
    measures = [Measure(name, "money" if name == "revenue" else "count", name) for name in MEASURES]
    ids = []
    for n, variant in enumerate(variants):
        ids.append(f"20250101T00000{n}Z-0000000{n}")
        manifest = Manifest(
            *(
                ids[-1],
                SCHEMA_VERSION,
                "0",
                AT + timedelta(seconds=n),
                None,
                "opening",
                "d",
                FIRST,
                FIRST + timedelta(days=days - 1),
            ),
            *(variant, measures, load_declarations().kpis, {}),
        )
        published.manifest(ids[-1]).write_bytes(msgspec.json.encode(manifest))
    return ids


def part(
    published: Published, key: str, tables: dict[str, str], cubes: Cubes | None = None, sizes: dict[str, int] | None = None
) -> Part:
    folder = published.part(key)
    folder.mkdir(parents=True)
    name = key.rpartition("-")[0]
    with duckdb.connect(str(folder / "tables.duckdb"), config={"threads": 2}) as connection:
        for table in {*tables, *PARTS.get(name, ())} - ({"kpi_daily"} if name == "kpis" else set()):
            declared = ", ".join(f'"{each.name}" {each.sql_type}' for each in fields(TABLES[table]))
            connection.execute(f"CREATE TABLE {table} ({declared})")
            if table in tables:
                connection.execute(f"INSERT INTO {table} BY NAME {tables[table]}")
    if cubes is not None:
        (folder / "cubes.json").write_bytes(msgspec.json.encode(cubes))
    for grain in cubes.grains.values() if cubes is not None and sizes is not None else ():
        shape = [*(sizes[axis] for axis in grain.axes), cubes.days, len(MEASURES)]
        np.save(folder / grain.file, np.full(shape, 7, dtype=np.int64))
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in folder.iterdir()}
    return Part(key, files, dict.fromkeys(tables, 1), "d", AT)


def kpi_rows(stores: int, products: int, days: int) -> str:
    return (
        f"SELECT DATE '{FIRST}' + d::INTEGER AS date, s AS store_id, p AS product_id, "
        "((s * 31 + p * 17 + d) % 900 / 10)::DECIMAL(18,2) AS revenue, (s + p + d) % 40 AS units, 1 AS transactions "
        f"FROM range(1, {stores + 1}) AS a(s), range(1, {products + 1}) AS b(p), range({days}) AS c(d)"
    )


def store_rows(stores: int) -> str:
    columns = "s AS store_id, 'S' || s AS code, 'Store ' || s AS name, 'region' || (s % 5) AS region"
    return f"SELECT {columns} FROM range(1, {stores + 1}) AS a(s)"


def product_rows(products: int) -> str:
    return (
        "SELECT p AS product_id, 'P' || p AS sku, 'Product ' || p AS name, 'category' || (p % 10) AS category, "
        f"'department' || (p % 4) AS department FROM range(1, {products + 1}) AS b(p)"
    )


if __name__ == "__main__":
    main()
