"""The dense panel: demand and price of every series on every day, as arrays [series, day].

A series is one store x product that ever sold. Demand is NaN before its first row; a later day without a row is zero,
as tills export nothing for what was not sold. `state` says why a day is what it is, so that
zero demand is not confused with a closed store or an empty shelf. Prices are carried forward, and back to the first day.
"""

from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import duckdb
import msgspec
import numpy as np

from assets_config.contract.durable import replacing
from pipelines.errors import PipelineError
from pipelines.warehouse import Warehouse

OPEN, NOT_LAUNCHED, CLOSED, STOCKED_OUT, DISCONTINUED = range(5)
STATES = ("open", "not_launched", "closed", "stocked_out", "discontinued")
"""The states of a series on a day: what was not sold on an open day was not wanted; on the others it could not be bought."""


class Panel(msgspec.Struct, frozen=True):
    """S series x T days."""

    first_day: date
    store_id: np.ndarray  # [S] int64
    product_id: np.ndarray  # [S] int64
    groups: np.ndarray  # [S, 3] int16: codes of store, category, department, for pooled models
    y: np.ndarray  # [S, T] float32, units a day, NaN before the first sale
    price: np.ndarray  # [S, T] float32, money a unit
    holiday: np.ndarray  # [T + 90] bool, known ahead
    state: np.ndarray  # [S, T] int8, a position in STATES

    @property
    def days(self) -> int:
        return int(self.y.shape[1])

    @property
    def series(self) -> int:
        return int(self.y.shape[0])

    def day(self, n: int) -> date:
        """The date of column n; n may lie past the end."""
        return self.first_day + timedelta(days=n)

    def until(self, days: int) -> "Panel":
        """The panel as it was known after its first `days` days; the calendar stays, it is known ahead."""
        return msgspec.structs.replace(self, y=self.y[:, :days], price=self.price[:, :days], state=self.state[:, :days])


def panel_path(warehouse: Warehouse) -> Path:
    return warehouse.folder / "features" / "panel" / "panel.npz"


def write_panel(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Panel:
    """Build the panel from the core tables and write it as one .npz, in one step."""
    panel = build_panel(warehouse, connection)
    with replacing(panel_path(warehouse)) as beside, beside.open("wb") as file:
        content = BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            first_day=np.array(panel.first_day.isoformat()),
            dataset_id=np.array(warehouse.dataset_id()),
            **_arrays(panel),
        )
        file.write(content.getbuffer())
    return panel


def read_panel(warehouse: Warehouse) -> Panel:
    """The panel as it was written.

    Raises PipelineError, when features/panel was never materialised or was made from other core tables.
    """
    path = panel_path(warehouse)
    if not path.exists():
        raise PipelineError("features/panel is not there yet: materialise features/panel first")
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["dataset_id"]) != warehouse.dataset_id():
            raise PipelineError("features/panel was made from other core tables: materialise features/panel again")
        arrays = {name: stored[name] for name in stored.files if name not in ("first_day", "dataset_id")}
        return Panel(first_day=date.fromisoformat(str(stored["first_day"])), **arrays)


def build_panel(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Panel:
    """Scatter core/sales_daily into arrays, a chunk of rows at a time."""
    sales, stores, products, calendar = (
        warehouse.parquet(f"core/{name}") for name in ("sales_daily", "dim_store", "dim_product", "dim_calendar")
    )
    [(first, last)] = connection.execute(f"SELECT min(date), max(date) FROM {sales}").fetchall()
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE series AS SELECT *, row_number() OVER (ORDER BY store_id, product_id) - 1 AS s "
        f"FROM (SELECT store_id, product_id, min(date) AS first_sold FROM {sales} GROUP BY ALL)"
    )
    index = connection.execute(
        "SELECT store_id, product_id, dense_rank() OVER (ORDER BY store_id) - 1 AS store_code, "
        "dense_rank() OVER (ORDER BY coalesce(category, '')) - 1 AS category_code, "
        "dense_rank() OVER (ORDER BY coalesce(category, ''), coalesce(department, '')) - 1 AS department_code "
        f"FROM series JOIN {stores} USING (store_id) JOIN {products} USING (product_id) ORDER BY s"
    ).fetchnumpy()
    shape = (len(index["store_id"]), (last - first).days + 1)
    y, price = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    rows = connection.sql(
        f"SELECT s, (date - ?::DATE)::INT AS d, quantity::FLOAT AS q, unit_price::FLOAT AS p "
        f"FROM {sales} JOIN series USING (store_id, product_id)",
        params=[first],
    ).to_arrow_reader(1_000_000)
    for batch in rows:
        s, d, quantity, paid = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        y[s, d] = quantity
        price[s, d] = paid
    state = _states(warehouse, connection, y, first)
    _fill_gaps(y, price)
    holiday = connection.execute(f"SELECT is_holiday FROM {calendar} ORDER BY date").fetchnumpy()["is_holiday"]
    groups = np.stack([index[f"{name}_code"] for name in ("store", "category", "department")], axis=1).astype(np.int16)
    return Panel(first, index["store_id"], index["product_id"], groups, y, price, np.asarray(holiday, dtype=bool), state)


def _states(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, y: np.ndarray, first: date) -> np.ndarray:
    """Why each day of each series is what it is; `y` is NaN where there is no row of sales.

    Not launched: before the first row, or before the launch that lifecycle or product tell, if nothing was sold then. Closed:
    the store sold nothing at all. Discontinued: after the last day on sale, without a sale. Stocked out: the stock says so.
    """
    sold = ~np.isnan(y)
    state = np.zeros(y.shape, dtype=np.int8)
    stores = connection.execute("SELECT dense_rank() OVER (ORDER BY store_id) - 1 AS c FROM series ORDER BY s").fetchnumpy()["c"]
    for store in np.unique(stores):
        rows = stores == store
        state[np.ix_(rows, ~np.any(y[rows] > 0, axis=0))] = CLOSED
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


def _fill_gaps(y: np.ndarray, price: np.ndarray) -> None:
    started = np.zeros(len(y), dtype=bool)
    for d in range(y.shape[1]):
        missing = np.isnan(y[:, d])
        y[started & missing, d] = 0
        started |= ~missing
        if d:
            unknown = np.isnan(price[:, d])
            price[unknown, d] = price[unknown, d - 1]
    for d in range(y.shape[1] - 2, -1, -1):
        unknown = np.isnan(price[:, d])
        price[unknown, d] = price[unknown, d + 1]
    np.nan_to_num(price, copy=False)


def _arrays(panel: Panel) -> dict[str, np.ndarray]:
    return {name: getattr(panel, name) for name in panel.__struct_fields__ if name != "first_day"}
