"""A published data root made of rows that a test writes down itself: Structs of the contract, a list a table."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from msgspec import Struct

from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Cubes, File, Manifest, Part
from assets_config.contract.pointer import point
from assets_config.contract.tables import FACTS_PREFIX, PARTS, SCHEMA_VERSION, TABLES
from pipelines.publish.frames import fields

AT = datetime(2024, 7, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2024, 6, 1), date(2024, 6, 30)


def write_snapshot(root: Path, rows: Mapping[str, Sequence[Struct]], *, leave_out: Sequence[str] = ()) -> Manifest:
    """Publish these rows; a table that is not named is empty. Parts in `leave_out` are not published."""
    published = Published(root)
    tables = {**PARTS, "kpis": (), f"{FACTS_PREFIX}{FIRST.year}": PARTS["kpis"]}
    parts = {name: _part(published, name, tables[name], rows) for name in tables if name not in leave_out}
    manifest = Manifest(
        id="20240701T120000Z-00000001",
        schema_version=SCHEMA_VERSION,
        package_version="0",
        published_at=AT,
        dagster_run_id=None,
        source="tiny",
        dataset_id="d",
        first_day=FIRST,
        as_of=LAST,
        parts=parts,
        measures=[],
        kpis=[],
        omitted={},
    )
    write_bytes(published.manifest(manifest.id), msgspec.json.encode(manifest))
    point(published, manifest)
    return manifest


def _part(published: Published, name: str, tables: Sequence[str], rows: Mapping[str, Sequence[Struct]]) -> Part:
    folder = published.part(f"{name}-1")
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "tables.duckdb")) as connection:
        for table in tables:
            columns = fields(TABLES[table])
            declared = ", ".join(f'"{each.name}" {each.sql_type}' for each in columns)
            connection.execute(f"CREATE TABLE {table} ({declared})")
            for row in rows.get(table, ()):
                values = [_plain(getattr(row, each.name)) for each in columns]
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", values)
    if name == "kpis" or name.startswith(FACTS_PREFIX):
        cubes = Cubes(FIRST, (LAST - FIRST).days + 1, [], {}, {})
        (folder / "cubes.json").write_text(json.dumps(msgspec.to_builtins(cubes)))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = {path: File(len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items()}
    return Part(folder.name, said, {table: len(rows.get(table, ())) for table in tables}, "d", AT)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
