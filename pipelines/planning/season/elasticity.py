"""How demand answers to prices: units on ln price in each month of each series, beside promotions, weekdays, holidays."""

from collections.abc import Iterable

import duckdb
import numpy as np
from msgspec import Struct

from assets_config.contract.scenarios import PRIOR
from assets_config.contract.season import ElasticityLevel, ElasticitySource, PriceElasticity
from pipelines.warehouse import Warehouse

SPREAD = 1.0  # how far categories are from PRIOR; sd
AMONG = 0.3  # how far products are from their category; sd
LOW, HIGH = -5.0, -0.1
FEWEST_CHANGES = 8
ROUNDS = 25
DAYS, SERIES = 730, 500  # of a category, that are looked at
RAMP = 28  # days after its first sale that a series is not looked at: its demand rises whatever it costs


class Estimate(Struct, frozen=True):
    """An elasticity, from so many rows and changes of price; None where prices tell nothing."""

    value: float | None
    std_error: float | None
    rows: int
    changes: int


class Days(Struct, frozen=True):
    """Days of series with units sold and price, sorted by series and day. [N]"""

    series: np.ndarray
    level: np.ndarray  # a number for each month of each series, whose usual demand is its own
    sku: np.ndarray
    units: np.ndarray
    price: np.ndarray
    columns: np.ndarray  # [N, K] what else moves units: promotion, holiday, weekdays

    def of(self, sku: str) -> "Days":
        """Those of one product."""
        rows = self.sku == sku
        return Days(*(getattr(self, name)[rows] for name in self.__struct_fields__))


def elasticities(warehouse: Warehouse) -> list[PriceElasticity]:
    """One row a category and one a product of it, from the last two years of the series that sold most.

    Days out of stock or without a price do not count; those without a row do, as days without a sale. A category's estimate is
    drawn to the prior, a product's to its category's, each by the inverse of its variance. A category by the name of null is left
    out.
    """
    found: list[PriceElasticity] = []
    with duckdb.connect(config={"threads": 2}) as connection:
        _lives(warehouse, connection)
        for category, skus in _names(warehouse, connection).items():
            days = _days(warehouse, connection, category)
            whole = settled("category", category, estimate(days), PRIOR, SPREAD)
            found += [whole, *(settled("product", sku, estimate(days.of(sku)), whole.elasticity, AMONG) for sku in skus)]
    return found


def estimate(days: Days) -> Estimate:
    """The slope of ln(mean units) over ln(price), each month of each series having a level of its own.

    A Poisson regression, by weighted least squares. Days without a sale count, as they must where a series sells less than one
    a day: leaving them out draws the slope to zero. The standard error allows for noise beyond Poisson's.
    """
    rows, level, units = len(days.units), days.level, days.units
    changes = int(((np.diff(days.series) == 0) & (np.diff(days.price) != 0)).sum())
    x = np.column_stack([np.log(days.price), days.columns])
    free = rows - len(np.unique(level)) - x.shape[1]
    if changes < FEWEST_CHANGES or free <= 0:
        return Estimate(None, None, rows, changes)
    mean, found = units + units.mean(), np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        wanted = np.log(mean) + (units - mean) / mean
        inner = _within(np.column_stack([wanted, x]), level, mean)
        inverse = np.linalg.pinv(inner[:, 1:].T @ (inner[:, 1:] * mean[:, None]))
        before, found = found, inverse @ (inner[:, 1:].T @ (inner[:, 0] * mean))
        mean = np.exp(np.clip(wanted - inner[:, 0] + inner[:, 1:] @ found, -30, 30))
        if np.abs(found - before).max() < 1e-9:
            break
    noise = float(((units - mean) ** 2 / mean).sum() / free)
    error = float(np.sqrt(max(noise, 1.0) * inverse[0, 0]))
    if not (np.isfinite(error) and error > 0):
        return Estimate(None, None, rows, changes)
    return Estimate(float(found[0]), error, rows, changes)


def settled(level: ElasticityLevel, member: str, own: Estimate, prior: float, spread: float) -> PriceElasticity:
    """An estimate drawn to a prior, and within what is plausible; the prior where it is not, or tells nothing."""

    def told(value: float, source: ElasticitySource, flag: str | None) -> PriceElasticity:
        return PriceElasticity(level, member, value, own.value, own.std_error, own.rows, own.changes, source, flag)

    if own.value is None or own.std_error is None:
        return told(prior, "prior", "sparse")
    if own.value > 0:
        return told(prior, "prior", "implausible")
    known, assumed = 1 / max(own.std_error, 1e-9) ** 2, 1 / spread**2
    value = (known * own.value + assumed * prior) / (known + assumed)
    bounded = min(max(value, LOW), HIGH)
    return told(bounded, "own" if known > 99 * assumed else "shrunk", None if bounded == value else "clamped")


def by_category(rows: Iterable[PriceElasticity]) -> dict[str | None, float]:
    """What plans use: the elasticity of each category, and under None the mean of all, by what they were estimated from."""
    found: dict[str | None, float] = {}
    weight = total = 0.0
    for each in rows:
        if each.level == "category":
            found[each.member] = each.elasticity
            total, weight = total + each.elasticity * each.rows, weight + each.rows
    found[None] = total / weight if weight else PRIOR
    return found


