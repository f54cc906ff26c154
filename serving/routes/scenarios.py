"""What if: other prices, promotions, holidays, stock; worked out at once, or saved by a job, and compared."""

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.outlook import Outlook
from assets_config.contract.scenarios import (
    MOST,
    Assumptions,
    DeleteScenarioParams,
    Method,
    Question,
    RankBy,
    Scenario,
    ScenarioDay,
    ScenarioId,
    ScenarioParams,
)
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_of
from serving.plans import said, told
from serving.problems import Conflict, NotFound, invalid
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.routes.registry import run_of
from serving.snapshot import Snapshot
from serving.whatif import Asked, asked_of, hash_of, heuristic

READER = {"role": "reader"}
ScenarioPath = Annotated[str, PathParameter(description="scenario_id of a saved scenario; see /scenarios.")]
WithTag = Annotated[list[str] | None, QueryParameter(description="Only scenarios with this tag; several: with all of them.")]


class DaySaid(Struct, frozen=True):
    """One day of a scenario."""

    date: Annotated[date, Meta(description="The day.")]
    baseline: Annotated[float, Meta(description="Demand by the forecast as it is. [units/day]")]
    demand: Annotated[float, Meta(description="Demand that there would be. [units/day]")]
    sold: Annotated[float, Meta(description="Units that would be sold of the stock there is. [units/day]")]
    price: Annotated[float | None, Meta(description="Price of the day; null where none is known. [money/unit]")]


class Sums(Struct, frozen=True):
    """What a scenario comes to. Money is null where no price is known."""

    baseline_units: Annotated[float, Meta(description="Units of the forecast as it is. [units]")]
    units: Annotated[float, Meta(description="Units that would be sold. [units]")]
    lost: Annotated[float, Meta(description="Units that would be asked for without stock. [units]")]
    baseline_revenue: Annotated[float | None, Meta(description="Revenue of the forecast as it is. [money]")]
    revenue: Annotated[float | None, Meta(description="Revenue that there would be. [money]")]
    change_units: Annotated[float, Meta(description="Units more than the forecast as it is. [units]")]
    change_revenue: Annotated[float | None, Meta(description="Revenue more than that of the forecast as it is. [money]")]


class Simulation(Struct, frozen=True):
    """A scenario that was worked out at once and is kept nowhere."""

    product_id: Annotated[int, Meta(description="The product.")]
    store_id: Annotated[int | None, Meta(description="The store; null: all together.")]
    method: Method
    elasticity: Annotated[float, Meta(description="Percent that demand is taken to move with one of the price. [ratio]")]
    result_hash: Annotated[str, Meta(description="The same for the same baseline and assumptions.")]
    left: Annotated[float | None, Meta(description="Units left at the end; null where no stock is assumed. [units]")]
    sums: Annotated[Sums, Meta(description="What it comes to.")]
    days: Annotated[list[DaySaid], Meta(description="Its days.")]
    metadata: Metadata


class SavedScenario(Struct, frozen=True):
    """A saved scenario."""

    scenario_id: Annotated[str, Meta(description="Read it at /scenarios/{scenario_id}.")]
    name: Annotated[str, Meta(description="What people call it.")]
    method: Method
    tags: Annotated[list[str], Meta(description="Words to find it by.")]
    cloned_from: Annotated[str | None, Meta(description="Scenario that it is a changed copy of.")]
    product_id: Annotated[int, Meta(description="The product.")]
    store_id: Annotated[int | None, Meta(description="The store; null: all together.")]
    assumptions: Annotated[Assumptions | None, Meta(description="What was assumed.")]
    elasticity: Annotated[float, Meta(description="Percent that demand was taken to move with one of the price. [ratio]")]
    model_version: Annotated[str | None, Meta(description="Model run of the baseline; null where there are several.")]
    result_hash: Annotated[str, Meta(description="The same for the same baseline and assumptions.")]
    sums: Annotated[Sums, Meta(description="What it came to.")]
    created_at: Annotated[datetime, Meta(description="When it was worked out, UTC.")]


class ScenarioAnswer(SavedScenario, frozen=True):
    """A saved scenario with its days."""

    days: list[DaySaid]
    metadata: Metadata


class ComparisonRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Scenarios to rank."""

    scenario_ids: Annotated[list[ScenarioId], Meta(min_length=2, max_length=5, description="2 to 5 saved scenarios.")]
    rank_by: Annotated[RankBy, Meta(description="revenue and units: most first; lost: least first.")] = "revenue"


class RankedScenario(Struct, frozen=True):
    """A scenario in its place."""

    rank: Annotated[int, Meta(description="Place, from 1; ties by id.")]
    scenario_id: Annotated[str, Meta(description="Read it at /scenarios/{scenario_id}.")]
    name: Annotated[str, Meta(description="What people call it.")]
    method: Method
    sums: Annotated[Sums, Meta(description="What it came to.")]


class ChartPoint(Struct, frozen=True):
    """One day of all compared scenarios."""

    date: Annotated[date, Meta(description="The day.")]
    sold: Annotated[dict[str, float | None], Meta(description="Units by scenario_id; null where it has no such day. [units/day]")]


class ScenarioComparison(Struct, frozen=True):
    """Scenarios, the best first, and their days in one series."""

    rank_by: RankBy
    items: Annotated[list[RankedScenario], Meta(description="The scenarios, the best first.")]
    chart: Annotated[list[ChartPoint], Meta(description="Their days, merged.")]
    metadata: Metadata


@table("/scenarios", operation_id="list_scenarios", tags=["planning"])
async def list_scenarios(
    lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20, tag: WithTag = None
) -> Listed[SavedScenario]:
    """The saved scenarios, newest first. POST /scenarios/compare ranks some."""
    rows = await lease.rows("state", "scenario", "true ORDER BY created_at DESC, scenario_id")
    found = [_saved(Scenario(**row)) for row in rows]
    return page_of([each for each in found if set(tag or ()) <= set(each.tags)], page, page_size, metadata(lease, "state"))


@post("/scenarios/simulate", operation_id="simulate_scenario", tags=["planning"], status_code=200, opt=READER)
async def simulate_scenario(lease: NamedDependency[Snapshot], data: JSONBody[Question]) -> Simulation:
    """What would be sold of a product with other prices, promotions, holidays, stock or age; answered at once, kept nowhere.

    Arithmetic over the published forecast. For what the model itself says, POST /scenarios with method model_exogenous.
    """
    asked = await _asked(lease, data, "heuristic")
    found = heuristic(asked, data.assumed)
    only = asked.versions[0] if len(asked.versions) == 1 else None
    return Simulation(
        product_id=asked.product_id,
        store_id=asked.store_id,
        method="heuristic",
        elasticity=told(asked.elasticity),
        result_hash=hash_of(asked, "heuristic", data.assumed),
        left=told(found.left),
        sums=_sums(found),
        days=[DaySaid(day, *map(told, others)) for day, *others in found.days],
        metadata=metadata(lease, "forecasts", model_version=only),
    )


@post(
    "/scenarios",
    operation_id="create_scenario",
    tags=["planning"],
    status_code=202,
    opt=OPERATOR,
    responses={200: ResponseSpec(ScenarioAnswer, False, "The same one is saved already: it, with its days.")},
)
async def create_scenario(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[ScenarioParams],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job | ScenarioAnswer]:
    """Work a scenario out and save it; the job's id is the scenario's. 200 and the saved one where it was saved with these tags.

    method model_exogenous asks a model that learns from prices and events; `cloned_from` names a scenario that is changed.
    """
    if data.cloned_from is not None:
        await _scenario(lease, data.cloned_from)
    asked = await _asked(lease, data, data.method)
    labels = lease.labels
    store = None if asked.store_id is None else labels["store"][asked.store_id]
    params = structs.replace(data, product_id=labels["product"][asked.product_id], store_id=store)
    if not state.jobs.is_repeated("scenario", params, idempotency_key):
        hashed = hash_of(asked, data.method, data.assumed)
        for row in await lease.rows("state", "scenario", "result_hash = ? AND name = ?", [hashed, data.name]):
            if set(msgspec.json.decode(row["tags"])) == set(data.tags):
                return Response(await _answer(lease, Scenario(**row)), status_code=200)
        if len(await lease.rows("state", "scenario")) >= MOST:
            raise Conflict(f"{MOST} scenarios are saved: delete one first.")
    launched: Response[Any] = await start(request, state, "scenario", params, idempotency_key)
    return launched


@table("/scenarios/{scenario_id:str}", field="days", operation_id="get_scenario", tags=["planning"])
async def get_scenario(lease: NamedDependency[Snapshot], scenario_id: ScenarioPath) -> ScenarioAnswer:
    """One saved scenario: what was assumed, what came of it, and its days beside the forecast as it was."""
    return await _answer(lease, await _scenario(lease, scenario_id))


@delete("/scenarios/{scenario_id:str}", operation_id="delete_scenario", tags=["planning"], status_code=202, opt=OPERATOR)
async def delete_scenario(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    scenario_id: ScenarioPath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Delete a saved scenario with its days; kept snapshots still have it."""
    params = DeleteScenarioParams(scenario_id)
    if not state.jobs.is_repeated("delete_scenario", params, idempotency_key):
        await _scenario(lease, scenario_id)
    return await start(request, state, "delete_scenario", params, idempotency_key)


