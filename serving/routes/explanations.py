"""Why is a product forecast to sell what it is forecast to sell, and what is the model behind it?"""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct

from assets_config.contract.explanations import CAVEATS, DRIVERS, Part
from assets_config.contract.names import Confidence, Driver, Span
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_from
from serving.problems import Conflict, NotFound
from serving.reply import rounded
from serving.snapshot import Snapshot


class PartSaid(Struct, frozen=True):
    """One part of a forecast. It says what goes with it in the model, not what causes it."""

    name: Driver
    units: Annotated[float, Meta(description="What it adds to the forecast. [units]")]
    reason_code: Annotated[str, Meta(description="Driver and direction, for programs: PRICE_RAISES.")]
    text: str


class CaveatSaid(Struct, frozen=True):
    """What limits an explanation."""

    code: str
    text: str


class ExplanationSaid(Struct, frozen=True):
    """The forecast of one store and product, explained."""

    store_id: int
    product_id: int
    span: Annotated[Span, Meta(description="next_day: the first day ahead; horizon: the sum of all days ahead.")]
    start_date: date
    end_date: date
    cutoff: Annotated[date, Meta(description="Last day that the model was allowed to see.")]
    forecast: Annotated[float, Meta(description="Forecast of the span, the sum of the parts. [units]")]
    parts: list[PartSaid]
    band: Annotated[float | None, Meta(description="Width from q10 to q90 over the forecast. [ratio]")]
    confidence: Annotated[Confidence, Meta(description="high: band up to 1; medium: up to 2; low: wider, or too new to tell.")]
    caveats: list[CaveatSaid]
    summary: str
    model_type: str
    model_version: Annotated[str, Meta(description="Use it in /registry/runs/{run_id}.")]


@table("/items/{item:str}/explanation", operation_id="explain_item", tags=["items"])
async def explain_item(
    lease: NamedDependency[Snapshot],
    item: FromPath[str],
    store_id: FromQuery[str | None] = None,
    span: FromQuery[Span | None] = None,
    page: Page = 1,
    page_size: PageSize = 20,
) -> Listed[ExplanationSaid]:
    """Why a product is forecast to sell what it is, by store: parts that add up to the forecast, confidence and caveats.

    span=next_day is the first day ahead, span=horizon the sum of all days. A part says what goes with it, never what causes it.
    """
    return await explanations_of(lease, store_id=store_id, product_id=item, span=span, page=page, page_size=page_size)


@table("/registry/runs/{run_id:str}/explanation", operation_id="explain_model_run", tags=["registry"])
async def explain_model_run(
    lease: NamedDependency[Snapshot],
    run_id: FromPath[str],
    store_id: FromQuery[str | None] = None,
    product_id: FromQuery[str | None] = None,
    span: FromQuery[Span | None] = None,
    page: Page = 1,
    page_size: PageSize = 20,
) -> Listed[ExplanationSaid]:
    """The explained forecasts of a model run: of the series that it is champion of. 409 where the run forecasts nothing.

    Take a run with is_current true and metrics.champion_of above 0 from /registry/runs.
    """
    await _check_current(lease, run_id)
    return await explanations_of(
        lease, store_id=store_id, product_id=product_id, span=span, run_id=run_id, page=page, page_size=page_size
    )


@get("/registry/runs/{run_id:str}/card", operation_id="get_model_card", tags=["registry"], media_type="text/markdown")
async def get_model_card(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> Response[str]:
    """The card of a model run of the last fit as markdown; its plot is at /registry/runs/{run_id}/card/plot."""
    card = await _card(lease, run_id)
    plot = "" if card["plot"] is None else f"\n![WAPE by days ahead](/api/v1/registry/runs/{run_id}/card/plot)\n"
    return Response(card["markdown"] + plot, media_type="text/markdown")


@get("/registry/runs/{run_id:str}/card/plot", operation_id="get_model_card_plot", tags=["registry"], media_type="image/svg+xml")
async def get_model_card_plot(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> Response[str]:
    """WAPE by days ahead beside the baselines, as SVG. 404 where there was no backtest to plot."""
    card = await _card(lease, run_id)
    if card["plot"] is None:
        raise NotFound(f"The card of run {run_id} has no plot: there is no backtest, the data have too few days for one.")
    return Response(card["plot"], media_type="image/svg+xml")


async def explanations_of(
    lease: Snapshot,
    *,
    store_id: str | None,
    product_id: str | None,
    span: Span | None,
    run_id: str | None = None,
    page: int,
    page_size: int,
) -> Listed[ExplanationSaid]:
    """The explained forecasts of the snapshot; of one store, product, span or model run where these are given."""
    wanted = {
        "model_version = ?": run_id,
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "product_id = ?": product_of(lease, product_id) if product_id else None,
        "span = ?": span,
    }
    order = "product_id, store_id, span DESC"  # the next day first
    return await page_from(
        lease, "forecast_explanation", _said, wanted, order=order, page=page, page_size=page_size, model_version=run_id
    )


def _said(*, parts: str, caveats: str, band: float | None, yhat: float, **others: Any) -> ExplanationSaid:
    found = msgspec.json.decode(parts, type=list[Part])
    return ExplanationSaid(
        **others,
        forecast=rounded(yhat),
        parts=[PartSaid(each.name, each.units, each.reason_code, DRIVERS[each.name]) for each in found],
        band=rounded(band),
        caveats=[CaveatSaid(code, CAVEATS[code]) for code in msgspec.json.decode(caveats, type=list[str])],
    )


async def _card(lease: Snapshot, run_id: str) -> dict[str, Any]:
    await _check_current(lease, run_id)
    for row in await lease.rows("cards", "model_card", "run_id = ?", [run_id]):
        return row
    raise NotFound(f"Run {run_id} has no card in this snapshot: materialise forecasts/model_card and publish.")


async def _check_current(lease: Snapshot, run_id: str) -> None:
    """Raises NotFound for an unknown run, Conflict for one that forecasts nothing: it failed, or a later fit took its place."""
    found = await lease.rows("registry", "model_run", "run_id = ?", [run_id])
    if not found:
        raise NotFound(f"No model run has the id '{run_id}'; /api/v1/registry/runs lists them.")
    if found[0]["status"] != "success":
        raise Conflict(f"Run {run_id} forecasts nothing: its status is {found[0]['status']}.")
    if not found[0]["is_current"]:
        raise Conflict(f"Run {run_id} is not of the last fit: its forecasts are published no more. Take one with is_current true.")
