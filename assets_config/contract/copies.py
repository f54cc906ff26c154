"""What a job takes out of the published snapshot, or goes back to: exports, backups, an earlier snapshot."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

EXPORTS, BACKUPS = "exports", "backups"
"""Folders of the data root: one folder a job in each."""
WORKSPACES = "workspaces"
"""The folder of exports that holds bundles of workspaces."""
MANIFEST, CHECKSUMS, ARCHIVE = "manifest.json", "checksums.sha256", "bundle.zip"
FORMAT_VERSION = "1"


class RollbackParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Serve a kept snapshot again. The next publish makes a new one on top, as always."""

    snapshot_id: Annotated[str, Meta(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{8}(?!\n)$", description="A snapshot of /system/snapshots.")]


class ExportParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Write published tables as files, with a manifest and checksums; the newest 20 exports are kept."""

    tables: Annotated[
        list[Annotated[str, Meta(max_length=60)]],
        Meta(min_length=1, max_length=60, description="Published tables, such as forecast or dim_store."),
    ]
    format: Annotated[Literal["csv", "parquet"], Meta(description="Format of the files.")] = "parquet"


class BackupParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Copy the snapshot that is served, what people decided and the frozen forecasts into `backups/` of the data root."""

    keep: Annotated[int, Meta(ge=1, le=100, description="Newest backups that stay, this one among them.")] = 5


class CopiedFile(Struct, frozen=True):
    """One file of an export."""

    name: Annotated[str, Meta(description="Read it at /exports/{job_id}/{name}.")]
    rows: Annotated[int, Meta(description="Rows of the table. [rows]")]
    bytes: Annotated[int, Meta(description="Size of the file. [bytes]")]
    sha256: Annotated[str, Meta(description="SHA-256 of its bytes.")]


class Export(Struct, frozen=True):
    """One export: its manifest, and what its job answers with."""

    export_id: Annotated[str, Meta(description="The job that made it.")]
    format_version: Annotated[str, Meta(description="Of this manifest.")]
    snapshot_id: Annotated[str, Meta(description="The snapshot that it was taken from.")]
    format: Annotated[str, Meta(description="csv or parquet.")]
    made_at: Annotated[datetime, Meta(description="When it was made, UTC.")]
    files: Annotated[list[CopiedFile], Meta(description="Its tables, one file each; checksums.sha256 lists them too.")]


class BackupResult(Struct, frozen=True):
    """What a backup job copied."""

    backup: Annotated[str, Meta(description="Folder of the backup, below backups/ of the data root.")]
    snapshot_id: Annotated[str, Meta(description="The snapshot that it holds.")]
    files: Annotated[int, Meta(description="Number of files.")]
    bytes: Annotated[int, Meta(description="Their size. [bytes]")]
