"""What was forecast as of each cutoff: the sets of forecasts, and their reasons. Their days are told in points.py."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import asdict

from assets_config.contract.names import ForecastKind, Span
from assets_config.contract.season import SeasonForecast
from serving.formats import table
from serving.paging import Listed, Order, Page, PageSize, ordered, page_of
from serving.parameters import OfProduct, OfStore, SetPath
from serving.problems import Gone, NotFound
from serving.reply import Metadata, metadata, rounded
from serving.routes.explanations import ExplanationSaid, explanations_of
from serving.routes.results import WeekSaid, weeks_of
from serving.snapshot import Snapshot


class SetSaid(Struct, frozen=True):
    """One set of forecasts: all series at one cutoff, never altered since."""

    set_id: Annotated[str, Meta(description="Use it in /forecasts/{set_id}, and in its points and explanation.")]
    kind: Annotated[ForecastKind, Meta(description="`series`: days ahead of each store and product; `season`: a season plan's.")]
    cutoff: Annotated[date, Meta(description="Last day that the models were allowed to see.")]
    start_date: Annotated[date, Meta(description="First day that is forecast.")]
    end_date: Annotated[date, Meta(description="Last day that is forecast.")]
    horizon: Annotated[int, Meta(description="Number of days that are forecast. [days]")]
    series: Annotated[int, Meta(description="Number of series, each a store and product. [series]")]
    units: Annotated[float, Meta(description="Expected demand of all series over all days. [units]")]
    models: Annotated[dict[str, int], Meta(description="Number of series that each model type forecasts. [series]")]
    is_current: Annotated[bool, Meta(description="Whether the snapshot's forecasts are of this set: only then has it series.")]
    is_scored: Annotated[bool, Meta(description="Whether it counts in /forecasts/accuracy: one set a cutoff, none of hindsight.")]
    dataset_id: Annotated[
        str, Meta(description="Hash of the core tables that it was made from; of a season plan: the last it saw.")
    ]
    made_at: Annotated[datetime, Meta(description="When it was made, UTC.")]
    category: Annotated[str | None, Meta(description="Category of a season plan; null: everything, as for series.")] = None
    season: Annotated[str | None, Meta(description="Name of the season, for example Autumn 2024; null for series.")] = None


class CurvePoint(Struct, frozen=True):
    """One day of the total."""

    date: Annotated[date, Meta(description="Day that the forecast is for.")]
    yhat: Annotated[float, Meta(description="Expected demand. [units/day]")]
    q10: Annotated[float, Meta(description="Demand is below this in 10 % of cases. [units/day]")]
    q50: Annotated[float, Meta(description="Median demand. [units/day]")]
    q90: Annotated[float, Meta(description="Demand is below this in 90 % of cases. [units/day]")]


class Member(Struct, frozen=True):
    """What one member of a level is forecast to sell."""

    member: Annotated[str, Meta(description="Store code or name of the member; use it as `member` in the set's points.")]
    units: Annotated[float, Meta(description="Expected demand over all days. [units]")]
    share: Annotated[float | None, Meta(description="Part of the total; null where that is zero. [ratio]")]


class SetAnswer(SetSaid, frozen=True, kw_only=True):
    """One set: the curve of its total, and who sells how much of it."""

    method: Annotated[str, Meta(description="How it was made, in words.")]
    curve: Annotated[list[CurvePoint], Meta(description="The total by day; empty for a season plan.")]
    weekly_demand_curve: Annotated[
        list[WeekSaid], Meta(description="The weeks of a season plan, by model too; empty for series.")
    ] = []
    members: Annotated[
        dict[str, list[Member]],
        Meta(description="By level (region, store, category, department; of a season cluster and store): most first."),
    ]
    metadata: Annotated[Metadata, Meta(description="Where this was read from.")]


@table("/forecasts", operation_id="list_forecast_sets", tags=["forecasts"])
async def list_forecast_sets(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    kind: Annotated[ForecastKind | None, QueryParameter(description="Only sets of series, or only those of season plans.")] = None,
    cutoff: Annotated[date | None, QueryParameter(description="Only sets made with the sales up to this day.")] = None,
    sort_by: Annotated[Literal["made_at", "cutoff", "units"], QueryParameter(description="Field to sort by.")] = "made_at",
    sort_order: Order = "desc",
) -> Listed[SetSaid]:
    """The forecasts that were made, newest first: one set a cutoff and state of data and models, kept as it was said."""
    found = [
        each for each in await _sets(lease) if (kind is None or each.kind == kind) and (cutoff is None or each.cutoff == cutoff)
    ]
    return page_of(ordered(found, sort_by, sort_order, tie="set_id"), page, page_size, metadata(lease, "sets"))


@get("/forecasts/{set_id:str}", operation_id="get_forecast_set", tags=["forecasts"])
async def get_forecast_set(lease: NamedDependency[Snapshot], set_id: SetPath) -> SetAnswer:
    """One set of forecasts: the total by day, the models behind it, and what each region, store and category sells of it.

    That of a season plan has weeks, no days, and clusters; /workflows/{workflow_id} has the plan.
    """
    found = await set_of(lease, set_id)
    if found.kind == "season":
        return SetAnswer(**asdict(found), **await season_set(lease, set_id), curve=[], metadata=metadata(lease, "season"))
    rows = await lease.rows("sets", "forecast_set_level", "set_id = ? ORDER BY level, member, date", [set_id])
    curve = [CurvePoint(*(rounded(row[name]) for name in CurvePoint.__struct_fields__)) for row in rows if row["level"] == "total"]
    sums: dict[str, dict[str, float]] = {}
    for row in rows:
        of_level = sums.setdefault(row["level"], {})
        of_level[row["member"]] = of_level.get(row["member"], 0.0) + row["yhat"]
    whole = sum(sums.pop("total", {}).values())
    members = {level: _members(units, whole) for level, units in sums.items()}
    method = "the champion of each series forecasts it; levels above are sums of series, with quantiles of their own residuals"
    return SetAnswer(**asdict(found), method=method, curve=curve, members=members, metadata=metadata(lease, "sets"))


@table("/forecasts/{set_id:str}/explanation", operation_id="explain_forecast_set", tags=["forecasts"])
async def explain_forecast_set(
    lease: NamedDependency[Snapshot],
    set_id: SetPath,
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    span: Annotated[Span | None, QueryParameter(description="Only the next day, or only the sum of all days ahead.")] = None,
) -> Listed[ExplanationSaid]:
    """Why the series of the current set are forecast to sell what they are: parts that add up, reason codes and caveats.

    410 for a set that is not current: its explanations are no longer published.
    """
    require_current(await set_of(lease, set_id))
    return await explanations_of(lease, store_id=store_id, product_id=product_id, span=span, page=page, page_size=page_size)


async def _sets(lease: Snapshot) -> list[SetSaid]:
    return [*[_said(**row) for row in await lease.rows("sets", "forecast_set")], *await season_sets(lease)]


async def set_of(lease: Snapshot, set_id: str) -> SetSaid:
    """A set, of series or of a season. Raises NotFound."""
    for row in await lease.rows("sets", "forecast_set", "set_id = ?", [set_id]):
        return _said(**row)
    for season in await season_sets(lease, set_id):
        return season
    raise NotFound(f"No set of forecasts has the id '{set_id[:60]}'; /api/v1/forecasts lists them.")


def _said(*, models: str, units: float, made_at: datetime, **others: Any) -> SetSaid:
    return SetSaid(**others, models=msgspec.json.decode(models), units=rounded(units), made_at=made_at.replace(tzinfo=UTC))


async def season_sets(lease: Snapshot, set_id: str | None = None) -> list[SetSaid]:
    """The newest forecast of each season plan, or of one; its id is the plan's."""
    where = "? IS NULL OR plan_id = ?"
    newest = "QUALIFY row_number() OVER (PARTITION BY plan_id ORDER BY version DESC) = 1"
    found = []
    for row in await lease.rows("season", "season_forecast", f"({where}) {newest}", [set_id, set_id]):
        forecast = SeasonForecast(**row)
        [[stores]] = await lease.query("SELECT count(*) FROM season.season_store WHERE plan_id = ?", [forecast.plan_id])
        found.append(
            SetSaid(
                set_id=forecast.plan_id,
                kind="season",
                cutoff=forecast.cutoff,
                start_date=forecast.start_date,
                end_date=forecast.end_date,
                horizon=7 * forecast.weeks,
                series=stores,
                units=float(forecast.units),
                models={"prophet_like": 1, "sarimax": 1},
                is_current=False,
                is_scored=False,
                dataset_id=metadata(lease, "season").dataset_id,
                made_at=forecast.made_at.replace(tzinfo=UTC),
                category=forecast.category,
                season=forecast.season,
            )
        )
    return found


