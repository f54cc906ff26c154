"""Saved scenarios with their days: what people asked for, kept as it was worked out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb
import msgspec
import polars as pl

from assets_config.contract.durable import locked
from assets_config.contract.outlook import multiplied, outlook, why_not_days
from assets_config.contract.scenarios import (
    MOST,
    PRIOR,
    DeleteScenarioParams,
    Question,
    Scenario,
    ScenarioDay,
    ScenarioParams,
    result_hash,
    why_not_ask,
)
from pipelines.errors import PipelineError
from pipelines.planning.scenarios.future import Baseline, asked_of_model, forecast_of
from pipelines.shapes import empty, frame_of
from pipelines.warehouse import Warehouse

SCENARIOS, DAYS = "planning/scenario", "planning/scenario_day"
LATELY = 28  # days whose mean price is that of the days ahead


@contextmanager
def changing(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of the saved scenarios; waits for another process that holds it."""
    with locked(warehouse.folder / "planning" / "scenarios.lock"):
        yield


def change_scenarios(
    warehouse: Warehouse, commands: Sequence[ScenarioParams | DeleteScenarioParams], *, at: datetime, by: str
) -> None:
    """Carry out commands on the saved scenarios, all or none; without any they stay as they are, to the byte.

    Takes    at: now, in UTC without a zone; by: the job, whose id a scenario gets.
    Raises   PipelineError, naming what cannot be: a product, a store, a run, a day, or one scenario too many.
    """
    with changing(warehouse):
        saved, days = _rows(warehouse, SCENARIOS), _rows(warehouse, DAYS)
        for command in commands:
            if isinstance(command, DeleteScenarioParams):
                gone = pl.col("scenario_id") == command.scenario_id
                saved, days = saved.filter(~gone), days.filter(~gone)
            elif by not in saved["scenario_id"].to_list():
                if saved.height >= MOST:
                    raise PipelineError(f"{MOST} scenarios are saved: delete one first")
                made, rows = worked_out(warehouse, command, at=at, by=by)
                saved = pl.concat([saved, frame_of(Scenario, [made])])
                days = pl.concat([days, frame_of(ScenarioDay, rows)])
        for key, frame in ((DAYS, days), (SCENARIOS, saved)):
            warehouse.write_changed(key, frame)


def worked_out(warehouse: Warehouse, asked: ScenarioParams, *, at: datetime, by: str) -> tuple[Scenario, list[ScenarioDay]]:
    """A scenario with its days. Raises PipelineError, naming what it asks for and is not there."""
    wrong = why_not_ask(asked, asked.method)
    if wrong is not None:
        raise PipelineError(f"{wrong[0]} {wrong[1]}")
    assumed, found = asked.assumed, forecast_of(warehouse, asked)
    wrong = why_not_days(asked, found.first, len(found.units))
    if wrong is not None:
        raise PipelineError(f"{wrong[0]} {wrong[1]}")
    elasticity, price = _elasticity(warehouse, asked, found), _price(warehouse, found)
    if asked.method == "heuristic":
        baseline, demand = found.units, multiplied(found.units, found.first, assumed, elasticity)
    else:
        baseline, demand = asked_of_model(warehouse, asked, found)
    told = outlook(baseline, demand, found.first, assumed, price)
    made = Scenario(
        scenario_id=by,
        name=asked.name,
        method=asked.method,
        question=msgspec.json.encode({name: getattr(asked, name) for name in Question.__struct_fields__}).decode(),
        tags=json.dumps(list(dict.fromkeys(asked.tags))),
        cloned_from=asked.cloned_from,
        product_id=found.product_id,
        store_id=found.store_id,
        result_hash=result_hash(
            found.versions,
            found.first,
            len(baseline),
            product_id=found.product_id,
            store_id=found.store_id,
            method=asked.method,
            assumed=assumed,
        ),
        model_version=found.versions[0] if len(found.versions) == 1 else None,
        elasticity=elasticity,
        baseline_units=told.baseline_units,
        units=told.units,
        lost=told.lost,
        baseline_revenue=told.baseline_revenue,
        revenue=told.revenue,
        created_at=at,
    )
    return made, [ScenarioDay(by, *each) for each in told.days]


def _elasticity(warehouse: Warehouse, asked: Question, found: Baseline) -> float:
    """The one that is asked for, else the estimate for the product, else what is assumed of any."""
    price = asked.assumed.price
    if price is not None and price.elasticity is not None:
        return price.elasticity
    key = "planning/price_elasticity"
    rows = warehouse.read(key).filter(level="product", member=found.sku) if warehouse.path(key).exists() else pl.DataFrame()
    return PRIOR if rows.is_empty() else float(rows["elasticity"][0])


def _price(warehouse: Warehouse, found: Baseline) -> float | None:
    """Mean price of the last days, else the list price; None where neither is known."""
    with duckdb.connect() as connection:
        sales, products = warehouse.parquet("core/sales_daily"), warehouse.parquet("core/dim_product")
        [(paid,)] = connection.execute(
            f"SELECT sum(total_amount)::DOUBLE / nullif(sum(quantity), 0) FROM {sales} WHERE product_id = $product "
            f"AND ($store IS NULL OR store_id = $store) AND date > (SELECT max(date) FROM {sales}) - {LATELY}::INT",
            {"product": found.product_id, "store": found.store_id},
        ).fetchall()
        if paid is not None:
            return float(paid)
        [(listed,)] = connection.execute(f"SELECT base_price FROM {products} WHERE product_id = ?", [found.product_id]).fetchall()
    return None if listed is None else float(listed)


def _rows(warehouse: Warehouse, key: str) -> pl.DataFrame:
    shape = Scenario if key == SCENARIOS else ScenarioDay
    return warehouse.read(key) if warehouse.path(key).exists() else empty(shape)