@post("/scenarios/compare", operation_id="compare_scenarios", tags=["planning"], status_code=200, opt=READER)
async def compare_scenarios(lease: NamedDependency[Snapshot], data: JSONBody[ComparisonRequest]) -> ScenarioComparison:
    """Rank 2 to 5 saved scenarios by revenue, units or lost units, and merge their days for a chart. 404 for an unknown one."""
    if len(set(data.scenario_ids)) < len(data.scenario_ids):
        raise invalid("scenario_ids", None, "names a scenario twice")
    found = {each: await _scenario(lease, each) for each in data.scenario_ids}
    days = {each: {day.date: day.sold for day in await _days(lease, each)} for each in found}
    sign = 1 if data.rank_by == "lost" else -1

    def place(one: Scenario) -> tuple[bool, float, str]:
        value = getattr(one, data.rank_by)
        return value is None, sign * (value or 0.0), one.scenario_id

    ranked = sorted(found.values(), key=place)
    every = sorted({day for of in days.values() for day in of})
    return ScenarioComparison(
        rank_by=data.rank_by,
        items=[RankedScenario(n, each.scenario_id, each.name, each.method, _saved(each).sums) for n, each in enumerate(ranked, 1)],
        chart=[ChartPoint(day, {each: of.get(day) for each, of in days.items()}) for day in every],
        metadata=metadata(lease, "state"),
    )


async def _asked(lease: Snapshot, question: Question, method: Method) -> Asked:
    """Raises NotFound for an unknown run too."""
    if question.run_id is not None:
        await run_of(lease, question.run_id)
    return await asked_of(lease, question, method)


def _sums(of: Outlook | Scenario) -> Sums:
    revenue = None if of.revenue is None or of.baseline_revenue is None else of.revenue - of.baseline_revenue
    money = [None if each is None else round(each, 2) for each in (of.baseline_revenue, of.revenue, revenue)]
    change = told(of.units - of.baseline_units)
    return Sums(told(of.baseline_units), told(of.units), told(of.lost), money[0], money[1], change, money[2])


def _saved(row: Scenario) -> SavedScenario:
    question = msgspec.json.decode(row.question, type=Question)
    found: SavedScenario = said(
        SavedScenario, row, tags=msgspec.json.decode(row.tags), assumptions=question.assumed, sums=_sums(row)
    )
    return found


async def _answer(lease: Snapshot, found: Scenario) -> ScenarioAnswer:
    given = structs.asdict(_saved(found))
    return ScenarioAnswer(**given, days=await _days(lease, found.scenario_id), metadata=metadata(lease, "state"))


async def _scenario(lease: Snapshot, scenario_id: str) -> Scenario:
    for row in await lease.rows("state", "scenario", "scenario_id = ?", [scenario_id]):
        return Scenario(**row)
    raise NotFound(f"No scenario has the id '{scenario_id[:60]}'; /api/v1/scenarios lists them.")


async def _days(lease: Snapshot, scenario_id: str) -> list[DaySaid]:
    rows = await lease.rows("state", "scenario_day", "scenario_id = ? ORDER BY date", [scenario_id])
    return [said(DaySaid, ScenarioDay(**row)) for row in rows]
