"""What export jobs wrote, to be taken away."""

from pathlib import Path
from typing import Annotated

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import PathParameter
from litestar.response import File

from assets_config.contract.copies import CHECKSUMS, EXPORTS, MANIFEST, Export
from serving.layers.reads import outside
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound

ExportPath = Annotated[str, PathParameter(description="export_id of an export, the job that made it; see /exports.")]
FilePath = Annotated[str, PathParameter(description="A file of the export, as its manifest names it, or checksums.sha256.")]


@get("/exports", operation_id="list_exports", tags=["jobs"])
async def list_exports(state: State, page: Page = 1, page_size: PageSize = 20) -> Listed[Export]:
    """The exports that are kept, newest first. POST /jobs with job_type export makes one."""
    outside()
    folder = state.settings.data / EXPORTS
    found = [_read(path) for path in folder.glob(f"[0-9a-f]*/{MANIFEST}")] if folder.exists() else []
    return page_of(sorted(found, key=lambda each: (each.made_at, each.export_id), reverse=True), page, page_size, None)


@get("/exports/{export_id:str}", operation_id="get_export", tags=["jobs"])
async def get_export(state: State, export_id: ExportPath) -> Export:
    """One export: its tables with rows and checksums. /exports/{export_id}/{name} gives a file."""
    return _export(state, export_id)


@get("/exports/{export_id:str}/{name:str}", operation_id="get_export_file", tags=["jobs"], media_type="application/octet-stream")
async def get_export_file(state: State, export_id: ExportPath, name: FilePath) -> File:
    """One file of an export, byte for byte; checksums.sha256 is one too."""
    export = _export(state, export_id)
    if name not in {
        CHECKSUMS,
        MANIFEST,
        *(each.name for each in export.files),
    }:  # only names of the manifest: no path leads elsewhere
        raise NotFound(f"Export {export_id} has no file '{name[:100]}'; it has {', '.join(each.name for each in export.files)}.")
    return File(_folder(state) / export.export_id / name, filename=name, media_type="application/octet-stream")


def _export(state: State, export_id: str) -> Export:
    outside()
    path = _folder(state) / export_id / MANIFEST
    known = len(export_id) == 32 and all(letter in "0123456789abcdef" for letter in export_id)
    if not known or not path.exists():
        raise NotFound(f"No export has the id '{export_id[:100]}'; /api/v1/exports lists them.")
    return _read(path)


def _folder(state: State) -> Path:
    folder: Path = state.settings.data.absolute() / EXPORTS
    return folder


def _read(path: Path) -> Export:
    return msgspec.json.decode(path.read_bytes(), type=Export)
