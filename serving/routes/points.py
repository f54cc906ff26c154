"""What is forecast for each day, of the series of a set and of the levels above them?"""

from datetime import date
from itertools import chain
from typing import Annotated, Any, Literal

from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.levels import ForecastLevel
from assets_config.contract.names import ForecastSource, Level
from serving.filters import product_of, require_known, store_of
from serving.formats import table
from serving.paging import PART_OF, Listed, Page, PageSize, page_from
from serving.parameters import FromDay, OfProduct, OfStore, SetPath, ToDay
from serving.problems import BadRequest, NotFound
from serving.reply import check_span
from serving.routes.sets import require_current, set_of
from serving.snapshot import Snapshot

Above = Literal["total", "region", "store", "category", "department", "product"]
OfMember = Annotated[
    str | None, QueryParameter(description="Only this member of the level: a store code, a SKU, or the name of a category.")
]


class SetPoint(Struct, frozen=True):
    """One day of one series, or of one member of a level above the series."""

    level: Annotated[Level, Meta(description="`series`: a store and product; else the level that is summed.")]
    member: Annotated[str | None, Meta(description="The member of the level; null for a series.")]
    store_id: Annotated[int | None, Meta(description="Store of a series; null for the levels above.")]
    product_id: Annotated[int | None, Meta(description="Product of a series; null for the levels above.")]
    date: Annotated[date, Meta(description="Day that the forecast is for.")]
    step: Annotated[int, Meta(description="Days after the cutoff, from 1. [days]")]
    yhat: Annotated[float, Meta(description="Expected demand. [units/day]")]
    q05: Annotated[float, Meta(description="Demand is below this in 5 % of cases. [units/day]")]
    q10: Annotated[float, Meta(description="Demand is below this in 10 % of cases. [units/day]")]
    q25: Annotated[float, Meta(description="Demand is below this in 25 % of cases. [units/day]")]
    q50: Annotated[float, Meta(description="Median demand. [units/day]")]
    q75: Annotated[float, Meta(description="Demand is below this in 75 % of cases. [units/day]")]
    q90: Annotated[float, Meta(description="Demand is below this in 90 % of cases. [units/day]")]
    q95: Annotated[float, Meta(description="Demand is below this in 95 % of cases. [units/day]")]
    model_version: Annotated[str | None, Meta(description="run_id of the model behind a series; null for the levels above.")]


@table("/forecasts/{set_id:str}/points", operation_id="list_forecast_points", tags=["forecasts"])
async def list_forecast_points(
    lease: NamedDependency[Snapshot],
    state: State,
    set_id: SetPath,
    page: Page = 1,
    page_size: PageSize = 20,
    level: Annotated[Level, QueryParameter(description="What is forecast; series and product: of the current set only.")] = "total",
    member: OfMember = None,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    start_date: FromDay = None,
    end_date: ToDay = None,
) -> Listed[SetPoint]:
    """The days of a set of forecasts with quantiles from q05 to q95, of the total or any level down to store and product.

    store_id and product_id go with level=series, member with the others: 400 else. 410 for series and products of a set that
    is not current: these are no longer published.
    """
    check_span(start_date, end_date, state.settings.max_days)
    found = await set_of(lease, set_id)
    if level == "series" and member is not None:
        raise BadRequest("A series has no member: name it by store_id and product_id.")
    if level != "series" and (store_id is not None or product_id is not None):
        raise BadRequest(f"store_id and product_id go with level=series; name a member of the level {level} by `member`.")
    if level in ("series", "product"):
        require_current(found)
    wanted: dict[str, Any] = {"date >= ?": start_date, "date <= ?": end_date}
    if level == "series":
        wanted["source = ?"] = "forecast"
        wanted["store_id = ?"] = store_of(lease, store_id) if store_id else None
        wanted["product_id = ?"] = product_of(lease, product_id) if product_id else None
        order = "store_id, product_id, date"
        return await page_from(lease, "forecast", _of_series, wanted, order=order, page=page, page_size=page_size)
    table = "forecast_level" if found.is_current else "forecast_set_level"
    wanted |= {"level = ?": level, "member = ?": await _member(lease, table, level, member)}
    wanted |= {"source = ?": "forecast"} if found.is_current else {"set_id = ?": set_id}
    return await page_from(lease, table, _of_level, wanted, order="member, date", page=page, page_size=page_size)


@table("/forecasts/levels", operation_id="list_forecast_levels", tags=["forecasts"])
async def list_forecast_levels(
    lease: NamedDependency[Snapshot],
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    level: Annotated[Above | None, QueryParameter(description="Only this level.")] = None,
    member: OfMember = None,
    source: Annotated[
        ForecastSource | None,
        QueryParameter(description="Only days ahead (forecast), or past ones as of a cutoff (backtest)."),
    ] = None,
    start_date: FromDay = None,
    end_date: ToDay = None,
) -> Listed[ForecastLevel]:
    """Forecasts of the total and of each region, store, category, department and product: days ahead, and past ones.

    y is what the backtest knew. What was corrected since counts from the next forecasts on; /analytics/kpis has it.
    """
    check_span(start_date, end_date, state.settings.max_days)
    wanted = {
        "level = ?": level,
        "member = ?": await _member(lease, "forecast_level", level, member),
        "source = ?": source,
        "date >= ?": start_date,
        "date <= ?": end_date,
    }
    order = "level, member, date, source"
    return await page_from(lease, "forecast_level", ForecastLevel, wanted, order=order, page=page, page_size=page_size)


async def _member(lease: Snapshot, table: str, level: Level | None, given: str | None) -> str | None:
    """What rows call a member that was given by its name, or a store or product by any of its ids; None where none was given.

    Raises NotFound for one that neither the catalogue nor the table has: in older forecasts it may be called as it was then.
    """
    if given is None:
        return None
    try:
        return _named(lease, level, given)
    except NotFound:
        part, where = PART_OF[table], "member = ? AND level = coalesce(?, level) LIMIT 1"
        if await lease.rows(part, table, where, [given, level]):
            return given
        raise


def _named(lease: Snapshot, level: Level | None, given: str) -> str:
    if level == "store":
        return lease.labels["store"][store_of(lease, given)]
    if level == "product":
        return lease.labels["product"][product_of(lease, given)]
    there = {"total": ["total"], **{axis: lease.members[axis] for axis in ("region", "category", "department")}}
    if level is not None:
        require_known([given], there[level], f"member of the level {level}")
    else:
        require_known([given], {*chain(*there.values(), *lease.codes.values())}, "member of any level")
    return given


def _of_series(**row: Any) -> SetPoint:
    return _point({**row, "level": "series", "member": None})


def _of_level(**row: Any) -> SetPoint:
    return _point({**row, "store_id": None, "product_id": None, "model_version": None})


def _point(row: dict[str, Any]) -> SetPoint:
    return SetPoint(**{name: row[name] for name in SetPoint.__struct_fields__})
