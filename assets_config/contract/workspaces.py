"""Workspaces: demo runs that were kept, with what each was asked for, what it made, and how it compares with one that it repeats.

The published table, the parameters of the jobs that make and change it, and the rules of what is refused.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from assets_config.contract.columns import column
from assets_config.contract.materialize import Published
from assets_config.contract.seeds import Overrides, SeedParams
from assets_config.contract.state import MOST_TAGS, NOT_NUL, AliasName, Named, Tag
from assets_config.contract.stories import CreatedObjects, Story

MOST = 500  # workspaces that are kept
CONFIG_VERSION = 1
"""Of what a workspace says of its run; rises when an older server could not read it."""
Preservation = Literal["ephemeral", "keep"]
WorkspaceStatus = Literal["completed", "partial"]
ReferenceKind = Literal["job", "model_run", "scenario", "plan", "workspace", "snapshot"]
WorkspaceId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="A workspace of /demo/workspaces.")]
Notes = Annotated[str, Meta(max_length=2000, pattern=NOT_NUL)]


class Scope(Struct, frozen=True, forbid_unknown_fields=True):
    """The one series that a workspace looks at closely."""

    store_id: Annotated[Named, Meta(description="Store: code or id.")]
    product_id: Annotated[Named, Meta(description="Product: SKU or id.")]


class DemoParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make all of the graph and publish it, and keep what came of it where that is asked for."""

    skip_seed: Annotated[bool, Meta(description="False: generate the scenario first, in place of what is loaded.")] = True
    scenario: Annotated[str, Meta(description="One of /seeder/scenarios; counts where data are generated.")] = "demo_minimal"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Other seeds give other random numbers.")] = 42
    seed_overrides: Annotated[Overrides | None, Meta(description="Knobs that are applied last; with skip_seed=false only.")] = None
    preservation: Annotated[Preservation, Meta(description="keep: a workspace is left, see /demo/workspaces.")] = "ephemeral"
    workspace_name: Annotated[
        AliasName | None, Meta(description="What the workspace is called; with keep only. Null: by scenario and job.")
    ] = None
    replayed_from_workspace_id: Annotated[
        WorkspaceId | None, Meta(description="Workspace that is repeated, which may be gone; with keep only.")
    ] = None
    user_scope: Annotated[
        Scope | None, Meta(description="Series to look at closely. Null, or one that there is not: that which sells most.")
    ] = None
    train_model_types: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(min_length=1, max_length=50)] | None,
        Meta(description="Model types of which the winner is one; all enabled types are trained. Null: any of these."),
    ] = None


class DemoResult(Published, frozen=True, kw_only=True):
    """What a demo run made."""

    workspace_id: Annotated[str | None, Meta(description="The workspace that was kept; null unless that was asked for.")] = None


class WorkspaceChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a workspace. What is not given stays."""

    name: Annotated[AliasName | UnsetType, Meta(description="Another name.")] = UNSET
    notes: Annotated[Notes | UnsetType | None, Meta(description="They replace earlier ones; null: none.")] = UNSET
    tags: Annotated[
        Annotated[list[Tag], Meta(max_length=MOST_TAGS)] | UnsetType, Meta(description="They replace earlier ones; empty: none.")
    ] = UNSET
    archived: Annotated[bool | UnsetType, Meta(description="True: done with, and listed only where that is asked for.")] = UNSET
    pinned: Annotated[bool | UnsetType, Meta(description="True: listed before others.")] = UNSET


class UpdateWorkspaceParams(WorkspaceChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change what is said of a workspace. What it tells of its run never changes."""

    workspace_id: WorkspaceId


class DeleteWorkspaceParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Forget a workspace; what its run made, and its exports, stay."""

    workspace_id: WorkspaceId


class ExportWorkspaceParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Write a workspace and its scenarios as a bundle of files; of a workspace the newest 20 bundles are kept."""

    workspace_id: WorkspaceId


class Workspace(Struct, frozen=True):
    """A demo run that was kept."""

    workspace_id: Annotated[str, column("The job that was the run; read it at /demo/workspaces/{workspace_id}.")]
    name: Annotated[str, column("What people call it.")]
    status: Annotated[WorkspaceStatus, column("partial: some of what a run makes could not be found; see warnings.")]
    scenario: Annotated[str | None, column("Scenario that was generated; null: over the data that were loaded.")]
    seed: Annotated[int | None, column("Seed that it was generated with; null where none was.")]
    archived: Annotated[bool, column("Whether it is done with.")]
    pinned: Annotated[bool, column("Whether it is listed before others.")]
    tags: Annotated[str, column("Words to find it by, as a JSON list.")]
    notes: Annotated[str | None, column("Free text; null where there is none.")]
    replayed_from: Annotated[str | None, column("Workspace that it repeats, which may be gone; null where it repeats none.")]
    asked: Annotated[str, column("What the run was asked for, as JSON.")]
    config_schema_version: Annotated[int, column("Version of what is told of the run.")]
    dataset_id: Annotated[str, column("Hash of the core tables that the run was over.")]
    store_id: Annotated[int | None, column("Store of the series that it looks at; null where nothing was sold.")]
    product_id: Annotated[int | None, column("Product of that series; null where nothing was sold.")]
    first_day: Annotated[date | None, column("First day of sales; null where nothing was sold.")]
    last_day: Annotated[date | None, column("Last day of sales; null where nothing was sold.")]
    created_objects: Annotated[str, column("Ids of what the run made, as JSON.")]
    story: Annotated[str, column("What happened in the run, as JSON.")]
    result_summary: Annotated[str, column("What came of the run, as JSON.")]
    warnings: Annotated[str, column("What was not as it was asked for, or could not be found, as a JSON list of sentences.")]
    exports: Annotated[int, column("Number of its newest bundle; 0 where there is none.")]
    created_at: Annotated[datetime, column("When it was kept, UTC.")]
    changed_at: Annotated[datetime, column("When it was last changed, UTC.")]
    changed_by: Annotated[str, column("Job that changed it; read it at /jobs/{job_id}.")]


