"""The panel made from the core tables: rows scattered into arrays, gaps filled, and each day told why it is what it is."""

from datetime import date

import duckdb
import numpy as np

from pipelines.features.panel import (
    AHEAD,
    CLOSED,
    DISCONTINUED,
    EXACT,
    GROUPS,
    NOT_LAUNCHED,
    STOCKED_OUT,
    Panel,
)
from pipelines.warehouse import Warehouse

MANY = 10
"""Products that a store sells on a usual day; where as many sell nothing it was closed, even if there are rows that say 0."""


def build_panel(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Panel:
    """Scatter core/sales_daily into arrays, a chunk of rows at a time."""
    sales, stores, products = (warehouse.parquet(f"core/{name}") for name in ("sales_daily", "dim_store", "dim_product"))
    [(first, last, most)] = connection.execute(f"SELECT min(date), max(date), max(quantity) FROM {sales}").fetchall()
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE series AS SELECT *, row_number() OVER (ORDER BY store_id, product_id) - 1 AS s "
        f"FROM (SELECT store_id, product_id, min(date) AS first_sold FROM {sales} GROUP BY ALL)"
    )
    index = connection.execute(
        "SELECT store_id, product_id, dense_rank() OVER (ORDER BY store_id) - 1 AS store, "
        "dense_rank() OVER (ORDER BY coalesce(category, '')) - 1 AS category, "
        "dense_rank() OVER (ORDER BY coalesce(category, ''), coalesce(department, '')) - 1 AS department, "
        "dense_rank() OVER (ORDER BY product_id) - 1 AS product, dense_rank() OVER (ORDER BY coalesce(region, '')) - 1 AS region "
        f"FROM series JOIN {stores} USING (store_id) JOIN {products} USING (product_id) ORDER BY s"
    ).fetchnumpy()
    series, days = len(index["store_id"]), (last - first).days + 1
    y = np.full((series, days), np.nan, np.float32 if most <= EXACT else np.float64)
    price = np.full((series, days + AHEAD), np.nan, np.float32)
    kind = "FLOAT" if most <= EXACT else "DOUBLE"
    rows = connection.sql(
        f"SELECT s, (date - ?::DATE)::INT AS d, quantity::{kind} AS q, unit_price::FLOAT AS p "
        f"FROM {sales} JOIN series USING (store_id, product_id)",
        params=[first],
    ).to_arrow_reader(1_000_000)
    for batch in rows:
        s, d, quantity, paid = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        y[s, d] = quantity
        price[s, d] = paid
    state = _states(warehouse, connection, y, first)
    _fill_zeros(y)
    planned = _planned_prices(warehouse, connection, price, first)
    _fill_prices(price)
    events, names = _events(warehouse, connection, days)
    outside_names, outside = _outside(warehouse, connection, first, days)
    return Panel(
        first_day=first,
        store_id=index["store_id"],
        product_id=index["product_id"],
        groups=np.stack([index[name] for name in GROUPS], axis=1).astype(np.int32),
        y=y,
        state=state,
        price=price,
        planned=planned,
        promotion=_promotions(warehouse, connection, first, (series, days + AHEAD)),
        event=events,
        event_names=names,
        outside=outside,
        outside_names=outside_names,
    )


def _planned_prices(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, price: np.ndarray, first: date) -> np.ndarray:
    """Write the prices of core/price_history over those that were paid; gives on which days. A store's own go first."""
    planned = np.zeros(price.shape, dtype=bool)
    end = price.shape[1]
    for own in (False, True):  # chain-wide prices, then those of single stores over them
        found = connection.sql(
            "SELECT s, greatest((valid_from - $first)::INT, 0) AS a, "
            "least(coalesce((valid_to - $first)::INT + 1, $end), $end)::INT AS b, price::FLOAT AS p "
            f"FROM {warehouse.parquet('core/price_history')} h JOIN series ON series.product_id = h.product_id "
            f"AND {'series.store_id = h.store_id' if own else 'h.store_id IS NULL'} "
            "WHERE valid_from < $first + $end::INT AND (valid_to IS NULL OR valid_to >= $first) ORDER BY valid_from",
            params={"first": first, "end": end},
        ).to_arrow_reader(1_000_000)
        for batch in found:
            s, a, b, value = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            length = np.maximum(b - a, 0)
            places = np.repeat(s.astype(np.int64) * end + a, length) + _counting(length)
            price.reshape(-1)[places] = np.repeat(value, length)
            planned.reshape(-1)[places] = True
    return planned


def _promotions(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, first: date, shape: tuple[int, int]) -> np.ndarray:
    """The discount of each series and day in percent, 1 at least; where promotions overlap, the highest."""
    promotion = np.zeros(shape, np.uint8)
    found = connection.execute(
        "SELECT s, greatest((start_date - $first)::INT, 0) AS a, least((end_date - $first)::INT + 1, $end)::INT AS b, "
        "least(greatest(round(coalesce(discount_pct, 0) * 100), 1), 100)::INT AS percent "
        f"FROM {warehouse.parquet('core/promotion')} p JOIN series ON series.product_id = p.product_id "
        "AND (p.store_id IS NULL OR p.store_id = series.store_id) WHERE end_date >= $first AND start_date < $first + $end::INT",
        {"first": first, "end": shape[1]},
    ).fetchall()
    for s, a, b, percent in found:
        promotion[s, a:b] = np.maximum(promotion[s, a:b], percent)
    return promotion


