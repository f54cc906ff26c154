"""Exports: published tables as files that other programs read, a folder a job, whole or absent."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from assets_config.contract.copies import (
    CHECKSUMS,
    EXPORTS,
    FORMAT_VERSION,
    MANIFEST,
    WORKSPACES,
    CopiedFile,
    Export,
    ExportParams,
)
from assets_config.contract.durable import making_folder, remove_leftovers
from assets_config.contract.integrity import sha256
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest
from assets_config.contract.tables import FACTS_PREFIX, ORDER, PARTS, TABLES
from pipelines.errors import PublishError
from pipelines.publish.snapshot import served
from pipelines.warehouse import Warehouse, quoted

KEEP = 20
OPTIONS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}


def export(warehouse: Warehouse, asked: ExportParams, *, by: str) -> Export:
    """Write the tables as `<table>.<format>` in the order of the contract, beside a manifest and their checksums.

    Takes    `by`: the job, whose id names the folder; the same job again makes it again.
    Raises   PublishError for a table that is not published.
    """
    manifest = served(warehouse.published)
    target = warehouse.root / EXPORTS / by
    shutil.rmtree(target, ignore_errors=True)
    with making_folder(target) as folder, duckdb.connect() as connection:
        files = [_write(warehouse.published, manifest, table, asked.format, folder, connection) for table in asked.tables]
        made = Export(by, FORMAT_VERSION, manifest.id, asked.format, datetime.now(UTC), files)
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(made)))
        (folder / CHECKSUMS).write_text("".join(f"{each.sha256}  {each.name}\n" for each in files))
    keep_newest(target.parent, KEEP)
    return made


def keep_newest(folder: Path, most: int) -> None:
    """Remove the oldest folders in a folder, and what a process that died left there."""
    remove_leftovers(folder, of_the_dead=True)
    there = (each for each in folder.iterdir() if not each.name.startswith(".") and each.name != WORKSPACES)
    by_age = sorted(there, key=lambda each: each.stat().st_mtime)
    for each in by_age[:-most]:
        shutil.rmtree(each, ignore_errors=True)


def _write(
    published: Published, manifest: Manifest, table: str, kind: str, folder: Path, connection: duckdb.DuckDBPyConnection
) -> CopiedFile:
    parts = [name for name, part in manifest.parts.items() if table in part.tables and _is_of(name, table)]
    if table not in TABLES or not parts:
        raise PublishError(f"the snapshot {manifest.id} has no table {table}")
    for name in parts:
        path = published.part(manifest.parts[name].key) / "tables.duckdb"
        connection.execute(f"ATTACH IF NOT EXISTS '{quoted(path)}' AS {name} (READ_ONLY)")
    rows = " UNION ALL ".join(f"SELECT * FROM {name}.{table}" for name in parts)
    target = folder / f"{table}.{kind}"
    [(count,)] = connection.execute(
        f"COPY (SELECT * FROM ({rows}) ORDER BY {', '.join(ORDER[table])}) TO '{quoted(target)}' ({OPTIONS[kind]})"
    ).fetchall()
    return CopiedFile(target.name, count, target.stat().st_size, sha256(target))


def _is_of(part: str, table: str) -> bool:
    return part.startswith(FACTS_PREFIX) if table == "kpi_daily" else table in PARTS.get(part, ())
