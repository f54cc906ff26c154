"""Do it again: a demo run that was kept, as a new one."""

from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from assets_config.contract.seeds import Overrides
from assets_config.contract.state import AliasName
from assets_config.contract.stories import Compared, beside
from assets_config.contract.workspaces import DemoParams, Scope, Workspace
from serving.asked import check_demo, held
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.reply import Metadata, metadata
from serving.routes.demo import refuse_a_second, refuse_one_too_many
from serving.routes.jobs import IdempotencyKey, start
from serving.routes.workspaces import WorkspacePath
from serving.snapshot import Snapshot
from serving.workspaces import config_of, plain, workspace_of

Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Types = Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(min_length=1, max_length=50)]


class ReplayRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do otherwise. Left out: as it is recorded."""

    workspace_name: Annotated[
        AliasName | UnsetType, Meta(description="What the new workspace is called; left out: that of the old one and -replay.")
    ] = UNSET
    seed: Annotated[Seed | UnsetType, Meta(description="Another seed.")] = UNSET
    seed_overrides: Annotated[Overrides | UnsetType | None, Meta(description="Other knobs; null: none.")] = UNSET
    user_scope: Annotated[Scope | UnsetType | None, Meta(description="Another series to look at; null: any.")] = UNSET
    train_model_types: Annotated[Types | UnsetType | None, Meta(description="Other types that may win; null: any.")] = UNSET


class ReplayPlan(Struct, frozen=True):
    """What a replay would do."""

    workspace_id: Annotated[str, Meta(description="The workspace that would be repeated; it stays as it is.")]
    params: Annotated[DemoParams, Meta(description="What the new run would be asked for.")]
    compared: Annotated[list[Compared], Meta(description="Member by member: a as it is recorded, b as it would be sent.")]
    differing: Annotated[list[str], Meta(description="Names of those that are not alike.")]
    same_data: Annotated[
        bool | None,
        Meta(description="Whether the data that are loaded are still those of the run; null: they would be generated again."),
    ]
    metadata: Metadata


@post(
    "/demo/workspaces/{workspace_id:str}/replay",
    operation_id="replay_workspace",
    tags=["workspaces"],
    status_code=202,
    opt=OPERATOR,
    responses={200: ResponseSpec(ReplayPlan, False, "What would be done, where dry_run is true.")},
)
async def replay_workspace(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    workspace_id: WorkspacePath,
    data: JSONBody[ReplayRequest],
    dry_run: Annotated[bool, QueryParameter(description="Only say what would be sent, beside what is recorded.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job | ReplayPlan]:
    """Make the run of a workspace again, as a new workspace whose result_summary says whether it came to the same.

    Ask with dry_run=true first. 409 while another job makes the whole graph.
    """
    workspace = await workspace_of(lease, workspace_id)
    params = _asked(workspace, data)
    check_demo(params)
    await held(state.library, params)
    if dry_run:
        return Response(_plan(lease, workspace, params), status_code=200)
    if not state.jobs.is_repeated("demo", params, idempotency_key):
        await refuse_one_too_many(state, params)
        await refuse_a_second(state.jobs)
    launched: Response[Any] = await start(request, state, "demo", params, idempotency_key)
    return launched


def _asked(workspace: Workspace, data: ReplayRequest) -> DemoParams:
    given = {name: value for name in ReplayRequest.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
    fixed = {"preservation": "keep", "replayed_from_workspace_id": workspace.workspace_id}
    return structs.replace(config_of(workspace), **{"workspace_name": f"{workspace.name[:93]}-replay", **given, **fixed})


def _plan(lease: Snapshot, workspace: Workspace, params: DemoParams) -> ReplayPlan:
    pairs = beside(plain(config_of(workspace)), plain(params))
    same_data = workspace.dataset_id == lease.manifest.dataset_id if params.skip_seed else None
    differing = [each.name for each in pairs if not each.same]
    return ReplayPlan(workspace.workspace_id, params, pairs, differing, same_data, metadata(lease, "state"))
