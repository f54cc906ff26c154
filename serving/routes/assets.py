"""Which assets does the pipeline make, when were they last made, and are they as they should be?"""

from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from assets_config.contract.names import STAGES
from serving.orchestrator.assets import AssetAnswer, Assets, AssetSaid, CheckResult, CheckStatus, Freshness
from serving.paging import Listed, Order, Page, PageSize, Search, matches, ordered, page_of

StagePath = Annotated[str, PathParameter(description="Stage of the asset, the first half of its key: core of core/sales_daily.")]
NamePath = Annotated[str, PathParameter(description="Name of the asset, the second half of its key: sales_daily.")]


@get("/assets", operation_id="list_assets", tags=["assets"])
async def list_assets(
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    stage: Annotated[str | None, QueryParameter(description=f"Only this stage: {', '.join(STAGES)}.")] = None,
    freshness: Annotated[Freshness | None, QueryParameter(description="Only assets that are so.")] = None,
    check_status: Annotated[CheckStatus | None, QueryParameter(description="Only assets whose checks found this.")] = None,
    search: Search = None,
    sort_by: Annotated[
        Literal["key", "last_materialized_at", "rows"], QueryParameter(description="Field to sort by; key: stage and name.")
    ] = "key",
    sort_order: Order = "asc",
) -> Listed[AssetSaid]:
    """Every table that the pipeline makes: when it was last made, by which job, how many rows it has, what its checks found.

    Asked of Dagster, since an asset that fails keeps a snapshot from being published: 503 where it does not answer.
    """
    assets: Assets = state.assets
    found = [
        each
        for each in await assets.all()
        if (stage is None or each.stage == stage)
        and (freshness is None or each.freshness == freshness)
        and (check_status is None or each.check_status == check_status)
        and matches(search, each.key, each.description or "")
    ]
    return page_of(ordered(found, sort_by, sort_order, tie="key"), page, page_size, None)


@get("/assets/{stage:str}/{name:str}", operation_id="get_asset", tags=["assets"])
async def get_asset(state: State, stage: StagePath, name: NamePath) -> AssetAnswer:
    """One asset: its columns with their meaning, its checks, what it is made of and what is made of it."""
    assets: Assets = state.assets
    return await assets.get(f"{stage}/{name}")


@get("/assets/{stage:str}/{name:str}/checks", operation_id="list_check_results", tags=["assets"])
async def list_check_results(
    state: State,
    stage: StagePath,
    name: NamePath,
    page: Page = 1,
    page_size: PageSize = 20,
    check: Annotated[str | None, QueryParameter(description="Only this check; /assets/{stage}/{name} names them.")] = None,
    status: Annotated[CheckStatus | None, QueryParameter(description="Only results like this.")] = None,
) -> Listed[CheckResult]:
    """What the checks of an asset found, newest first; the newest 100 results of each check."""
    assets: Assets = state.assets
    found = [
        each
        for each in await assets.results(f"{stage}/{name}")
        if (check is None or each.check == check) and (status is None or each.status == status)
    ]
    return page_of(found, page, page_size, None)
