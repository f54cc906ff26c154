"""What a season plan makes of its forecast: buy, allocation, markdown, variance."""

from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta, Struct

from assets_config.contract.columns import StoreId
from assets_config.contract.season import Allocation, Markdown, SeasonStep, VarianceWeek
from serving.filters import store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_from, page_of
from serving.parameters import OfStore
from serving.plans import plan_of, said, told
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot

ForecastPath = Annotated[str, PathParameter(description="A season forecast, the id of its plan; see /workflows.")]
WeekPath = Annotated[str, PathParameter(description="Week of the season, from 1.")]


class AllocationSaid(Struct, frozen=True):
    """What a store gets at the start of a season."""

    store_id: StoreId
    code: Annotated[str, Meta(description="Code of the store.")]
    cluster: Annotated[str, Meta(description="Cluster of the store.")]
    need: Annotated[int, Meta(description="Demand of the store over the season. [units]")]
    least: Annotated[int, Meta(description="Least that the store gets. [units]")]
    most: Annotated[int | None, Meta(description="Most that the store gets; null: no bound. [units]")]
    units: Annotated[int, Meta(description="Units that it gets. [units]")]
    reason: Annotated[str, Meta(description="The arithmetic, in words.")]


class AllocationAnswer(Struct, frozen=True):
    """How a season's buy is split. What is null is not decided yet."""

    forecast_id: Annotated[str, Meta(description="The plan; read it at /workflows/{workflow_id}.")]
    total_season_demand: Annotated[int, Meta(description="Demand that it was bought for. [units]")]
    proposed_qty: Annotated[int, Meta(description="Units that were proposed to manufacture. [units]")]
    manufacturing_qty: Annotated[int | None, Meta(description="Units that are manufactured. [units]")]
    safety_stock_percentage: Annotated[float, Meta(description="Bought beyond demand, of it. [ratio]")]
    initial_allocation_total: Annotated[int | None, Meta(description="Units that go to stores at the start. [units]")]
    holdback_total: Annotated[int | None, Meta(description="Units that the distribution centre keeps. [units]")]
    unallocated: Annotated[int | None, Meta(description="Of those for stores, units that none could take. [units]")]
    constraint_relaxed: Annotated[bool, Meta(description="Whether the minima did not fit, so that each was cut.")]
    reason: Annotated[str, Meta(description="The arithmetic, in words.")]
    store_allocations: list[AllocationSaid]
    metadata: Metadata


class ReplenishmentSaid(Struct, frozen=True):
    """A week of a store."""

    week: Annotated[int, Meta(description="Week of the season, from 1.")]
    store_id: StoreId
    opening: Annotated[int, Meta(description="Units in the store before the shipment. [units]")]
    needed: Annotated[int, Meta(description="Units that it lacked until the next shipment. [units]")]
    shipped: Annotated[int, Meta(description="Units that it is sent. [units]")]
    sold: Annotated[int, Meta(description="Units sold of those there were; expected in weeks to come. [units]")]
    lost: Annotated[int, Meta(description="Units asked for and not there. [units]")]
    is_actual: Annotated[bool, Meta(description="Whether the week is over.")]


class MarkdownSaid(Struct, frozen=True):
    """A cut of the price, and what it would bring."""

    week_number: Annotated[int, Meta(description="Week at whose end prices are looked at.")]
    markdown_pct: Annotated[float, Meta(description="The cut, as a ratio of the price. [ratio]")]
    is_recommended: Annotated[bool, Meta(description="Whether it is the one that clears the stock.")]
    units: Annotated[float, Meta(description="Units that are sold until the end. [units]")]
    revenue: Annotated[float, Meta(description="What they bring. [money]")]
    margin: Annotated[float | None, Meta(description="That less their cost; null where it is not known. [money]")]


class MarkdownAnswer(Struct, frozen=True):
    """What to cut at the checkpoint. What is null is not known before it."""

    forecast_id: Annotated[str, Meta(description="The plan; read it at /workflows/{workflow_id}.")]
    week_number: Annotated[int | None, Meta(description="The checkpoint; null: the plan has no markdown.")]
    sell_through_pct: Annotated[float | None, Meta(description="Sold of what stores had received, as a ratio. [ratio]")]
    planned_sell_through_pct: Annotated[float | None, Meta(description="The same as it was planned, as a ratio. [ratio]")]
    recommended_markdown_pct: Annotated[float | None, Meta(description="The cut that clears the stock, as a ratio. [ratio]")]
    decided_markdown_pct: Annotated[float | None, Meta(description="The cut that was decided, as a ratio. [ratio]")]
    elasticity_coefficient: Annotated[float | None, Meta(description="Percent that demand moves with one of the price. [ratio]")]
    stock: Annotated[int | None, Meta(description="Units that are left. [units]")]
    reasoning: Annotated[str, Meta(description="The arithmetic, or what it waits for, in words.")]
    options: list[MarkdownSaid]
    metadata: Metadata


class VarianceSaid(Struct, frozen=True):
    """A week that is over: plan and sales up to its end."""

    week: Annotated[int, Meta(description="Week of the season, from 1.")]
    version: Annotated[int, Meta(description="Version of the plan that it is measured against.")]
    forecasted_cumulative: Annotated[int, Meta(description="Units planned up to its end. [units]")]
    actual_cumulative: Annotated[int, Meta(description="Units sold up to its end. [units]")]
    variance_pct: Annotated[float | None, Meta(description="(sold - planned) / planned, a ratio; null: nothing planned. [ratio]")]
    threshold_exceeded: Annotated[bool, Meta(description="Whether it is more than 0.2, up or down.")]
    action_taken: Annotated[str, Meta(description="What came of it.")]


