"""A season plan as it is published: its versions, forecast, steps and approvals, and how it stands."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

from assets_config.contract.season import (
    Approval,
    PlanStatus,
    SeasonBuy,
    SeasonForecast,
    SeasonPlan,
    SeasonResult,
    SeasonStep,
    VarianceWeek,
)
from serving.problems import NotFound
from serving.reply import rounded
from serving.snapshot import Snapshot


class Told(Struct, frozen=True):
    """What a snapshot has of one plan; what follows from it may be missing. Versions and forecasts are oldest first."""

    versions: list[SeasonPlan]
    forecasts: list[SeasonForecast]
    buy: SeasonBuy | None
    steps: list[SeasonStep]
    approvals: list[Approval]
    variances: list[VarianceWeek]
    results: list[SeasonResult]

    @property
    def plan(self) -> SeasonPlan:
        return self.versions[-1]

    @property
    def status(self) -> PlanStatus:
        if not self.steps:
            return "resting"
        if not self.forecasts:
            return "failed"
        if any(each.status == "open" for each in self.approvals):
            return "awaiting_approval"
        if any(each.kind == "manufacturing" and each.status == "rejected" for each in self.approvals):
            return "rejected"
        return "completed" if self.results else "in_season"


async def versions_of(lease: Snapshot, plan_id: str | None = None) -> dict[str, list[SeasonPlan]]:
    """The versions of every plan, or of one, by id; newest plans first, versions oldest first."""
    where, values = ("true", []) if plan_id is None else ("plan_id = ?", [plan_id])
    rows = [SeasonPlan(**row) for row in await lease.rows("state", "season_plan", f"{where} ORDER BY version", values)]
    firsts = sorted((each for each in rows if each.version == 1), key=lambda each: (each.requested_at, each.plan_id), reverse=True)
    return {first.plan_id: [each for each in rows if each.plan_id == first.plan_id] for first in firsts}


async def plan_of(lease: Snapshot, plan_id: str) -> Told:
    """One plan. Raises NotFound."""
    found = await plans_of(lease, plan_id)
    if plan_id not in found:
        raise NotFound(f"No season plan has the id '{plan_id[:60]}'; /api/v1/workflows lists them.")
    return found[plan_id]


async def plans_of(lease: Snapshot, plan_id: str | None = None) -> dict[str, Told]:
    """What is published of every plan, or of one, by id; newest plans first."""
    plans = await versions_of(lease, plan_id)
    forecasts = await _by_plan(lease, "season_forecast", SeasonForecast, plan_id, "version")
    buys = await _by_plan(lease, "season_buy", SeasonBuy, plan_id, "plan_id")
    steps = await _by_plan(lease, "season_step", SeasonStep, plan_id, "step_index")
    approvals = await _by_plan(lease, "approval", Approval, plan_id, "opened_at, kind DESC")
    variances = await _by_plan(lease, "variance_week", VarianceWeek, plan_id, "week")
    results = await _by_plan(lease, "season_result", SeasonResult, plan_id, "profit DESC, policy")
    return {
        each: Told(
            versions=versions,
            forecasts=forecasts.get(each, []),
            buy=next(iter(buys.get(each, [])), None),
            steps=steps.get(each, []),
            approvals=approvals.get(each, []),
            variances=variances.get(each, []),
            results=results.get(each, []),
        )
        for each, versions in plans.items()
    }


async def _by_plan(lease: Snapshot, table: str, shape: type[Any], plan_id: str | None, order: str) -> dict[str, list[Any]]:
    """The rows of a table, of one plan or of all, by the plan's id."""
    found: dict[str, list[Any]] = {}
    for row in await lease.rows("season", table, f"? IS NULL OR plan_id = ? ORDER BY {order}", [plan_id, plan_id]):
        found.setdefault(row["plan_id"], []).append(shape(**row))
    return found


def said(shape: type[Any], row: Struct, **more: Any) -> Any:
    """A row of the contract as an answer tells it: times in UTC, money as numbers, six places."""
    given = {name: told(value) for name, value in structs.asdict(row).items() if name in shape.__struct_fields__}
    return shape(**{**given, **more})


def told(value: Any) -> Any:
    """A value as answers have it."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return float(value) if isinstance(value, Decimal) else rounded(value)
