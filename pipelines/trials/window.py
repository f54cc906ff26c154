"""The part of the panel that a trial sees: some series, on some days."""

from datetime import date

import duckdb
import msgspec
import numpy as np

from assets_config.contract.trials import Entity
from pipelines.errors import PipelineError
from pipelines.features.panel import AHEAD, Panel, read_panel
from pipelines.features.scatter import build_panel
from pipelines.warehouse import Warehouse


def panel_of_now(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Panel:
    """features/panel; built in memory where it is missing or of other core tables, as after days were brought in.

    Raises PipelineError, when the core tables are written meanwhile.
    """
    try:
        return read_panel(warehouse)
    except PipelineError:
        before = warehouse.dataset_id()
        panel = build_panel(warehouse, connection)
        if warehouse.dataset_id() != before:
            raise PipelineError("the core tables were made again while they were read: run the job again") from None
        return panel


def ids(warehouse: Warehouse, store: Entity | None, product: Entity | None) -> tuple[int | None, int | None]:
    """The ids of a store and a product given by id or code. Raises PipelineError for a code that there is not."""
    return _id(warehouse, "core/dim_store", "store_id", "code", store), _id(
        warehouse, "core/dim_product", "product_id", "sku", product
    )


def cut(panel: Panel, store_id: int | None, product_id: int | None, start: date | None, end: date | None) -> Panel:
    """The series of a store and a product, both or all, from a first day to a last one; what is planned reaches on.

    Raises PipelineError, when there is no such series, or the days are not those of the panel.
    """
    first, last = panel.first_day, panel.day(panel.days - 1)
    start, end = start or first, end or last
    if not first <= start <= end <= last:
        raise PipelineError(f"the days {start} to {end} are not among those of the sales, {first} to {last}")
    rows = np.ones(panel.series, dtype=bool)
    for wanted, of_series in ((store_id, panel.store_id), (product_id, panel.product_id)):
        if wanted is not None:
            rows &= of_series == wanted
    if not rows.any():
        raise PipelineError(f"no series is of store {store_id or 'any'} and product {product_id or 'any'}: it never sold there")
    a, b = (start - first).days, (end - first).days + 1
    seen, days = panel.until(b), slice(a, b + AHEAD)
    return msgspec.structs.replace(
        seen,
        first_day=start,
        store_id=seen.store_id[rows],
        product_id=seen.product_id[rows],
        groups=seen.groups[rows],
        y=seen.y[rows, a:b],
        state=seen.state[rows, a:b],
        price=seen.price[rows, days],
        planned=seen.planned[rows, days],
        promotion=seen.promotion[rows, days],
        event=seen.event[days],
        outside=seen.outside[:, :, days],
    )


def observations(panel: Panel) -> int:
    """Days with a known demand, of all series."""
    return int((~np.isnan(panel.y)).sum())


def _id(warehouse: Warehouse, key: str, column: str, code: str, given: Entity | None) -> int | None:
    if given is None or isinstance(given, int):
        return given
    for row in warehouse.read(key).filter(**{code: given}).iter_rows(named=True):
        return int(row[column])
    raise PipelineError(f"{key} has no {code} {given}")
