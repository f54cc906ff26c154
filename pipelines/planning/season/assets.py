"""Assets of season plans, by agent: orchestrator, demand, inventory, pricing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetSpec,
    Config,
    MaterializeResult,
    asset,
    asset_check,
    multi_asset,
)
from msgspec import Struct
from pydantic import Field

from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams
from assets_config.contract.season import (
    Allocation,
    Approval,
    Markdown,
    PriceElasticity,
    Replenishment,
    SeasonBuy,
    SeasonResult,
    SeasonStep,
    VarianceWeek,
)
from pipelines.commands import commands
from pipelines.report import GRAPH_POOL, job_of, now, table_made, upstream
from pipelines.resources import Storage
from pipelines.warehouse import Warehouse

if TYPE_CHECKING:
    from pipelines.planning.season.book import Book


def agent(name: str) -> dict[str, Any]:
    """What the assets of an agent have in common; the group is the agent."""
    return {"key_prefix": "planning", "group_name": name, "owners": ["team:planning"], "kinds": {"polars"}, "pool": GRAPH_POOL}


class PlanConfig(Config):
    """What to do to the plans. Left empty: they stay as they are."""

    season_plan: str | None = Field(default=None, description="Season to plan, as JSON (contract.plans.SeasonPlanParams).")
    reforecast: str | None = Field(default=None, description="Plan to forecast again, as JSON (contract.plans.ReforecastParams).")


@asset(**agent("orchestrator"), deps=upstream("core/sales_daily", "core/dim_product", "core/weekly_actuals"))
def season_plan(context: AssetExecutionContext, config: PlanConfig, storage: Storage) -> MaterializeResult:
    """The season plans that people asked for, a row a version: as they were, but for what the config asks for."""
    from pipelines.planning.season.plans import change_plans, versions
    from pipelines.planning.season.told import told_of_versions

    warehouse = storage.warehouse()
    told = commands(config, season_plan=SeasonPlanParams, reforecast=ReforecastParams)
    first, last = _sales_range(warehouse)
    change_plans(warehouse, told, first_sale=first, last_sale=last, at=now(), by=job_of(context))
    return table_made(warehouse, "planning/season_plan", told=told_of_versions(versions(warehouse), by=job_of(context)))


class DecisionConfig(Config):
    """What to decide. Left empty: only what is overdue is decided, as its plan says."""

    decide_approval: str | None = Field(default=None, description="Decision, as JSON (contract.plans.DecideApprovalParams).")


@asset(**agent("orchestrator"), deps=[season_plan])
def approval_decision(context: AssetExecutionContext, config: DecisionConfig, storage: Storage) -> MaterializeResult:
    """What was decided of plans, by a person or, where nobody did in time, by the default of the plan."""
    from pipelines.planning.season.plans import decide

    warehouse, told = storage.warehouse(), commands(config, decide_approval=DecideApprovalParams)
    due = decide(warehouse, told, at=now(), by=job_of(context))
    return table_made(warehouse, "planning/approval_decision", decided_by_deadline=due)


FORECAST = {
    "season_forecast": "What each version of a plan forecasts of its season, kept as it was said.",
    "season_week": "The weeks of each version of a plan, kept as they were said.",
    "season_store": "What each store is to sell of a season, within its cluster.",
}


@multi_asset(
    specs=[
        AssetSpec(
            ["planning", name],
            description=about,
            group_name="demand",
            kinds={"statsmodels", "numpy"},
            owners=["team:planning"],
            deps=[
                *upstream(
                    "core/sales_daily", "core/dim_store", "core/dim_product", "core/dim_calendar", "core/demand_unconstrained"
                ),
                *upstream("planning/store_cluster_member"),
                season_plan.key,
            ],
        )
        for name, about in FORECAST.items()
    ],
    can_subset=True,
    pool=GRAPH_POOL,
)
def season_forecasts(context: AssetExecutionContext, storage: Storage) -> Iterator[MaterializeResult]:
    """Forecast the versions that are not yet; all three tables are written, whichever is asked for."""
    from pipelines.planning.season.forecasts import make_forecasts

    warehouse = storage.warehouse()
    made, failed = make_forecasts(warehouse, at=now())
    for plan_id, why in failed.items():
        context.log.error(f"plan {plan_id} is not forecast: {why}")
    for key in sorted(context.selected_asset_keys):
        told = table_made(warehouse, key.to_user_string(), versions_made=made, failed=failed)
        yield MaterializeResult(asset_key=key, metadata=told.metadata)


DEMAND = upstream(*(f"planning/{name}" for name in FORECAST))


@asset(**agent("inventory"), deps=[*DEMAND, approval_decision])
def season_buy(storage: Storage) -> MaterializeResult:
    """How much each plan manufactures, and its split into what goes to stores and what is held back."""
    from pipelines.planning.season.stock import buy

    return _written(storage, "season_buy", SeasonBuy, lambda book: [buy(book)])


@asset(**agent("inventory"), deps=[*DEMAND, season_buy])
def allocation(storage: Storage) -> MaterializeResult:
    """What each store gets at the start of a season whose buy was decided, with the arithmetic of each row."""
    from pipelines.planning.season.stock import allocations

    return _written(storage, "allocation", Allocation, allocations)


@asset(**agent("inventory"), deps=[*DEMAND, *upstream("core/weekly_actuals"), allocation])
def replenishment(storage: Storage) -> MaterializeResult:
    """The season of each plan by week and store: what the distribution centre ships, and what is sold and lost."""
    from pipelines.planning.season.stock import replenishment as shipments

    return _written(storage, "replenishment", Replenishment, shipments)


@asset(**agent("orchestrator"), deps=[*DEMAND, *upstream("core/weekly_actuals"), approval_decision])
def variance_week(storage: Storage) -> MaterializeResult:
    """Every week that was reported, against the version of the plan that held before it."""
    from pipelines.planning.season.checkpoint import variances

    return _written(storage, "variance_week", VarianceWeek, variances)


@asset(
    **agent("pricing"),
    deps=upstream(
        *("core/sales_daily", "core/dim_product", "core/promotion", "core/dim_calendar", "core/demand_unconstrained"),
        "core/price_history",
    ),
)
def price_elasticity(storage: Storage) -> MaterializeResult:
    """How demand of each category and product answers to its price, estimated from the sales of two years."""
    from pipelines.planning.season.elasticity import elasticities
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    rows = elasticities(warehouse)
    warehouse.write("planning/price_elasticity", frame_of(PriceElasticity, rows))
    of = {each.member: round(each.elasticity, 2) for each in rows if each.level == "category"}
    return table_made(warehouse, "planning/price_elasticity", of_category=of)


@asset(**agent("pricing"), deps=[*DEMAND, *upstream("core/weekly_actuals"), allocation, replenishment, price_elasticity])
def markdown(storage: Storage) -> MaterializeResult:
    """What cuts of the price would bring at the checkpoint of each plan, the one that clears the stock among them."""
    from pipelines.planning.season.checkpoint import markdowns
    from pipelines.planning.season.elasticity import by_category
    from pipelines.planning.season.plans import state

    rows = state(storage.warehouse(), "planning/price_elasticity", PriceElasticity).iter_rows(named=True)
    found = by_category([PriceElasticity(**row) for row in rows])
    return _written(storage, "markdown", Markdown, lambda book: markdowns(book, found))


@asset(**agent("orchestrator"), deps=[season_buy, markdown, approval_decision])
def approval(storage: Storage) -> MaterializeResult:
    """What plans wait or waited for a decision on: the buy, and a markdown."""
    from pipelines.planning.season.approvals import approvals
    from pipelines.planning.season.book import forecast_books, read_books
    from pipelines.planning.season.plans import APPROVALS, state
    from pipelines.planning.season.told import told_of_approvals
    from pipelines.shapes import frame_of

    warehouse, at = storage.warehouse(), now()
    earlier = {row["approval_id"]: Approval(**row) for row in state(warehouse, APPROVALS, Approval).iter_rows(named=True)}
    cuts = _by_plan(warehouse, "planning/markdown", Markdown)
    rows = [
        row for book in forecast_books(read_books(warehouse)) for row in approvals(book, cuts.get(book.plan_id, []), earlier, at=at)
    ]
    warehouse.write(APPROVALS, frame_of(Approval, rows))
    return table_made(warehouse, APPROVALS, told=told_of_approvals(earlier, rows))


@asset(**agent("orchestrator"), deps=[*upstream("core/sales_daily", "core/weekly_actuals"), replenishment, approval])
def season_result(storage: Storage) -> MaterializeResult:
    """What seasons that are over brought, beside a naive plan and perfect foresight, in money."""
    from pipelines.planning.season.results import results

    warehouse = storage.warehouse()
    return _written(storage, "season_result", SeasonResult, lambda book: results(warehouse, book))


@asset(**agent("orchestrator"), deps=[approval, markdown, variance_week, season_result])
def season_step(storage: Storage) -> MaterializeResult:
    """How far each plan is: its steps, by agent."""
    from pipelines.planning.season.book import read_books
    from pipelines.planning.season.plans import state
    from pipelines.planning.season.steps import steps
    from pipelines.planning.season.told import told_of_steps
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    cuts, waits = (
        _by_plan(warehouse, f"planning/{name}", shape) for name, shape in (("markdown", Markdown), ("approval", Approval))
    )
    books = read_books(warehouse)
    before = [SeasonStep(**row) for row in state(warehouse, "planning/season_step", SeasonStep).iter_rows(named=True)]
    rows = [row for book in books for row in steps(book, waits.get(book.plan_id, []), cuts.get(book.plan_id, []))]
    warehouse.write("planning/season_step", frame_of(SeasonStep, rows))
    began = {book.plan_id: book.versions[0].requested_at for book in books}
    return table_made(warehouse, "planning/season_step", told=told_of_steps(before, rows, began, at=now()))


@asset_check(asset=allocation, description="Initial allocation, what no store could take and the holdback are the buy.")
def units_are_kept(storage: Storage) -> AssetCheckResult:
    """Names the plans whose units do not add up."""
    from pipelines.planning.season.stock import not_adding_up

    warehouse = storage.warehouse()
    wrong = not_adding_up(warehouse.read("planning/season_buy"), warehouse.read("planning/allocation"))
    return AssetCheckResult(passed=not wrong, metadata={"plans": wrong})


def _written(storage: Storage, name: str, shape: type[Struct], rows_of: "Callable[[Book], Iterable[Struct]]") -> MaterializeResult:
    """Write what follows from every plan that has a forecast."""
    from pipelines.planning.season.book import forecast_books, read_books
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    rows = [row for book in forecast_books(read_books(warehouse)) for row in rows_of(book)]
    warehouse.write(f"planning/{name}", frame_of(shape, rows))
    return table_made(warehouse, f"planning/{name}")


def _by_plan(warehouse: Warehouse, key: str, shape: type[Any]) -> dict[str, Sequence[Any]]:
    found: dict[str, list[Any]] = {}
    for row in warehouse.read(key).iter_rows(named=True):
        found.setdefault(row["plan_id"], []).append(shape(**row))
    return dict(found)


def _sales_range(warehouse: Warehouse) -> tuple[date, date]:
    import duckdb

    with duckdb.connect() as connection:
        [(first, last)] = connection.execute(f"SELECT min(date), max(date) FROM {warehouse.parquet('core/sales_daily')}").fetchall()
    return first, last


ASSETS = [
    *(season_plan, approval_decision, season_forecasts, season_buy, allocation, replenishment, variance_week),
    *(price_elasticity, markdown, approval, season_result, season_step),
]
CHECKS = [units_are_kept]