def _events(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, days: int) -> tuple[np.ndarray, np.ndarray]:
    calendar = connection.execute(
        f"SELECT holiday_name FROM {warehouse.parquet('core/dim_calendar')} ORDER BY date LIMIT {days + AHEAD}"
    ).fetchall()
    names = sorted({name for (name,) in calendar if name is not None})
    code = {name: n + 1 for n, name in enumerate(names)}
    events = np.zeros(days + AHEAD, np.int16)
    events[: len(calendar)] = [code.get(name, 0) for (name,) in calendar]
    return events, np.array(names, dtype=np.str_)


def _outside(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, first: date, days: int) -> tuple[np.ndarray, np.ndarray]:
    """The series of core/exogenous by store; those of all stores are those of each, unless a store has its own."""
    source = warehouse.parquet("core/exogenous")
    names = [name for (name,) in connection.execute(f"SELECT DISTINCT name FROM {source} ORDER BY name").fetchall()]
    stores = [store for (store,) in connection.execute("SELECT DISTINCT store_id FROM series ORDER BY store_id").fetchall()]
    outside = np.full((len(names), len(stores), days + AHEAD), np.nan, np.float32)
    rows = connection.execute(
        f"SELECT name, store_id, (date - ?::DATE)::INT AS d, value FROM {source} "
        f"WHERE date >= ?::DATE AND date - ?::DATE < {days + AHEAD} ORDER BY store_id NULLS FIRST",
        [first, first, first],
    ).fetchnumpy()
    place_of_name, place_of_store = {name: n for n, name in enumerate(names)}, {store: n for n, store in enumerate(stores)}
    for name, store, day, value in zip(rows["name"], rows["store_id"], rows["d"], rows["value"], strict=True):
        where = slice(None) if np.ma.is_masked(store) else place_of_store.get(int(store))
        if where is not None:
            outside[place_of_name[name], where, int(day)] = value
    return np.array(names, dtype=np.str_), outside


def _states(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, y: np.ndarray, first: date) -> np.ndarray:
    """Why each day of each series is what it is; `y` is NaN where there is no row of sales.

    Not launched: before the first row, or before the launch that lifecycle or product tell, if nothing was sold then. Closed:
    the store sold nothing at all; where few products sell a day a row of zero says that it was open. Discontinued: after the
    last day on sale, without a sale. Stocked out: the stock says so.
    """
    sold = ~np.isnan(y)
    state = np.zeros(y.shape, dtype=np.int8)
    stores = connection.execute("SELECT dense_rank() OVER (ORDER BY store_id) - 1 AS c FROM series ORDER BY s").fetchnumpy()["c"]
    for store in np.unique(stores):
        rows = stores == store
        selling = np.count_nonzero(y[rows] > 0, axis=0)
        closed = selling == 0
        usual = 0 if closed.all() else np.median(selling[~closed])
        if usual < MANY:
            closed &= ~sold[rows].any(axis=0)
        state[np.ix_(rows, closed)] = CLOSED
    days = np.arange(y.shape[1])
    for s, launched, ended in _lives(warehouse, connection, first):
        if ended is not None:
            state[s, (days > ended) & ~sold[s]] = DISCONTINUED
        if launched is not None:
            state[s, (days < launched) & ~sold[s]] = NOT_LAUNCHED
    seen = np.maximum.accumulate(sold, axis=1)
    state[~seen] = NOT_LAUNCHED
    out = connection.execute(
        f"SELECT s, (date - ?::DATE)::BIGINT AS d FROM {warehouse.parquet('core/demand_unconstrained')} "
        "JOIN series USING (store_id, product_id) WHERE date >= first_sold AND date - ?::DATE < ?",
        [first, first, y.shape[1]],
    ).fetchnumpy()
    state[out["s"], out["d"]] = STOCKED_OUT
    return state


def _lives(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, first: date) -> list[tuple[int, int | None, int | None]]:
    """Series number, first and last day on sale as day numbers, of the series whose lifecycle or product tells them."""
    told = (
        f"SELECT product_id, store_id, launched_on, discontinued_on, 0 AS worth FROM {warehouse.parquet('core/lifecycle')} "
        f"UNION ALL SELECT product_id, NULL, launched_on, discontinued_on, 1 FROM {warehouse.parquet('core/dim_product')} "
        "WHERE launched_on IS NOT NULL OR discontinued_on IS NOT NULL"
    )
    return connection.execute(
        f"SELECT s, (launched_on - ?::DATE)::BIGINT, (discontinued_on - ?::DATE)::BIGINT FROM series JOIN ({told}) l "
        "ON l.product_id = series.product_id AND (l.store_id IS NULL OR l.store_id = series.store_id) "
        "QUALIFY row_number() OVER (PARTITION BY s ORDER BY worth, l.store_id NULLS LAST) = 1",
        [first, first],
    ).fetchall()


def _fill_zeros(y: np.ndarray) -> None:
    """A day without a row is zero from the first row of its series on."""
    for row in y:
        missing = np.isnan(row)
        if not missing.all():
            first = int(np.argmin(missing))
            row[first:][missing[first:]] = 0


def _fill_prices(price: np.ndarray) -> None:
    """Carry prices forward, then back; zero where there is none at all."""
    days = np.arange(price.shape[1])
    for row in price:
        known = ~np.isnan(row)
        if not known.all():
            last = np.maximum.accumulate(np.where(known, days, -1))
            row[:] = row[np.where(last >= 0, last, int(np.argmax(known)))] if known.any() else 0


def _counting(lengths: np.ndarray) -> np.ndarray:
    """0..n-1 for each n of `lengths`, one after the other.

    >>> _counting(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
