"""What a workspace names: is it still there?"""

from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from assets_config.contract.workspaces import Reference, ReferenceKind, Workspace, references
from serving.library import expired_runs
from serving.orchestrator.jobs import Jobs
from serving.problems import NotFound, OrchestratorUnavailable, TimedOut
from serving.reply import Metadata, metadata
from serving.routes.workspaces import WorkspacePath
from serving.snapshot import Snapshot
from serving.workspaces import config_of, snapshot_of, workspace_of

ReferenceState = Literal["alive", "dead", "unknown"]
PLACES: dict[ReferenceKind, tuple[tuple[str, str, str], ...]] = {
    "model_run": (("registry", "model_run", "run_id"), ("trials", "trial_run", "run_id")),
    "scenario": (("state", "scenario", "scenario_id"),),
    "plan": (("state", "season_plan", "plan_id"),),
    "workspace": (("state", "workspace", "workspace_id"),),
}
"""Part, table and column that has what is referred to; where the snapshot came without the first, it cannot be told."""


class ReferenceSaid(Struct, frozen=True):
    """Something that a workspace names."""

    key: Annotated[str, Meta(description="Member of the workspace that names it.")]
    kind: Annotated[ReferenceKind, Meta(description="What it is.")]
    id: Annotated[str | None, Meta(description="Its id; null of a snapshot that is kept no more.")]
    state: Annotated[ReferenceState, Meta(description="alive, dead, or unknown: nobody could be asked.")]


class WorkspaceHealth(Struct, frozen=True):
    """What a workspace names, and what of it is still there."""

    workspace_id: Annotated[str, Meta(description="The workspace.")]
    partial_run: Annotated[bool, Meta(description="Whether some of what a run makes could not be found when it was kept.")]
    counts: Annotated[dict[ReferenceState, int], Meta(description="References by how they are.")]
    references: Annotated[list[ReferenceSaid], Meta(description="What it names, one by one.")]
    skipped: Annotated[list[str], Meta(description="Members of run_config that were asked for and name nothing to look for.")]
    metadata: Metadata


@get("/demo/workspaces/{workspace_id:str}/health", operation_id="get_workspace_health", tags=["workspaces"])
async def get_workspace_health(state: State, lease: NamedDependency[Snapshot], workspace_id: WorkspacePath) -> WorkspaceHealth:
    """What of all that a workspace names is still there: jobs, model runs, scenarios, plans, its snapshot. Looked at now."""
    workspace = await workspace_of(lease, workspace_id)
    there = {kind: await _ids(lease, kind) for kind in PLACES}
    found = [_snapshot(lease, workspace)]
    for each in references(workspace):
        known = there.get(each.kind)
        if each.kind == "job":
            how = await _job(state.jobs, each)
        else:
            how = "unknown" if known is None else "alive" if each.id in known else "dead"
        found.append(ReferenceSaid(each.key, each.kind, each.id, how))
    counts: dict[ReferenceState, int] = {"alive": 0, "dead": 0, "unknown": 0}
    for told in found:
        counts[told.state] += 1
    asked = config_of(workspace)
    skipped = [name for name in ("seed_overrides", "user_scope", "train_model_types") if getattr(asked, name) is not None]
    return WorkspaceHealth(workspace_id, workspace.status == "partial", counts, found, skipped, metadata(lease, "state"))


def _snapshot(lease: Snapshot, workspace: Workspace) -> ReferenceSaid:
    snapshot = snapshot_of(lease, workspace)
    expired = {(run or "").replace("-", "") for run in expired_runs(lease.published)}
    how: ReferenceState = "alive" if snapshot else "dead" if workspace.workspace_id in expired else "unknown"
    return ReferenceSaid("snapshot_id", "snapshot", snapshot, how)


async def _ids(lease: Snapshot, kind: ReferenceKind) -> set[str] | None:
    """The ids of all that there is of a kind; None where the snapshot came without it."""
    if not lease.has(*PLACES[kind][0][:2]):
        return None
    return {row[column] for part, name, column in PLACES[kind] for row in await lease.rows(part, name)}


async def _job(jobs: Jobs, reference: Reference) -> ReferenceState:
    try:
        await jobs.get(reference.id)
    except NotFound:
        return "dead"
    except (OrchestratorUnavailable, TimedOut):
        return "unknown"
    return "alive"
