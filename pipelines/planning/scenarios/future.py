"""The days ahead of a product: as they are forecast, and as its model would forecast them with other prices and events."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct, structs

from assets_config.contract.outlook import holds
from assets_config.contract.scenarios import Assumptions, Question
from assets_config.declared import Model
from pipelines.errors import PipelineError
from pipelines.features.panel import Panel, read_panel
from pipelines.models.fits import fitted, read_artifact
from pipelines.models.types import module_of
from pipelines.warehouse import Warehouse


class Baseline(Struct, frozen=True):
    """What is forecast of a product, in one store or in all."""

    product_id: int
    sku: str
    store_id: int | None
    first: date
    units: list[float]
    versions: list[str]  # model runs


def forecast_of(warehouse: Warehouse, asked: Question) -> Baseline:
    """The published forecast of what is asked for. Raises PipelineError, naming what is not there."""
    product = _entity(warehouse, "product", str(asked.product_id))
    store = None if asked.store_id is None else _entity(warehouse, "store", str(asked.store_id))
    rows = warehouse.read("forecasts/forecast").filter(source="forecast", product_id=product["product_id"])
    if store is not None:
        rows = rows.filter(store_id=store["store_id"])
    if asked.run_id is not None:
        rows = rows.filter(model_version=asked.run_id)
    days = rows.group_by("date").agg(pl.col("yhat").sum()).sort("date").head(asked.horizon or 90)
    if days.is_empty():
        by = "" if asked.run_id is None else f" by run {asked.run_id}"
        where = "" if store is None else f" in store {store['code']}"
        raise PipelineError(f"product {product['sku']}{where} is not forecast{by}: materialise forecasts/forecast first")
    return Baseline(
        product_id=product["product_id"],
        sku=product["sku"],
        store_id=None if store is None else store["store_id"],
        first=days["date"][0],
        units=days["yhat"].to_list(),
        versions=rows["model_version"].unique().sort().to_list(),
    )


def asked_of_model(warehouse: Warehouse, asked: Question, found: Baseline) -> tuple[list[float], list[float]]:
    """What a model that learns from features forecasts of the series, with the days ahead as planned and as assumed.

    The same artifact and the same past for both; nothing after the last day of sales is known to either. With nothing assumed
    both are the same to the bit. The run is the one that is asked for, else the first fitted type that learns from features.

    Raises PipelineError, where there is no such fit or the calendar has no such holiday.
    """
    fit = _fit(warehouse, asked)
    panel, module = read_panel(warehouse), module_of(Model(fit["model_type"]))
    days = min(int(fit["horizon"]), len(found.units))
    rows = panel.product_id == found.product_id
    if found.store_id is not None:
        rows &= panel.store_id == found.store_id
    artifact = read_artifact(warehouse, fit["run_id"], fit["artifact_uri"], fit["artifact_hash"])
    pair = []
    for each in (panel, supposed(panel, rows, found.first, days, asked.assumed)):
        units = module.predict(artifact, each, horizon=days)[rows].sum(axis=0, dtype=np.float64)
        pair.append(units.tolist())
    return pair[0], pair[1]


def supposed(panel: Panel, rows: np.ndarray, first: date, days: int, assumed: Assumptions) -> Panel:
    """The panel with other prices, promotions and events ahead; the past and all that is not assumed stay to the bit.

    Takes    rows: bool [S], the series that are asked for; first: the first day ahead. A holiday is one for all series.
    Raises   PipelineError, naming the holidays that the calendar has.
    """
    changed = panel
    at = {first + timedelta(days=n): panel.days + n for n in range(days)}
    if assumed.price is not None:
        price, planned = panel.price.copy(), panel.planned.copy()
        columns = [n for day, n in at.items() if holds(assumed.price, day)]
        price[np.ix_(rows, np.array(columns, dtype=np.intp))] *= np.float32(1 + assumed.price.change)
        planned[rows, panel.days :] = True  # what is assumed of a price is known ahead, and what is not, too
        changed = structs.replace(changed, price=price, planned=planned)
    if assumed.promotion is not None:
        promotion = panel.promotion.copy()
        columns = [n for day, n in at.items() if holds(assumed.promotion, day)]
        promotion[np.ix_(rows, np.array(columns, dtype=np.intp))] = max(round(assumed.promotion.discount * 100), 1)
        changed = structs.replace(changed, promotion=promotion)
    if assumed.holiday is not None:
        names, event = panel.event_names.tolist(), panel.event.copy()
        if assumed.holiday.name not in names:
            raise PipelineError(f"the calendar has no holiday {assumed.holiday.name}; it has {', '.join(names) or 'none'}")
        event[[n for day, n in at.items() if day in assumed.holiday.dates]] = names.index(assumed.holiday.name) + 1
        changed = structs.replace(changed, event=event)
    return changed


def _fit(warehouse: Warehouse, asked: Question) -> dict[str, Any]:
    known = [row for row in fitted(warehouse).iter_rows(named=True) if row["feature_set"] is not None]
    chosen = [row for row in known if asked.run_id is None or row["run_id"] == asked.run_id]
    if not chosen:
        types = ", ".join(f"{row['model_type']} ({row['run_id']})" for row in known) or "none"
        raise PipelineError(f"model_exogenous needs a fit that learns from features; there are: {types}")
    return chosen[0]


def _entity(warehouse: Warehouse, noun: str, text: str) -> dict[str, Any]:
    """The row of a store or product by code or SKU, or by id."""
    code = "sku" if noun == "product" else "code"
    rows = warehouse.read(f"core/dim_{noun}")
    for row in rows.filter(pl.col(code) == text).iter_rows(named=True):
        return row
    for row in rows.filter(pl.col(f"{noun}_id").cast(pl.String) == text).iter_rows(named=True):
        return row
    raise PipelineError(f"no {noun} is called {text[:60]}")
