"""What a category sold in each store on each day before a season, and what it cost."""

from datetime import date, timedelta

import duckdb
import numpy as np
from msgspec import Struct

from assets_config.contract.names import UNKNOWN
from pipelines.errors import PipelineError
from pipelines.warehouse import Warehouse

YEAR = 364  # days, in whole weeks


class History(Struct, frozen=True):
    """The sales of a category up to a cutoff: S stores by code, T days."""

    first_day: date
    store_id: list[int]
    code: list[str]
    cluster: list[str]
    units: np.ndarray  # [S, T] float64; what was not on the shelf counts as it would have sold
    holiday: np.ndarray  # [T + days ahead] int16: a number for each holiday, 0 on other days
    price: float  # mean of the year before the cutoff, by units
    cost: float | None

    @property
    def last_year(self) -> np.ndarray:
        """[S] units of the year before the cutoff."""
        return self.units[:, -YEAR:].sum(axis=1)


def read_history(warehouse: Warehouse, category: str | None, cutoff: date, *, ahead: int) -> History:
    """Read it from the core tables. `ahead`: days after the cutoff that holidays are told of.

    Every store that is open at the cutoff is named, also one that sold nothing. Clusters are those of planning/store_cluster; where
    a store has none, its cluster is the tier of its location.

    Raises PipelineError, naming the category, where it sold nothing.
    """
    sales, products, stores, calendar, out = (
        warehouse.parquet(f"core/{name}")
        for name in ("sales_daily", "dim_product", "dim_store", "dim_calendar", "demand_unconstrained")
    )
    given = {"category": category, "cutoff": cutoff}
    of = f"JOIN {products} p USING (product_id) WHERE date <= $cutoff AND ($category IS NULL OR p.category = $category)"
    with duckdb.connect(config={"threads": 2}) as connection:
        rows = connection.execute(
            f"SELECT store_id, date, sum(units) FROM (SELECT store_id, product_id, date, quantity AS units FROM {sales} UNION ALL "
            f"SELECT store_id, product_id, date, unconstrained - sold FROM {out} WHERE unconstrained > sold) {of} GROUP BY ALL",
            given,
        ).fetchall()
        known = connection.execute(
            f"SELECT store_id, code, coalesce(location_tier, '{UNKNOWN}') FROM {stores} "
            "WHERE closed_on IS NULL OR closed_on > ? ORDER BY code",
            [cutoff],
        ).fetchall()
        [(price, cost)] = connection.execute(
            f"SELECT sum(total_amount) / nullif(sum(quantity), 0), "
            "sum(quantity * p.base_cost) / nullif(sum(quantity) FILTER (p.base_cost IS NOT NULL), 0) "
            f"FROM {sales} s {of} AND date > $cutoff - {YEAR}::INT",
            given,
        ).fetchall()
        if not rows:
            said = connection.execute(f"SELECT DISTINCT category FROM {products} WHERE category IS NOT NULL ORDER BY 1").fetchall()
            raise PipelineError(f"category {category} sold nothing up to {cutoff}; there are {', '.join(name for (name,) in said)}")
        first = min(day for _, day, _ in rows)
        days = (cutoff - first).days + 1
        holidays = connection.execute(
            f"SELECT date, holiday_name FROM {calendar} WHERE holiday_name IS NOT NULL AND date >= ? ORDER BY date", [first]
        ).fetchall()
    members = warehouse.previous("planning/store_cluster_member")
    alike = {} if members is None else dict(members.select("store_id", "cluster_name").iter_rows())
    place = {store: n for n, (store, _, _) in enumerate(known)}
    units = np.zeros((len(known), days))
    for store, day, quantity in rows:
        if store in place:
            units[place[store], (day - first).days] = max(quantity, 0)
    names = {name: n + 1 for n, name in enumerate(sorted({name for _, name in holidays}))}
    holiday = np.zeros(days + ahead, dtype=np.int16)
    for day, name in holidays:
        if day <= cutoff + timedelta(days=ahead):
            holiday[(day - first).days] = names[name]
    return History(
        first_day=first,
        store_id=[store for store, _, _ in known],
        code=[code for _, code, _ in known],
        cluster=[alike.get(store, tier) for store, _, tier in known],
        units=units,
        holiday=holiday,
        price=float(price or 0),
        cost=None if cost is None else float(cost),
    )