def _names(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        f"SELECT category, sku FROM {warehouse.parquet('core/dim_product')} WHERE category IS NOT NULL ORDER BY category, sku"
    ).fetchall()
    for category, sku in rows:
        found.setdefault(category, []).append(sku)
    return found


def _lives(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `life`: a series' first row of all, the first and last one of the days looked at, and units then."""
    sales = warehouse.parquet("core/sales_daily")
    connection.execute(
        f"CREATE TEMP TABLE life AS WITH last AS (SELECT max(date) - {DAYS}::INT AS day FROM {sales}) "
        "SELECT store_id, product_id, min(date) AS first, min(date) FILTER (date > day) AS begun, max(date) AS ended, "
        f"sum(quantity) FILTER (date > day) AS sold FROM {sales}, last GROUP BY ALL HAVING begun IS NOT NULL"
    )


def _days(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, category: str) -> Days:
    """The days of the largest series of a category, from the first row of each to its last one.

    Tills send no zeros, and the days that sold are no fair sample: a day without a row is one without a sale. Its price is what was
    last paid, moved as the planned price and the cuts of promotions have moved since.
    """
    sales, products, promotions, calendar, out, prices = (
        warehouse.parquet(f"core/{name}")
        for name in ("sales_daily", "dim_product", "promotion", "dim_calendar", "demand_unconstrained", "price_history")
    )
    rows = connection.execute(
        f"""
        WITH largest AS (
            SELECT store_id, product_id, sku, first, begun, ended FROM life JOIN {products} USING (product_id)
            WHERE category = $category ORDER BY sold DESC, store_id, product_id LIMIT {SERIES}
        ),
        every AS (
            SELECT store_id, product_id, sku, first, unnest(generate_series(begun, ended, INTERVAL 1 DAY))::DATE AS date
            FROM largest
        ),
        cut AS (
            SELECT e.store_id, e.product_id, e.date, max(coalesce(discount_pct, 0))::DOUBLE AS share,
                   max(coalesce(discount_amount, 0))::DOUBLE AS amount
            FROM every e JOIN {promotions} d ON d.product_id = e.product_id AND (d.store_id IS NULL OR d.store_id = e.store_id)
             AND e.date >= d.start_date AND e.date <= d.end_date
            GROUP BY ALL
        ),
        price AS (SELECT * FROM {prices} SEMI JOIN largest USING (product_id)),
        plan AS (
            SELECT e.store_id, e.product_id, e.date,
                   coalesce(CASE WHEN o.valid_to IS NULL OR e.date <= o.valid_to THEN o.price END,
                            CASE WHEN c.valid_to IS NULL OR e.date <= c.valid_to THEN c.price END)::DOUBLE AS listed
            FROM every e
            ASOF LEFT JOIN price o ON o.product_id = e.product_id AND o.store_id = e.store_id AND o.valid_from <= e.date
            ASOF LEFT JOIN (SELECT * FROM price WHERE store_id IS NULL) c ON c.product_id = e.product_id AND c.valid_from <= e.date
        ),
        told AS (
            SELECT e.*, coalesce(quantity, 0) AS quantity, CASE WHEN unit_price > 0 THEN unit_price::DOUBLE END AS paid,
                   cut.date IS NOT NULL AS promotion, 1 - coalesce(share, 0) AS rest, coalesce(amount, 0) AS amount,
                   listed IS NOT NULL AS is_planned, coalesce(listed, 1) AS listed
            FROM every e LEFT JOIN {sales} USING (store_id, product_id, date)
            LEFT JOIN cut USING (store_id, product_id, date) JOIN plan USING (store_id, product_id, date)
        ),
        priced AS (
            SELECT *, date_trunc('month', date) AS month,
                   coalesce(paid, rest * listed * last_value((paid + amount) / nullif(rest * listed, 0) IGNORE NULLS) OVER (
                       PARTITION BY store_id, product_id, is_planned ORDER BY date) - amount) AS price
            FROM told
        )
        SELECT dense_rank() OVER (ORDER BY r.store_id, r.product_id) AS series,
               dense_rank() OVER (ORDER BY r.store_id, r.product_id, r.month) AS level, sku, quantity, price,
               isodow(r.date) AS weekday, holiday_name IS NOT NULL AS holiday, promotion
        FROM priced r LEFT JOIN {calendar} c ON c.date = r.date
        ANTI JOIN {out} u ON u.store_id = r.store_id AND u.product_id = r.product_id AND u.date = r.date
        WHERE r.date >= first + {RAMP}::INT AND quantity >= 0 AND price > 0
        QUALIFY sum(quantity) OVER (PARTITION BY r.store_id, r.product_id, r.month) > 0 ORDER BY series, r.date
        """,
        {"category": category},
    ).fetchnumpy()
    weekdays = rows["weekday"][:, None] == np.arange(2, 8)
    columns = np.column_stack([rows["promotion"], rows["holiday"], weekdays]).astype(np.float64)
    return Days(rows["series"], rows["level"], rows["sku"], rows["quantity"].astype(np.float64), rows["price"], columns)


def _within(x: np.ndarray, level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each column less its weighted mean of the level; rows are sorted by level. [N, K]"""
    _, first, count = np.unique(level, return_index=True, return_counts=True)
    means = np.add.reduceat(x * weight[:, None], first, axis=0) / np.add.reduceat(weight, first)[:, None]
    return x - np.repeat(means, count, axis=0)
