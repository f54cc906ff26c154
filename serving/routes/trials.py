"""What a predict job forecast with a model run."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.columns import CalendarDay
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_from
from serving.parameters import OfProduct, OfStore, RunPath
from serving.routes.registry import run_of
from serving.snapshot import Snapshot


class RunForecast(Struct, frozen=True):
    """One day of one series that a run forecast."""

    forecast_id: Annotated[str, Meta(description="The forecast that a predict job made; its result names it.")]
    run_id: Annotated[str, Meta(description="The model run that forecast it.")]
    store_id: Annotated[int, Meta(description="Store of the series.")]
    product_id: Annotated[int, Meta(description="Product of the series.")]
    date: Annotated[date, Meta(description="Day that the forecast is for.")]
    step: Annotated[int, Meta(description="Days after the cutoff, from 1. [days]")]
    cutoff: Annotated[CalendarDay, Meta(description="Last day that the run saw.")]
    yhat: Annotated[float, Meta(description="Expected demand. [units/day]")]
    q10: Annotated[float | None, Meta(description="Demand is below this in 10 % of cases; null without past folds. [units/day]")]
    q50: Annotated[float | None, Meta(description="Median demand; null without past folds. [units/day]")]
    q90: Annotated[float | None, Meta(description="Demand is below this in 90 % of cases; null without past folds. [units/day]")]
    made_at: Annotated[datetime, Meta(description="When it was made, UTC.")]
    made_by: Annotated[str, Meta(description="Job that made it; read it at /jobs/{job_id}.")]


@table("/registry/runs/{run_id:str}/forecasts", operation_id="list_run_forecasts", tags=["registry"])
async def list_run_forecasts(
    lease: NamedDependency[Snapshot],
    run_id: RunPath,
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    forecast_id: Annotated[str | None, QueryParameter(description="Only this forecast, as a job's result names it.")] = None,
) -> Listed[RunForecast]:
    """What predict jobs forecast with a run, newest first: a row a series and day. Empty where none was asked for.

    POST /jobs with job_type predict makes one. What the champions forecast is at /items/{item}/timeseries and /forecasts.
    """
    await run_of(lease, run_id)
    wanted = {
        "run_id = ?": run_id,
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "product_id = ?": product_of(lease, product_id) if product_id else None,
        "forecast_id = ?": forecast_id,
    }
    order = "made_at DESC, forecast_id, store_id, product_id, date"
    return await page_from(
        lease, "trial_forecast", _said, wanted, order=order, page=page, page_size=page_size, model_version=run_id
    )


def _said(*, made_at: datetime, **row: Any) -> RunForecast:
    return RunForecast(**row, made_at=made_at.replace(tzinfo=UTC))
