"""Assets of workspaces."""

from typing import Any

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.stories import PhaseSummary
from assets_config.contract.workspaces import DeleteWorkspaceParams, DemoParams, ExportWorkspaceParams, UpdateWorkspaceParams
from pipelines.commands import commands
from pipelines.publish.parts import TABLE_KEYS
from pipelines.report import answer, job_of, now, table_made, upstream
from pipelines.resources import Storage

KEY = TABLE_KEYS["workspace"]
GROUP: dict[str, Any] = {"key_prefix": "publish", "group_name": "publish", "owners": ["team:data"]}


class WorkspaceConfig(Config):
    """What to do to the workspaces. Left empty: they stay as they are."""

    demo: str | None = Field(default=None, description="What this run was asked for, as JSON (contract.workspaces.DemoParams).")
    update_workspace: str | None = Field(default=None, description="What to change, as JSON (UpdateWorkspaceParams).")
    delete_workspace: str | None = Field(default=None, description="Workspace to forget, as JSON (DeleteWorkspaceParams).")
    export_workspace: str | None = Field(default=None, description="Workspace to write, as JSON (ExportWorkspaceParams).")


@asset(
    **GROUP,
    kinds={"polars", "file"},
    deps=upstream(*(key for key in TABLE_KEYS.values() if key != KEY), "kpis/cubes", "knowledge/index"),
)
def workspace(context: AssetExecutionContext, config: WorkspaceConfig, storage: Storage) -> MaterializeResult:
    """Demo runs that were kept, with what each made and came to: as they were, but for what the config asks for."""
    from pipelines.errors import PipelineError
    from pipelines.publish.workspaces.bundle import export_workspace
    from pipelines.publish.workspaces.state import add, change_workspaces
    from pipelines.publish.workspaces.summary import kept

    warehouse, by = storage.warehouse(), job_of(context)
    told: dict[str, Any] = {}
    to_change = commands(config, update_workspace=UpdateWorkspaceParams, delete_workspace=DeleteWorkspaceParams)
    change_workspaces(warehouse, to_change, at=now(), by=by)
    for asked in commands(config, demo=DemoParams):
        told = {"workspace_id": None}
        if asked.preservation == "keep":
            made = kept(warehouse, asked, phases_of(context), jobs=jobs_of(context), at=now())
            for each in msgspec.json.decode(made.warnings, type=list[str]):
                context.log.warning(each)
            try:
                add(warehouse, made)
                told = {"workspace_id": made.workspace_id}
            except PipelineError as error:  # the run is well: it is published without
                context.log.warning(f"the run is not kept: {error}")
    for asked in commands(config, export_workspace=ExportWorkspaceParams):
        number, digest = export_workspace(warehouse, asked.workspace_id, at=now(), by=by)
        told = {"workspace_id": asked.workspace_id, "export": number, "sha256": digest}
    return table_made(warehouse, KEY, **(answer(told) if told else {}))


def jobs_of(context: AssetExecutionContext) -> list[str]:
    """The job that this run is, and the one that it runs again, if it does."""
    parent = context.run.parent_run_id
    return [job_of(context), *([parent.replace("-", "")] if parent else [])]


def phases_of(context: AssetExecutionContext) -> list[PhaseSummary]:
    """The stages of this run so far, in the order in which they began, with the steps that ended well."""
    found: dict[str, list[float]] = {}
    steps = context.instance.get_run_step_stats(context.run.run_id)
    ended = (each for each in steps if each.status is not None and each.status.value == "SUCCESS")
    for step in sorted(ended, key=lambda each: each.start_time or 0.0):
        found.setdefault(_stage(step), []).append((step.end_time or 0.0) - (step.start_time or 0.0))
    return [PhaseSummary(stage, len(seconds), round(sum(seconds), 3)) for stage, seconds in found.items()]


def _stage(step: Any) -> str:
    """A step that makes several tables has a name of its own, and is told by what it made."""
    made = [event.asset_materialization for event in step.materialization_events]
    return made[0].asset_key.path[0] if made and made[0] else step.step_key.partition("__")[0]


ASSETS = [workspace]
