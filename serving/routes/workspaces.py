"""Which demo runs were kept, what came of them, and what people say of them."""

from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, patch
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.stories import Compared, beside, compared
from assets_config.contract.workspaces import DeleteWorkspaceParams, UpdateWorkspaceParams, WorkspaceChange, changed
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Order, Page, PageSize, page_of
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot
from serving.workspaces import (
    WorkspaceAnswer,
    WorkspaceSaid,
    answer_of,
    config_of,
    listed,
    plain,
    result_of,
    workspace_of,
    workspaces_of,
)

WorkspacePath = Annotated[str, PathParameter(description="workspace_id of a workspace; see /demo/workspaces.")]
OF_ROWS = ("name", "status", "dataset_id", "store_id", "product_id")


class WorkspaceComparison(Struct, frozen=True):
    """Two workspaces side by side."""

    a: Annotated[str, Meta(description="The first workspace.")]
    b: Annotated[str, Meta(description="The second workspace.")]
    asked: Annotated[list[Compared], Meta(description="What they are, and what their runs were asked for.")]
    results: Annotated[list[Compared], Meta(description="What came of their runs.")]
    differing: Annotated[list[str], Meta(description="Names of all that is not alike.")]
    metadata: Metadata


@table("/demo/workspaces", operation_id="list_workspaces", tags=["workspaces"])
async def list_workspaces(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    q: Annotated[
        str | None, QueryParameter(min_length=2, max_length=100, description="Part of the name, the notes or a tag, any case.")
    ] = None,
    tags: Annotated[list[str] | None, QueryParameter(description="Only those with this tag; several: with all of them.")] = None,
    include_archived: Annotated[bool, QueryParameter(description="True: those that are done with too.")] = False,
    sort_by: Annotated[
        Literal["created_at", "name", "seed", "status"], QueryParameter(description="Field to sort by; pinned ones come first.")
    ] = "created_at",
    sort_order: Order = "desc",
) -> Listed[WorkspaceSaid]:
    """The demo runs that were kept: pinned ones first, then the newest. POST /demo/run with preservation=keep makes one."""
    found = listed(
        await workspaces_of(lease),
        q=q,
        tags=tags or (),
        include_archived=include_archived,
        sort_by=sort_by,
        sort_order=sort_order,
    )
    return page_of(found, page, page_size, metadata(lease, "state"))


@get("/demo/workspaces/compare", operation_id="compare_workspaces", tags=["workspaces"])
async def compare_workspaces(
    lease: NamedDependency[Snapshot],
    a: Annotated[str, QueryParameter(description="A workspace of /demo/workspaces.")],
    b: Annotated[str, QueryParameter(description="The one to hold against it.")],
) -> WorkspaceComparison:
    """Two workspaces side by side: what their runs were asked for, and what came of them. 404 where one is gone."""
    one, other = await workspace_of(lease, a), await workspace_of(lease, b)
    of_rows = [{name: getattr(each, name) for name in OF_ROWS} for each in (one, other)]
    asked = beside(of_rows[0] | plain(config_of(one)), of_rows[1] | plain(config_of(other)))
    results = compared(result_of(one), result_of(other))
    differing = [each.name for each in (*asked, *results) if not each.same]
    return WorkspaceComparison(a, b, asked, results, differing, metadata(lease, "state"))


@get("/demo/workspaces/{workspace_id:str}", operation_id="get_workspace", tags=["workspaces"])
async def get_workspace(lease: NamedDependency[Snapshot], workspace_id: WorkspacePath) -> WorkspaceAnswer:
    """One kept run: what it was asked for, made and came to, stage by stage. Its /health says what of that is still there."""
    return answer_of(lease, await workspace_of(lease, workspace_id))


@patch(
    "/demo/workspaces/{workspace_id:str}",
    operation_id="update_workspace",
    tags=["workspaces"],
    status_code=202,
    opt=OPERATOR,
    responses={200: ResponseSpec(WorkspaceAnswer, False, "There is nothing to change: the workspace as it is.")},
)
async def update_workspace(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    workspace_id: WorkspacePath,
    data: JSONBody[WorkspaceChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job | WorkspaceAnswer]:
    """Change name, notes, tags, archived or pinned of a workspace; what is left out stays, and null takes the notes away.

    200 and no job where nothing would change. What it tells of its run never changes.
    """
    given = {name: getattr(data, name) for name in WorkspaceChange.__struct_fields__}
    params = UpdateWorkspaceParams(**given, workspace_id=workspace_id)
    if not state.jobs.is_repeated("update_workspace", params, idempotency_key):
        workspace = await workspace_of(lease, workspace_id)
        if changed(workspace, data) == workspace:
            return Response(answer_of(lease, workspace), status_code=200)
    launched: Response[Any] = await start(request, state, "update_workspace", params, idempotency_key)
    return launched


@delete("/demo/workspaces/{workspace_id:str}", operation_id="delete_workspace", tags=["workspaces"], status_code=202, opt=OPERATOR)
async def delete_workspace(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    workspace_id: WorkspacePath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Forget a workspace. What its run made stays, and so do its bundles."""
    params = DeleteWorkspaceParams(workspace_id)
    if not state.jobs.is_repeated("delete_workspace", params, idempotency_key):
        await workspace_of(lease, workspace_id)
    return await start(request, state, "delete_workspace", params, idempotency_key)
