"""The tables of trials: rows are added by jobs that may run beside each other, and the oldest go.

They are of the source that is loaded: where another one is, they begin anew. A run that has an alias stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl
from msgspec import Struct

from assets_config.contract.durable import locked
from assets_config.contract.trials import TrialBacktest, TrialFold, TrialForecast, TrialMetric, TrialRun
from pipelines.models.fits import artifact_path
from pipelines.shapes import empty, schema
from pipelines.warehouse import Warehouse

RUN, BACKTEST, FOLD, METRICS, FORECAST = (f"trials/trial_{name}" for name in ("run", "backtest", "fold", "metric", "forecast"))
Rows = Sequence[Mapping[str, Any]] | pl.DataFrame
KEEP = 200
"""Newest runs, backtests and forecasts that are kept."""
ALIASES = "forecasts/model_alias"
SHAPES: dict[str, type[Struct]] = {
    RUN: TrialRun,
    BACKTEST: TrialBacktest,
    FOLD: TrialFold,
    METRICS: TrialMetric,
    FORECAST: TrialForecast,
}


@contextmanager
def adding(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of all tables of trials; waits for another process that holds it."""
    with locked(warehouse.folder / "trials" / ".lock"):
        yield


def rows(warehouse: Warehouse, key: str) -> pl.DataFrame:
    """A table of trials as it is for the source that is loaded; without a row before the first."""
    return warehouse.read(key) if is_there(warehouse, key) else empty(SHAPES[key])


def is_there(warehouse: Warehouse, key: str) -> bool:
    """Whether a table of trials belongs to the source that is loaded."""
    return warehouse.path(key).exists() and warehouse.stamp(key).lineage == warehouse.stamp("core/sales_daily").lineage


def settle(warehouse: Warehouse, key: str) -> None:
    """Leave a table as it is, to the byte; make it without a row where there is none of the source that is loaded."""
    with adding(warehouse):
        if not is_there(warehouse, key):
            warehouse.write(key, empty(SHAPES[key]))


def add(warehouse: Warehouse, key: str, made: Rows, *, by: str, kept: Sequence[str] = ()) -> None:
    """Add rows to a table in place of those with the same value in the column `by`, of which the newest KEEP values stay.

    Values in `kept` stay besides. The caller holds the lock `adding`.
    """
    shape = SHAPES[key]
    frame = made if isinstance(made, pl.DataFrame) else pl.DataFrame(made, schema=schema(shape))
    new = frame.select(shape.__struct_fields__)
    both = pl.concat([rows(warehouse, key).filter(~pl.col(by).is_in(new[by].unique().to_list())), new])
    order = both[by].unique(maintain_order=True).to_list()
    stay = {*order[-KEEP:], *kept}
    warehouse.write(key, both.filter(pl.col(by).is_in(list(stay))))


def named_runs(warehouse: Warehouse) -> list[str]:
    """The runs that people gave a name to. State is made of no table, so that an earlier stage may look at it."""
    return warehouse.read(ALIASES)["run_id"].to_list() if warehouse.path(ALIASES).exists() else []


def drop_artifacts(warehouse: Warehouse) -> None:
    """Delete the artifacts of runs that are kept no more. Published ones stay with their snapshot. The caller holds `adding`."""
    kept = set(rows(warehouse, RUN)["artifact_uri"].drop_nulls())
    for path in artifact_path(warehouse, "artifacts", stage="trials").glob("*"):
        if f"artifacts/{path.name}" not in kept:
            path.unlink(missing_ok=True)