class Reference(Struct, frozen=True):
    """Something that a workspace names, and that may be gone."""

    key: Annotated[str, Meta(description="Member of the workspace that names it.")]
    kind: Annotated[ReferenceKind, Meta(description="What it is.")]
    id: Annotated[str, Meta(description="Its id.")]


class BundleFile(Struct, frozen=True):
    """One file of a bundle."""

    name: Annotated[str, Meta(description="Its path in the archive.")]
    bytes: Annotated[int, Meta(description="Its size. [bytes]")]
    sha256: Annotated[str, Meta(description="SHA-256 of its bytes.")]


class Bundle(Struct, frozen=True):
    """The manifest of a bundle: the same workspace, scenarios and objects give the same bytes."""

    bundle_format_version: Annotated[int, Meta(description="Of this manifest: 1.")]
    workspace: Annotated[dict[str, Any], Meta(description="The workspace, with its JSON members decoded.")]
    unresolved_references: Annotated[list[Reference], Meta(description="What it names and was gone when this was written.")]
    files: Annotated[list[BundleFile], Meta(description="scenario_plans/{scenario_id}.json, one a scenario.")]


class BundleResult(Struct, frozen=True):
    """What an export of a workspace answers with."""

    snapshot_id: Annotated[str | None, Meta(description="The snapshot that tells of it.")]
    workspace_id: Annotated[str, Meta(description="The workspace.")]
    export: Annotated[int, Meta(description="Read it at /demo/workspaces/{workspace_id}/exports/{number}.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the archive.")]


def seed_of(asked: DemoParams) -> SeedParams:
    """What the generator is asked for, where it is."""
    return SeedParams(scenario=asked.scenario, seed=asked.seed, overrides=asked.seed_overrides or Overrides())


def wrong_of(asked: DemoParams) -> tuple[str, str] | None:
    """The member of a demo run that contradicts another one, and why, as the end of a sentence; None where none does."""
    knobs = asked.seed_overrides or Overrides()
    if asked.skip_seed and knobs != Overrides():
        return "seed_overrides", "counts only where data are generated: send skip_seed=false"
    if asked.scenario == "holiday_rush" and knobs.window_days is not None:
        return "seed_overrides.window_days", "is not for holiday_rush, whose days are what it is about"
    for name in ("workspace_name", "replayed_from_workspace_id"):
        if asked.preservation != "keep" and getattr(asked, name) is not None:
            return name, "counts only where the run is kept: send preservation=keep"
    return None


def changed(workspace: Workspace, change: WorkspaceChange) -> Workspace:
    """A workspace as a change would have it; changed_at and changed_by stay as they were."""
    given = {name: value for name in WorkspaceChange.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if "tags" in given:
        given["tags"] = msgspec.json.encode(list(dict.fromkeys(given["tags"]))).decode()
    if "notes" in given:
        given["notes"] = given["notes"] or None
    return replace(workspace, **given)


def tags_of(name: str, workspace_id: str) -> set[str]:
    """The tags with which a saved scenario belongs to a workspace; a name that is too long for a tag has none."""
    return {f"workspace:{name}", f"workspace:{workspace_id}"}


def references(workspace: Workspace) -> Iterator[Reference]:
    """What a workspace names, but for the snapshot, which it was published with and so cannot name."""
    made = msgspec.json.decode(workspace.created_objects, type=CreatedObjects)
    for job in msgspec.json.decode(workspace.story, type=Story).job_ids:
        yield Reference("job_ids", "job", job)
    for run in made.model_run_ids:
        yield Reference("model_run_ids", "model_run", run)
    if made.winning_run_id is not None:
        yield Reference("winning_run_id", "model_run", made.winning_run_id)
    for scenario in made.scenario_ids:
        yield Reference("scenario_ids", "scenario", scenario)
    for plan in made.plan_ids:
        yield Reference("plan_ids", "plan", plan)
    if workspace.replayed_from is not None:
        yield Reference("replayed_from", "workspace", workspace.replayed_from)
