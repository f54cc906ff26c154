"""The dense panel: demand and price of every series on every day, as arrays [series, day].

A series is one store x product that ever sold. Demand is NaN before its first row; a later day without a row is zero,
as tills export nothing for what was not sold. `state` says why a day is what it is, so that
zero demand is not confused with a closed store or an empty shelf.

What is planned is known ahead and reaches AHEAD days past the end: prices on days of price intervals, promotions, events and
series from outside. Prices of all other days are those paid, carried forward, and back to the first day.
"""

from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np

from assets_config.contract.durable import replacing
from pipelines.errors import PipelineError
from pipelines.warehouse import Warehouse

OPEN, NOT_LAUNCHED, CLOSED, STOCKED_OUT, DISCONTINUED = range(5)
GROUPS = ("store", "category", "department", "product", "region")
STATES = ("open", "not_launched", "closed", "stocked_out", "discontinued")
"""The states of a series on a day: what was not sold on an open day was not wanted; on the others it could not be bought."""


AHEAD = 90
"""Days past the last sale that known-ahead arrays reach."""
EXACT = 2**24
"""Counts above this are not exact in float32; a panel that holds one is float64."""


class Panel(msgspec.Struct, frozen=True):
    """S series x T days."""

    first_day: date
    store_id: np.ndarray  # [S] int64
    product_id: np.ndarray  # [S] int64
    groups: np.ndarray  # [S, 5] int32: codes of GROUPS, for pooled models
    y: np.ndarray  # [S, T] float32 (float64 where counts pass 2^24), units a day, NaN before the first sale
    state: np.ndarray  # [S, T] int8, a position in STATES
    price: np.ndarray  # [S, T + AHEAD] float32, money a unit
    planned: np.ndarray  # [S, T + AHEAD] bool: the price of the day is known ahead, from a price interval
    promotion: np.ndarray  # [S, T + AHEAD] uint8, discount in percent, 1 where it is not known; 0 without promotion
    event: np.ndarray  # [T + AHEAD] int16, 0 on a day without, else a position in event_names + 1
    event_names: np.ndarray  # [E] text
    outside: np.ndarray  # [N, stores, T + AHEAD] float32, series from outside; NaN where nothing is known
    outside_names: np.ndarray  # [N] text

    @property
    def days(self) -> int:
        return int(self.y.shape[1])

    @property
    def series(self) -> int:
        return int(self.y.shape[0])

    @property
    def holiday(self) -> np.ndarray:
        """[T + AHEAD] bool"""
        return self.event > 0

    def day(self, n: int) -> date:
        """The date of column n; n may lie past the end."""
        return self.first_day + timedelta(days=n)

    def until(self, days: int) -> "Panel":
        """The panel as it was known after its first `days` days; what is planned stays, it is known ahead.

        The prices of other days ahead are the last that were known, of the days seen or planned since.
        """
        end = days + AHEAD
        price, planned = self.price[:, :end], self.planned[:, :end]
        ahead = np.where(planned[:, days:], np.arange(days, planned.shape[1]), days - 1)
        known = np.take_along_axis(price, np.maximum.accumulate(ahead, axis=1), axis=1)
        if not np.array_equal(known, price[:, days:]):  # else a view does, and nothing is copied
            price = np.concatenate([price[:, :days], known], axis=1)
        return msgspec.structs.replace(
            self,
            y=self.y[:, :days],
            state=self.state[:, :days],
            price=price,
            planned=planned,
            promotion=self.promotion[:, :end],
            event=self.event[:end],
            outside=self.outside[:, :, :end],
        )


def demand(panel: Panel, series: np.ndarray | slice = slice(None)) -> np.ndarray:
    """What was demanded of some series, NaN where it is not known: what was not on the shelf was not demanded less."""
    y, out = panel.y[series], panel.state[series] == STOCKED_OUT
    return np.where(out, np.nan, y) if out.any() else y


def departments(panel: Panel) -> np.ndarray:
    """The department of a store that each series belongs to, numbered from 0. [S]"""
    names = [GROUPS.index("store"), GROUPS.index("department")]
    return np.unique(panel.groups[:, names], axis=0, return_inverse=True)[1]


def panel_path(warehouse: Warehouse) -> Path:
    """The file that the panel lies in."""
    return warehouse.folder / "features" / "panel" / "panel.npz"


def write_panel(warehouse: Warehouse, panel: Panel) -> None:
    """Write the panel of the core tables that are there now as one .npz, in one step."""
    with replacing(panel_path(warehouse)) as beside, beside.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            first_day=np.array(panel.first_day.isoformat()),
            dataset_id=np.array(warehouse.dataset_id()),
            **_arrays(panel),
        )


def read_panel(warehouse: Warehouse) -> Panel:
    """The panel as it was written.

    Raises PipelineError, when features/panel was never materialised, or was made from other core tables or by an older version.
    """
    path = panel_path(warehouse)
    if not path.exists():
        raise PipelineError("features/panel is not there yet: materialise features/panel first")
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["dataset_id"]) != warehouse.dataset_id():
            raise PipelineError("features/panel was made from other core tables: materialise features/panel again")
        arrays = {name: stored[name] for name in stored.files if name not in ("first_day", "dataset_id")}
        if arrays["planned"].shape != arrays["price"].shape:  # before prices were planned a day, they were a series
            raise PipelineError("features/panel was made by an older version: materialise features/panel again")
        return Panel(first_day=date.fromisoformat(str(stored["first_day"])), **arrays)


def _arrays(panel: Panel) -> dict[str, np.ndarray]:
    return {name: getattr(panel, name) for name in panel.__struct_fields__ if name != "first_day"}
