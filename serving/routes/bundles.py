"""Workspaces as files: have one written, and take it away."""

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import PathParameter
from litestar.response import File

from assets_config.contract.copies import ARCHIVE, EXPORTS, MANIFEST, WORKSPACES
from assets_config.contract.workspaces import Bundle, ExportWorkspaceParams
from serving.layers.reads import outside
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.problems import NotFound
from serving.routes.jobs import IdempotencyKey, start
from serving.routes.workspaces import WorkspacePath
from serving.snapshot import Snapshot
from serving.workspaces import workspace_of

NumberPath = Annotated[str, PathParameter(description="Number of a bundle; `exports` of a workspace is that of its newest.")]
IN_FOLDER = re.compile(r"[0-9a-f]{32}/[1-9][0-9]{0,8}")


@post(
    "/demo/workspaces/{workspace_id:str}/exports",
    operation_id="create_workspace_export",
    tags=["workspaces"],
    status_code=202,
    opt=OPERATOR,
)
async def create_workspace_export(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    workspace_id: WorkspacePath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Write a workspace and its scenarios as a bundle; the result of the job has its number. The same content is no new bundle."""
    params = ExportWorkspaceParams(workspace_id)
    if not state.jobs.is_repeated("export_workspace", params, idempotency_key):
        await workspace_of(lease, workspace_id)
    return await start(request, state, "export_workspace", params, idempotency_key)


@get("/demo/workspaces/{workspace_id:str}/exports/{number:str}", operation_id="get_workspace_export", tags=["workspaces"])
async def get_workspace_export(state: State, workspace_id: WorkspacePath, number: NumberPath) -> Bundle:
    """The manifest of a bundle: the workspace as it was, its scenarios' files, and what it names and was gone. /archive has all."""
    folder = _folder(state, workspace_id, number)
    try:
        return msgspec.json.decode(await asyncio.to_thread((folder / MANIFEST).read_bytes), type=Bundle)
    except FileNotFoundError:  # it made room for a newer one just now
        raise _unknown(workspace_id, number) from None


@get(
    "/demo/workspaces/{workspace_id:str}/exports/{number:str}/archive",
    operation_id="get_workspace_archive",
    tags=["workspaces"],
    media_type="application/zip",
)
async def get_workspace_archive(state: State, workspace_id: WorkspacePath, number: NumberPath) -> File:
    """A bundle as one file: manifest.json, scenario_plans/{scenario_id}.json and checksums.sha256."""
    folder = _folder(state, workspace_id, number)
    return File(folder / ARCHIVE, filename=f"{workspace_id}-{number}.zip", media_type="application/zip")


def _folder(state: State, workspace_id: str, number: str) -> Path:
    """Where a bundle lies, which outlives its workspace. Raises NotFound; no other path is ever made of what was asked for."""
    outside()
    within: Path = state.settings.data.absolute() / EXPORTS / WORKSPACES
    if not IN_FOLDER.fullmatch(f"{workspace_id}/{number}") or not (within / workspace_id / number / MANIFEST).exists():
        raise _unknown(workspace_id, number)
    return within / workspace_id / number


def _unknown(workspace_id: str, number: str) -> NotFound:
    return NotFound(
        f"There is no bundle '{number[:20]}' of workspace '{workspace_id[:60]}': "
        "POST /api/v1/demo/workspaces/{workspace_id}/exports makes one, and the newest 20 are kept."
    )
