"""A what-if over the published forecast: whom it is of, what they cost, and what comes of the assumptions by multiplying."""

from datetime import date
from functools import reduce
from typing import Any

from msgspec import Struct

from assets_config.contract.outlook import Outlook, multiplied, outlook, why_not_days
from assets_config.contract.scenarios import PRIOR, Assumptions, Method, Question, result_hash, why_not_ask
from serving.filters import product_of, store_of
from serving.problems import Conflict, Validation, invalid
from serving.snapshot import Snapshot

LATELY = 28  # days whose mean price is that of the days ahead


class Asked(Struct, frozen=True):
    """A question over the published forecast: whom it is of, and what is known of them."""

    product_id: int
    store_id: int | None
    first: date
    units: list[float]
    versions: list[str]
    price: float | None
    elasticity: float


async def asked_of(lease: Snapshot, question: Question, method: Method) -> Asked:
    """Raises NotFound for an unknown product or store, Validation for what cannot be, Conflict without a forecast."""
    wrong = why_not_ask(question, method)
    if wrong is not None:
        raise _invalid(question, *wrong)
    product = product_of(lease, str(question.product_id))
    store = None if question.store_id is None else store_of(lease, str(question.store_id))
    rows = await _forecast(lease, product, store, question)
    if not rows:
        if not await _is_forecast(lease):
            raise Conflict("Nothing is forecast here yet: a job `materialize` of POST /api/v1/jobs makes forecasts.")
        by = "" if question.run_id is None else f" by run {question.run_id}"
        name = lease.labels["product"][product]
        raise Conflict(f"Product {name} is not forecast here{by}: name another, or leave store or run out.")
    beyond = why_not_days(question, rows[0][0], len(rows))
    if beyond is not None:
        raise _invalid(question, *beyond)
    price = question.assumed.price
    elasticity = price.elasticity if price is not None and price.elasticity is not None else await _elasticity(lease, product)
    versions = sorted({version for _, _, known in rows for version in known})
    price_now = await _price(lease, product, store)
    return Asked(product, store, rows[0][0], [units for _, units, _ in rows], versions, price_now, elasticity)


def _invalid(question: Question, field: str, why: str) -> Validation:
    return invalid(field, reduce(getattr, field.split("."), question), why)


async def _forecast(lease: Snapshot, product: int, store: int | None, question: Question) -> list[tuple[Any, ...]]:
    if not lease.has("forecasts", "forecast"):
        return []
    return await lease.query(
        "SELECT date, sum(yhat ORDER BY store_id), list(DISTINCT model_version) FROM forecasts.forecast "
        "WHERE source = 'forecast' AND product_id = $1 AND ($2::BIGINT IS NULL OR store_id = $2) "
        "AND ($3::TEXT IS NULL OR model_version = $3) "
        "GROUP BY date ORDER BY date LIMIT $4",
        [product, store, question.run_id, question.horizon or 90],
    )


async def _is_forecast(lease: Snapshot) -> bool:
    if not lease.has("forecasts", "forecast"):
        return False
    return bool(await lease.query("SELECT 1 FROM forecasts.forecast WHERE source = 'forecast' LIMIT 1"))


async def _price(lease: Snapshot, product: int, store: int | None) -> float | None:
    [[paid]] = await lease.query(
        "SELECT sum(revenue)::DOUBLE / nullif(sum(units), 0) FROM kpi_daily "
        "WHERE product_id = $1 AND ($2::BIGINT IS NULL OR store_id = $2) AND date > $3::DATE - $4::INT",
        [product, store, lease.manifest.as_of, LATELY],
    )
    listed = next((each.base_price for each in lease.products if each.product_id == product), None)
    return paid if paid is not None else None if listed is None else float(listed)


async def _elasticity(lease: Snapshot, product: int) -> float:
    of = [lease.labels["product"][product]]
    for row in await lease.rows("prices", "price_elasticity", "level = 'product' AND member = ?", of):
        return float(row["elasticity"])
    return PRIOR


def heuristic(asked: Asked, assumed: Assumptions) -> Outlook:
    """What comes of assumptions by arithmetic over the published forecast."""
    demand = multiplied(asked.units, asked.first, assumed, asked.elasticity)
    return outlook(asked.units, demand, asked.first, assumed, asked.price)


def hash_of(asked: Asked, method: Method, assumed: Assumptions) -> str:
    """What a scenario's result is known by: the same hash is the same result."""
    of = {"product_id": asked.product_id, "store_id": asked.store_id, "method": method, "assumed": assumed}
    return result_hash(asked.versions, asked.first, len(asked.units), **of)  # type: ignore[arg-type]
