"""Which snapshots are there, and what is this server?"""

from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta, Struct

from assets_config.contract.manifest import Check, Part
from assets_config.contract.tables import SCHEMA_VERSION
from serving.formats import table
from serving.library import Kept, kept
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot


class SnapshotSaid(Struct, frozen=True):
    """A published snapshot."""

    id: Annotated[str, Meta(description="Use it as ?snapshot= in any read, and in /system/snapshots/{snapshot_id}.")]
    published_at: Annotated[datetime, Meta(description="When it was published, UTC.")]
    is_current: Annotated[bool, Meta(description="Whether it is the one that this answer was read from.")]
    source: Annotated[str, Meta(description="Entry of sources.yaml that its data came from.")]
    dataset_id: Annotated[str, Meta(description="Hash of the core tables.")]
    as_of: Annotated[date, Meta(description="Last day of sales.")]
    schema_version: Annotated[str, Meta(description="Version of its tables; a server reads one version only.")]
    package_version: Annotated[str, Meta(description="Version of the software that published it.")]
    dagster_run_id: Annotated[str | None, Meta(description="Dagster run that published it; without dashes it is the job's id.")]
    rows: Annotated[dict[str, int], Meta(description="Rows of each table. [rows]")]
    omitted: Annotated[dict[str, str], Meta(description="Parts that could not be published, with the reason.")]


class SnapshotPart(Struct, frozen=True):
    """What is published together and replaced together."""

    name: Annotated[str, Meta(description="Name of the part.")]
    key: Annotated[str, Meta(description="Hash of what went in: the same key is the same content, in whichever snapshot.")]
    tables: Annotated[dict[str, int], Meta(description="Rows of each of its tables. [rows]")]
    dataset_id: Annotated[str, Meta(description="Hash of the core tables that it was made from.")]
    made_at: Annotated[datetime, Meta(description="When it was made, UTC.")]
    bytes: Annotated[int, Meta(description="Size of its files. [bytes]")]


class CheckSaid(Struct, frozen=True):
    """What an asset check had last found when the snapshot was published."""

    asset: Annotated[str, Meta(description="Asset that was checked; read it at /assets/{key}.")]
    name: Annotated[str, Meta(description="Name of the check.")]
    passed: Annotated[bool, Meta(description="Whether the data are as they should be.")]
    severity: Annotated[str, Meta(description="error: it would keep later assets from being made; warn: it is only told.")]
    at: Annotated[datetime, Meta(description="When it was checked, UTC.")]
    job_id: Annotated[str, Meta(description="Job that checked it; read it at /jobs/{job_id}.")]


class SnapshotAnswer(SnapshotSaid, frozen=True):
    """A published snapshot with its parts, checksums and checks."""

    first_day: Annotated[date, Meta(description="First day of sales.")]
    parts: Annotated[dict[str, str], Meta(description="Key of each part by name.")]
    checksums: Annotated[dict[str, str], Meta(description="SHA-256 of each file, by part key and path.")]
    part_details: Annotated[list[SnapshotPart], Meta(description="The parts, by name.")]
    checks: Annotated[list[CheckSaid], Meta(description="The newest result of each asset check, up to the publishing.")]
    metadata: Annotated[Metadata, Meta(description="Where this was read from.")]


class Info(Struct, frozen=True):
    """What this server is."""

    name: str
    api_version: str
    schema_version: str
    package_version: str
    metadata: Metadata


@get("/system/info", operation_id="get_info", tags=["system"])
async def get_info(lease: NamedDependency[Snapshot]) -> Info:
    """Name and versions of the server, and the snapshot that it serves.

    Ask this first: metadata.as_of is the last day of sales, and metadata.snapshot_id pins further reads to what it is now.
    """
    return Info("demandgraph", "v1", SCHEMA_VERSION, version("demandgraph"), metadata(lease, "catalogue"))


@table("/system/snapshots", operation_id="list_snapshots", tags=["system"])
async def list_snapshots(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[SnapshotSaid]:
    """The kept snapshots, newest first. Pin any read to one with ?snapshot=.

    Those of 24 hours are kept, and at least five.
    """
    found = [SnapshotSaid(*_said(each)) for each in kept(lease.published, lease.id)]
    return page_of(found, page, page_size, metadata(lease, "catalogue"))


@get("/system/snapshots/{snapshot_id:str}", operation_id="get_snapshot", tags=["system"])
async def get_snapshot(lease: NamedDependency[Snapshot], snapshot_id: FromPath[str]) -> SnapshotAnswer:
    """One snapshot: rows of each table, parts, the checksum of each file, the run behind it and what asset checks had found."""
    for each in kept(lease.published, lease.id):
        if each.manifest.id == snapshot_id:
            parts = each.manifest.parts
            sums = {f"{part.key}/{path}": file.sha256 for part in parts.values() for path, file in part.files.items()}
            keys = {name: part.key for name, part in parts.items()}
            return SnapshotAnswer(
                *_said(each),
                first_day=each.manifest.first_day,
                parts=keys,
                checksums=sums,
                part_details=[_part(name, part) for name, part in sorted(parts.items())],
                checks=[_check(check) for check in each.manifest.checks],
                metadata=metadata(lease, "catalogue"),
            )
    raise NotFound(f"No snapshot is called '{snapshot_id}'; /api/v1/system/snapshots lists those that are kept.")


def _part(name: str, part: Part) -> SnapshotPart:
    size = sum(file.bytes for file in part.files.values())
    return SnapshotPart(name, part.key, part.tables, part.dataset_id, part.made_at.astimezone(UTC), size)


def _check(check: Check) -> CheckSaid:
    job_id = check.dagster_run_id.replace("-", "")
    return CheckSaid(check.asset, check.name, check.passed, check.severity, check.at.astimezone(UTC), job_id)


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
