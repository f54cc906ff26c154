"""The workspaces, a row each: kept by a demo run, changed and deleted by jobs, and else left as they are."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import polars as pl
from msgspec import structs

from assets_config.contract.durable import locked
from assets_config.contract.workspaces import MOST, DeleteWorkspaceParams, UpdateWorkspaceParams, Workspace, changed
from pipelines.errors import PipelineError
from pipelines.shapes import empty, frame_of
from pipelines.warehouse import Warehouse

KEY = "publish/workspace"


@contextmanager
def changing(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of the workspaces; waits for another process that holds it."""
    with locked(warehouse.folder / "publish" / "workspaces.lock"):
        yield


def workspaces(warehouse: Warehouse) -> dict[str, Workspace]:
    """The workspaces by id, as they are."""
    frame = warehouse.read(KEY) if warehouse.path(KEY).exists() else empty(Workspace)
    return {row["workspace_id"]: Workspace(**row) for row in frame.iter_rows(named=True)}


def change_workspaces(
    warehouse: Warehouse, commands: Sequence[UpdateWorkspaceParams | DeleteWorkspaceParams], *, at: datetime, by: str
) -> None:
    """Carry out commands on the workspaces, all or none; without any they stay as they are, to the byte.

    Takes    at: now, in UTC without a zone; by: the job that is told as the one who changed it.
    Raises   PipelineError, naming the workspace that there is not.
    """
    with changing(warehouse):
        found = workspaces(warehouse)
        for command in commands:
            before = found.get(command.workspace_id)
            if before is None:
                raise PipelineError(f"no workspace has the id {command.workspace_id}: it was deleted, or never was")
            if isinstance(command, DeleteWorkspaceParams):
                del found[command.workspace_id]
                continue
            after = changed(before, command)
            found[command.workspace_id] = after if after == before else structs.replace(after, changed_at=at, changed_by=by)
        write(warehouse, found.values())


def add(warehouse: Warehouse, made: Workspace) -> None:
    """Keep one more, or one that the same job made before. Raises PipelineError, where too many are kept."""
    with changing(warehouse):
        found = workspaces(warehouse)
        if len(found) >= MOST and made.workspace_id not in found:
            raise PipelineError(f"{MOST} workspaces are kept: delete one first")
        write(warehouse, {**found, made.workspace_id: made}.values())


def write(warehouse: Warehouse, rows: Iterable[Workspace]) -> None:
    """Write the rows, unless they are there already: a file that stays the same keeps its part of the snapshot."""
    by_age: list[Workspace] = sorted(rows, key=lambda each: (each.created_at, each.workspace_id))
    warehouse.write_changed(KEY, frame_of(Workspace, by_age))


def known(warehouse: Warehouse, key: str, column: str) -> set[str]:
    """The values of a column of a table; none where it was never made."""
    if not warehouse.path(key).exists():
        return set()
    return set(pl.read_parquet(warehouse.path(key), columns=[column])[column])