class VarianceAnswer(VarianceSaid, frozen=True):
    """One week, and where it was read."""

    forecast_id: Annotated[str, Meta(description="The plan; read it at /workflows/{workflow_id}.")]
    metadata: Metadata


@table("/allocations/{forecast_id:str}", field="store_allocations", operation_id="get_allocation", tags=["planning"])
async def get_allocation(lease: NamedDependency[Snapshot], forecast_id: ForecastPath) -> AllocationAnswer:
    """How much a season manufactures, what is held back, and what each store gets, each with its arithmetic.

    POST /approvals/manufacturing decides it.
    """
    plan = await plan_of(lease, forecast_id)
    if plan.buy is None:
        raise _not_made(forecast_id, plan.steps)
    rows = await lease.rows("season", "allocation", "plan_id = ?", [forecast_id])
    stores = [said(AllocationSaid, Allocation(**row), code=lease.labels["store"].get(row["store_id"], "")) for row in rows]
    buy = plan.buy
    return AllocationAnswer(
        forecast_id=forecast_id,
        total_season_demand=buy.demand,
        proposed_qty=buy.proposed,
        manufacturing_qty=buy.manufactured,
        safety_stock_percentage=buy.safety_stock,
        initial_allocation_total=buy.initial,
        holdback_total=buy.holdback,
        unallocated=buy.unallocated,
        constraint_relaxed=buy.is_relaxed,
        reason=buy.reason,
        store_allocations=sorted(stores, key=lambda each: each.code),
        metadata=metadata(lease, "season"),
    )


@table("/allocations/{forecast_id:str}/replenishment", operation_id="list_replenishment", tags=["planning"])
async def list_replenishment(
    lease: NamedDependency[Snapshot],
    forecast_id: ForecastPath,
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
) -> Listed[ReplenishmentSaid]:
    """The season by week and store: shipments from the distribution centre, sales and what was lost; empty before the decision."""
    await plan_of(lease, forecast_id)
    wanted = {"plan_id = ?": forecast_id, "store_id = ?": store_of(lease, store_id) if store_id else None}

    def say(*, plan_id: str, **row: Any) -> ReplenishmentSaid:  # noqa: ARG001
        return ReplenishmentSaid(**row)

    return await page_from(lease, "replenishment", say, wanted, order="week, store_id", page=page, page_size=page_size)


@table("/markdowns/{forecast_id:str}", field="options", operation_id="get_markdown", tags=["planning"])
async def get_markdown(lease: NamedDependency[Snapshot], forecast_id: ForecastPath) -> MarkdownAnswer:
    """What to cut at the checkpoint of a season, and what it and other cuts would bring. POST /approvals/markdown decides it."""
    plan = await plan_of(lease, forecast_id)
    rows = [Markdown(**row) for row in await lease.rows("season", "markdown", "plan_id = ? ORDER BY cut", [forecast_id])]
    best = next((each for each in rows if each.is_recommended), None)
    decided = next((each for each in plan.approvals if each.kind == "markdown"), None)
    waits = next((each.detail for each in plan.steps if each.step_name == "markdown"), "the season is not planned yet")

    def of(name: str) -> Any:
        return None if best is None else told(getattr(best, name))

    return MarkdownAnswer(
        forecast_id=forecast_id,
        week_number=plan.plan.markdown_week,
        sell_through_pct=of("sell_through"),
        planned_sell_through_pct=of("planned_sell_through"),
        recommended_markdown_pct=of("cut"),
        decided_markdown_pct=None if decided is None else told(decided.value),
        elasticity_coefficient=of("elasticity"),
        stock=of("stock"),
        reasoning=of("reason") or waits,
        options=[said(MarkdownSaid, each, week_number=each.week, markdown_pct=told(each.cut)) for each in rows],
        metadata=metadata(lease, "season"),
    )


@table("/variance/{forecast_id:str}", operation_id="list_variance", tags=["planning"])
async def list_variance(
    lease: NamedDependency[Snapshot], forecast_id: ForecastPath, page: Page = 1, page_size: PageSize = 20
) -> Listed[VarianceSaid]:
    """Plan and sales of each week that was reported, the first first. POST /ingest/weekly-sales brings a week in."""
    plan = await plan_of(lease, forecast_id)
    return page_of([_variance(each) for each in plan.variances], page, page_size, metadata(lease, "season"))


@get("/variance/{forecast_id:str}/week/{week:str}", operation_id="get_variance", tags=["planning"])
async def get_variance(lease: NamedDependency[Snapshot], forecast_id: ForecastPath, week: WeekPath) -> VarianceAnswer:
    """Plan and sales up to the end of one week. 404 for a week whose sales were not reported."""
    for each in (await plan_of(lease, forecast_id)).variances:
        if str(each.week) == week:
            found: VarianceAnswer = _variance(each, VarianceAnswer, forecast_id=forecast_id, metadata=metadata(lease, "season"))
            return found
    raise NotFound(
        f"Plan {forecast_id} has no sales of a week {week[:20]} yet; /api/v1/variance/{forecast_id} lists the weeks it has."
    )


def _variance(row: VarianceWeek, shape: type[Any] = VarianceSaid, **more: Any) -> Any:
    return said(shape, row, variance_pct=told(row.variance), threshold_exceeded=row.is_exceeded, **more)


def _not_made(forecast_id: str, steps: list[SeasonStep]) -> NotFound:
    why = next((each.detail for each in steps if each.status == "fail"), "it is not forecast yet")
    return NotFound(f"Plan {forecast_id} has nothing to allocate: {why}.")