async def season_set(lease: Snapshot, plan_id: str) -> dict[str, Any]:
    """How the newest forecast of a season was made, and what each cluster and store sells of it."""
    stores = await lease.rows("season", "season_store", "plan_id = ?", [plan_id])
    units: dict[str, dict[str, float]] = {"cluster": {}, "store": {}}
    for row in stores:
        units["cluster"][row["cluster"]] = units["cluster"].get(row["cluster"], 0.0) + row["units"]
        units["store"][lease.labels["store"].get(row["store_id"], str(row["store_id"]))] = float(row["units"])
    whole = sum(units["store"].values())
    [*_, newest] = await lease.rows("season", "season_forecast", "plan_id = ? ORDER BY version", [plan_id])
    weeks = await weeks_of(lease, plan_id, newest["version"])
    members = {level: _members(of, whole) for level, of in units.items()}
    return {"method": newest["method"], "members": members, "weekly_demand_curve": weeks}


def require_current(found: SetSaid) -> None:
    """Raises Gone for a set of which no series is published."""
    if found.kind == "season":
        raise Gone(
            f"Set {found.set_id} is of a season plan, which no series, products or days are published of: "
            f"GET /api/v1/forecasts/{found.set_id} has its weeks, clusters and stores."
        )
    if not found.is_current:
        raise Gone(
            f"Set {found.set_id} is not the current one: of its series and products no forecasts are published any more. "
            "Its levels total, region, store, category and department are."
        )


def _members(units: dict[str, float], whole: float) -> list[Member]:
    largest = sorted(units.items(), key=lambda each: (-each[1], each[0]))
    return [Member(name, rounded(value), round(value / whole, 6) if whole else None) for name, value in largest]
