"""Workspaces as they are published: decoded, found, and put in the order in which they are told."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from assets_config.contract.seeds import Overrides
from assets_config.contract.stories import ApprovalEvent, CreatedObjects, PhaseSummary, RagEvent, ResultSummary, Story
from assets_config.contract.workspaces import DemoParams, Scope, Workspace, WorkspaceStatus
from serving.library import kept
from serving.paging import matches, ordered
from serving.plans import said
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot


class WorkspaceSaid(Struct, frozen=True):
    """A demo run that was kept."""

    workspace_id: Annotated[str, Meta(description="Read it at /demo/workspaces/{workspace_id}; the job that was the run.")]
    name: Annotated[str, Meta(description="What people call it.")]
    status: Annotated[WorkspaceStatus, Meta(description="partial: some of what a run makes could not be found; see warnings.")]
    scenario: Annotated[str | None, Meta(description="Scenario that was generated; null: over the data that were loaded.")]
    seed: Annotated[int | None, Meta(description="Seed that it was generated with; null where none was.")]
    pinned: Annotated[bool, Meta(description="Whether it is listed before others.")]
    archived: Annotated[bool, Meta(description="Whether it is done with.")]
    tags: Annotated[list[str], Meta(description="Words to find it by.")]
    notes: Annotated[str | None, Meta(description="Free text.")]
    replayed_from: Annotated[str | None, Meta(description="Workspace that it repeats, which may be gone.")]
    seed_overrides: Annotated[Overrides | None, Meta(description="Knobs of the generator that were turned; null: none.")]
    user_scope: Annotated[Scope | None, Meta(description="Series that was to be looked at; null: any.")]
    run_config: Annotated[DemoParams, Meta(description="All that the run was asked for; POST /demo/run takes it again.")]
    exports: Annotated[int, Meta(description="Number of its newest bundle, of /exports/{number}; 0 where there is none.")]
    created_at: Annotated[datetime, Meta(description="When it was kept, UTC.")]
    changed_at: Annotated[datetime, Meta(description="When it was last changed, UTC.")]
    changed_by: Annotated[str, Meta(description="Job that changed it; read it at /jobs/{job_id}.")]


class WorkspaceAnswer(WorkspaceSaid, frozen=True):
    """A demo run that was kept, with what it made and came to."""

    config_schema_version: Annotated[int, Meta(description="Version of what is told of the run.")]
    dataset_id: Annotated[str, Meta(description="Hash of the core tables that the run was over; equal ids are equal data.")]
    snapshot_id: Annotated[str | None, Meta(description="Snapshot that it was published with; null where that is kept no more.")]
    store_id: Annotated[int | None, Meta(description="Store of the series that it looks at; null where nothing was sold.")]
    product_id: Annotated[int | None, Meta(description="Product of that series; null where nothing was sold.")]
    first_day: Annotated[date | None, Meta(description="First day of sales; null where nothing was sold.")]
    last_day: Annotated[date | None, Meta(description="Last day of sales; null where nothing was sold.")]
    created_objects: Annotated[CreatedObjects, Meta(description="Ids of what the run made.")]
    result_summary: Annotated[ResultSummary, Meta(description="What came of the run.")]
    job_ids: Annotated[list[str], Meta(description="The job, and the one that it runs again; see /jobs.")]
    phase_summaries: Annotated[list[PhaseSummary], Meta(description="Its stages in order, up to the publish.")]
    approval_events: Annotated[list[ApprovalEvent], Meta(description="Approvals as they stood then, newest first; at most 100.")]
    rag_events: Annotated[list[RagEvent], Meta(description="What was found of the knowledge base.")]
    warnings: Annotated[list[str], Meta(description="What was not as it was asked for, or could not be found.")]
    metadata: Metadata


async def workspaces_of(lease: Snapshot) -> list[Workspace]:
    """The published workspaces, oldest first."""
    return [Workspace(**row) for row in await lease.rows("state", "workspace", "true ORDER BY created_at, workspace_id")]


async def workspace_of(lease: Snapshot, workspace_id: str) -> Workspace:
    """A workspace. Raises NotFound."""
    for row in await lease.rows("state", "workspace", "workspace_id = ?", [workspace_id]):
        return Workspace(**row)
    raise NotFound(f"No workspace has the id '{workspace_id[:60]}'; /api/v1/demo/workspaces lists them.")


def config_of(workspace: Workspace) -> DemoParams:
    """What its run was asked for."""
    return msgspec.json.decode(workspace.asked, type=DemoParams)


def result_of(workspace: Workspace) -> ResultSummary:
    """What came of its run."""
    return msgspec.json.decode(workspace.result_summary, type=ResultSummary)


def listed(
    found: Sequence[Workspace], *, q: str | None, tags: Sequence[str], include_archived: bool, sort_by: str, sort_order: str
) -> list[WorkspaceSaid]:
    """Those that fit, sorted, and of these the pinned ones first."""
    told = [_said(each) for each in found if include_archived or not each.archived]
    fit = [each for each in told if set(tags) <= set(each.tags) and matches(q, each.name, each.notes or "", *each.tags)]
    return sorted(ordered(fit, sort_by, sort_order, tie="workspace_id"), key=lambda each: not each.pinned)


def answer_of(lease: Snapshot, workspace: Workspace) -> WorkspaceAnswer:
    """A workspace with all that is known of it; its snapshot is looked for among those that are kept."""
    story, given = msgspec.json.decode(workspace.story, type=Story), structs.asdict(_said(workspace))
    found: WorkspaceAnswer = said(
        WorkspaceAnswer,
        workspace,
        **given,
        **{name: getattr(story, name) for name in Story.__struct_fields__},
        snapshot_id=snapshot_of(lease, workspace),
        created_objects=msgspec.json.decode(workspace.created_objects, type=CreatedObjects),
        result_summary=result_of(workspace),
        warnings=msgspec.json.decode(workspace.warnings, type=list[str]),
        metadata=metadata(lease, "state"),
    )
    return found


def snapshot_of(lease: Snapshot, workspace: Workspace) -> str | None:
    """The snapshot that the run of a workspace published; None where it is kept no more."""
    for each in kept(lease.published, lease.id):
        if (each.manifest.dagster_run_id or "").replace("-", "") == workspace.workspace_id:
            return each.manifest.id
    return None


def plain(asked: DemoParams) -> dict[str, Any]:
    """The members of what a run was asked for, those that are more than a word as JSON."""
    given = {name: getattr(asked, name) for name in DemoParams.__struct_fields__}
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, (Struct, list)) else value for name, value in given.items()
    }


def _said(workspace: Workspace) -> WorkspaceSaid:
    asked = config_of(workspace)
    found: WorkspaceSaid = said(
        WorkspaceSaid,
        workspace,
        tags=msgspec.json.decode(workspace.tags, type=list[str]),
        seed_overrides=asked.seed_overrides,
        user_scope=asked.user_scope,
        run_config=asked,
    )
    return found
