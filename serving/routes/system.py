"""Which snapshots are there, and what is this server?"""

from datetime import date, datetime
from importlib.metadata import version

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from assets_config.contract.tables import SCHEMA_VERSION
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Kept, Snapshot, kept


class SnapshotSaid(Struct, frozen=True):
    """A published snapshot."""

    id: str
    published_at: datetime
    is_current: bool
    source: str
    dataset_id: str
    as_of: date
    schema_version: str
    package_version: str
    dagster_run_id: str | None
    rows: dict[str, int]
    omitted: dict[str, str]


class SnapshotAnswer(SnapshotSaid, frozen=True):
    """A published snapshot with its parts."""

    parts: dict[str, str]
    checksums: dict[str, str]
    metadata: Metadata


class Info(Struct, frozen=True):
    """What this server is."""

    name: str
    api_version: str
    schema_version: str
    package_version: str
    metadata: Metadata


@get("/system/info", operation_id="get_info", tags=["system"])
async def get_info(lease: NamedDependency[Snapshot]) -> Info:
    """Name and versions of the server, and the snapshot that it serves."""
    return Info("demandgraph", "v1", SCHEMA_VERSION, version("demandgraph"), metadata(lease, "catalogue"))


@get("/system/snapshots", operation_id="list_snapshots", tags=["system"])
async def list_snapshots(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[SnapshotSaid]:
    """The kept snapshots, newest first. Pin any read to one with ?snapshot=."""
    found = [SnapshotSaid(*_said(each)) for each in kept(lease.published, lease.id)]
    return page_of(found, page, page_size, metadata(lease, "catalogue"))


@get("/system/snapshots/{snapshot_id:str}", operation_id="get_snapshot", tags=["system"])
async def get_snapshot(lease: NamedDependency[Snapshot], snapshot_id: FromPath[str]) -> SnapshotAnswer:
    """One snapshot: its rows a table, its parts and the checksum of each file."""
    for each in kept(lease.published, lease.id):
        if each.manifest.id == snapshot_id:
            parts = each.manifest.parts
            sums = {f"{part.key}/{path}": file.sha256 for part in parts.values() for path, file in part.files.items()}
            keys = {name: part.key for name, part in parts.items()}
            return SnapshotAnswer(*_said(each), parts=keys, checksums=sums, metadata=metadata(lease, "catalogue"))
    raise NotFound(f"No snapshot is called '{snapshot_id}'; /api/v1/system/snapshots lists those that are kept.")


def _said(each: Kept) -> tuple[str, datetime, bool, str, str, date, str, str, str | None, dict[str, int], dict[str, str]]:
    manifest = each.manifest
    rows = {table: count for part in manifest.parts.values() for table, count in part.tables.items()}
    return (
        manifest.id,
        manifest.published_at,
        each.is_current,
        manifest.source,
        manifest.dataset_id,
        manifest.as_of,
        manifest.schema_version,
        manifest.package_version,
        manifest.dagster_run_id,
        rows,
        manifest.omitted,
    )
