import hashlib
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from assets_config.contract.layout import Published
from assets_config.contract.manifest import File, Manifest, Part, Pointer
from assets_config.contract.tables import SCHEMA_VERSION

Publish = Callable[..., Manifest]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def publish(data: Path) -> Publish:
    """Publish a snapshot with one part of one file, as the pipelines would leave it."""

    def publish(snapshot: str, *, content: bytes = b"tables", key: str = "kpis-1") -> Manifest:
        published = Published(data)
        part = published.part(key)
        part.mkdir(parents=True, exist_ok=True)
        (part / "tables.duckdb").write_bytes(content)
        file = File(len(content), hashlib.sha256(content).hexdigest())
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        manifest = Manifest(
            id=snapshot,
            schema_version=SCHEMA_VERSION,
            package_version="0.1.0",
            published_at=at,
            dagster_run_id=None,
            source="demo_minimal",
            dataset_id="d",
            first_day=date(2024, 1, 2),
            as_of=date(2024, 12, 31),
            parts={"kpis": Part(key, {"tables.duckdb": file}, {"kpi_daily": 1200}, "d", at)},
            measures=[],
            kpis=[],
            omitted={"forecasts": "not materialised"},
        )
        published.snapshots.mkdir(exist_ok=True)
        published.manifest(snapshot).write_bytes(msgspec.json.encode(manifest))
        published.pointer.write_bytes(msgspec.json.encode(Pointer(snapshot, at)))
        return manifest

    return publish


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state != "" and not state.startswith("Z")


def ends(pid: int, *, within: float = 30) -> bool:
    deadline = time.monotonic() + within
    while runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
