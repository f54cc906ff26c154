"""What did a season come to: its forecast by week and cluster, the decisions behind its buy, its money in the end?"""

from datetime import date
from typing import Annotated

from litestar.di import NamedDependency
from msgspec import Meta, Struct

from assets_config.contract.season import PlanStatus, Policy, SeasonWeek
from serving.formats import table
from serving.plans import plan_of, said, told
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.routes.workflows import WorkflowPath
from serving.snapshot import Snapshot


class WeekSaid(Struct, frozen=True):
    """A week of a season."""

    week: Annotated[int, Meta(description="Week of the season, from 1.")]
    start_date: Annotated[date, Meta(description="First day of the week.")]
    units: Annotated[int, Meta(description="Expected demand; units sold where it was over. [units]")]
    prophet_forecast: Annotated[float, Meta(description="What prophet_like alone expects. [units]")]
    arima_forecast: Annotated[float, Meta(description="What SARIMAX alone expects. [units]")]
    is_actual: Annotated[bool, Meta(description="Whether it was over when the version was made.")]


class ClusterShare(Struct, frozen=True):
    """What a cluster of stores is to sell."""

    cluster: Annotated[str, Meta(description="Name of the cluster.")]
    stores: Annotated[int, Meta(description="Number of stores. [stores]")]
    units: Annotated[int, Meta(description="Demand of the season, of the first version. [units]")]
    share: Annotated[float | None, Meta(description="Part of the season; null where that is zero. [ratio]")]


class ResultSaid(Struct, frozen=True):
    """A season that is over, as a policy would have had it."""

    policy: Annotated[Policy, Meta(description="plan, naive (last year's weeks), or perfect_foresight.")]
    bought: Annotated[int, Meta(description="Units manufactured. [units]")]
    sold: Annotated[int, Meta(description="Units sold. [units]")]
    lost: Annotated[int, Meta(description="Units asked for in a store that had none. [units]")]
    left: Annotated[int, Meta(description="Units left at the end. [units]")]
    revenue: Annotated[float, Meta(description="What the sold ones brought. [money]")]
    cost: Annotated[float, Meta(description="What the bought ones cost. [money]")]
    salvage: Annotated[float, Meta(description="What the rest brings. [money]")]
    profit: Annotated[float, Meta(description="Revenue and salvage less cost. [money]")]
    regret: Annotated[float, Meta(description="Profit of perfect foresight less this one. [money]")]


class ResultsAnswer(Struct, frozen=True):
    """What a plan came to: its forecast, and its money once the season is over."""

    workflow_id: Annotated[str, Meta(description="The plan; read it at /workflows/{workflow_id}.")]
    status: Annotated[PlanStatus, Meta(description="How it stands.")]
    version: Annotated[int, Meta(description="Version that the forecast is of, the newest.")]
    category_name: Annotated[str | None, Meta(description="Category that is planned; null: everything.")]
    season: Annotated[str, Meta(description="Name of the season.")]
    total_season_demand: Annotated[int, Meta(description="Demand of the season. [units]")]
    forecasting_method: Annotated[str, Meta(description="How it was worked out.")]
    weights: Annotated[dict[str, float], Meta(description="Weights of the models, together 1. [ratio]")]
    backtest_wape: Annotated[dict[str, float | None], Meta(description="Error of each model's weeks in the backtest. [ratio]")]
    weekly_demand_curve: Annotated[list[WeekSaid], Meta(description="The weeks; they add up to the season.")]
    cluster_distribution: Annotated[list[ClusterShare], Meta(description="The clusters; they add up to the first version.")]
    decision_notes: Annotated[list[str], Meta(description="How the parameters led to what was decided, step by step.")]
    results: list[ResultSaid]
    metadata: Metadata


@table("/workflows/{workflow_id:str}/results", field="results", operation_id="get_workflow_results", tags=["planning"])
async def get_workflow_results(lease: NamedDependency[Snapshot], workflow_id: WorkflowPath) -> ResultsAnswer:
    """The forecast of a season by week and cluster, the decisions that led to its buy, and its money once it is over.

    404 until the season is forecast.
    """
    found = await plan_of(lease, workflow_id)
    if not found.forecasts:
        why = next((each.detail for each in found.steps if each.status == "fail"), "its job has not ended")
        raise NotFound(f"Plan {workflow_id} is not forecast: {why}.")
    forecast = found.forecasts[-1]
    prophet = forecast.weight_prophet_like
    return ResultsAnswer(
        workflow_id=workflow_id,
        status=found.status,
        version=forecast.version,
        category_name=forecast.category,
        season=forecast.season,
        total_season_demand=forecast.units,
        forecasting_method=forecast.method,
        weights={"prophet_like": told(prophet), "sarimax": told(1 - prophet)},
        backtest_wape={"prophet_like": told(forecast.wape_prophet_like), "sarimax": told(forecast.wape_sarimax)},
        weekly_demand_curve=await weeks_of(lease, workflow_id, forecast.version),
        cluster_distribution=await _clusters(lease, workflow_id),
        decision_notes=[f"{each.agent}: {each.step_name}: {each.detail}" for each in found.steps],
        results=[said(ResultSaid, each) for each in found.results],
        metadata=metadata(lease, "season"),
    )


async def weeks_of(lease: Snapshot, plan_id: str, version: int) -> list[WeekSaid]:
    """The weeks of a version of a plan, by model too."""
    of = "plan_id = ? AND version = ? ORDER BY week"
    weeks = [SeasonWeek(**row) for row in await lease.rows("season", "season_week", of, [plan_id, version])]
    return [said(WeekSaid, each, prophet_forecast=told(each.prophet_like), arima_forecast=told(each.sarimax)) for each in weeks]


async def _clusters(lease: Snapshot, plan_id: str) -> list[ClusterShare]:
    rows = await lease.rows("season", "season_store", "plan_id = ? ORDER BY cluster", [plan_id])
    units: dict[str, list[int]] = {}
    for row in rows:
        units.setdefault(row["cluster"], []).append(row["units"])
    whole = sum(map(sum, units.values()))
    return [ClusterShare(name, len(of), sum(of), told(sum(of) / whole) if whole else None) for name, of in units.items()]
