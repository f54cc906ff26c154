"""The tables of trials: rows are added by jobs that may run beside each other, and the oldest go.

They are of the source that is loaded: where another one is, they begin anew. A run that has an alias stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from assets_config.contract.durable import locked
from pipelines.backtests.metrics import SCHEMA as METRIC
from pipelines.models.fits import SCHEMA as FIT
from pipelines.models.fits import artifact_path
from pipelines.warehouse import Warehouse

RUN, BACKTEST, FOLD, METRICS, FORECAST = (f"trials/trial_{name}" for name in ("run", "backtest", "fold", "metric", "forecast"))
Rows = Sequence[Mapping[str, Any]] | pl.DataFrame
KEEP = 200
"""Newest runs, backtests and forecasts that are kept."""
ALIASES = "forecasts/model_alias"
MADE = {"made_at": pl.Datetime("us"), "made_by": pl.String}
OF_SERIES = {"store_id": pl.Int64, "product_id": pl.Int64}
SCHEMAS: dict[str, Mapping[str, Any]] = {
    RUN: {
        **{name: FIT[name] for name in list(FIT)[:8]},
        **OF_SERIES,
        "series": pl.Int64,
        "metrics": pl.String,
        **{name: FIT[name] for name in list(FIT)[10:]},
        "is_current": pl.Boolean,
        "duplicate_of": pl.String,
        "horizon": pl.Int64,
        "observations": pl.Int64,
        "made_by": pl.String,
    },
    BACKTEST: {
        **dict.fromkeys(("backtest_id", "model_type", "config", "strategy"), pl.String),
        **dict.fromkeys(("n_splits", "horizon", "gap", "series"), pl.Int64),
        "dataset_id": pl.String,
        **OF_SERIES,
        **dict.fromkeys(("data_window_start", "data_window_end"), pl.Date),
        "min_train_size": pl.Int64,
        **MADE,
    },
    FOLD: {
        "backtest_id": pl.String,
        "fold": pl.Int64,
        **dict.fromkeys(("train_start", "cutoff", "test_start", "test_end"), pl.Date),
    },
    METRICS: METRIC,
    FORECAST: {
        **dict.fromkeys(("forecast_id", "run_id"), pl.String),
        **OF_SERIES,
        "date": pl.Date,
        "step": pl.Int64,
        "cutoff": pl.Date,
        **dict.fromkeys(("yhat", "q10", "q50", "q90"), pl.Float64),
        **MADE,
    },
}


@contextmanager
def adding(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of all tables of trials; waits for another process that holds it."""
    with locked(warehouse.folder / "trials" / ".lock"):
        yield


def rows(warehouse: Warehouse, key: str) -> pl.DataFrame:
    """A table of trials as it is for the source that is loaded; without a row before the first."""
    found = warehouse.previous(key)
    return pl.DataFrame(schema=SCHEMAS[key]) if found is None else found


def settle(warehouse: Warehouse, key: str) -> None:
    """Leave a table as it is, to the byte; make it without a row where there is none of the source that is loaded."""
    with adding(warehouse):
        if warehouse.previous(key) is None:
            warehouse.write(key, pl.DataFrame(schema=SCHEMAS[key]))


def add(warehouse: Warehouse, key: str, made: Rows, *, by: str, kept: Sequence[str] = ()) -> None:
    """Add rows to a table in place of those with the same value in the column `by`, of which the newest KEEP values stay.

    Values in `kept` stay besides. Only while `adding`.
    """
    new = pl.DataFrame(made, schema=SCHEMAS[key]) if not isinstance(made, pl.DataFrame) else made.select(*SCHEMAS[key])
    both = pl.concat([rows(warehouse, key).filter(~pl.col(by).is_in(new[by].unique().to_list())), new])
    order = both[by].unique(maintain_order=True).to_list()
    stay = {*order[-KEEP:], *kept}
    warehouse.write(key, both.filter(pl.col(by).is_in(list(stay))))


def named_runs(warehouse: Warehouse) -> list[str]:
    """The runs that people gave a name to. State is made of no table, so that an earlier stage may look at it."""
    return warehouse.read(ALIASES)["run_id"].to_list() if warehouse.path(ALIASES).exists() else []


def drop_artifacts(warehouse: Warehouse) -> None:
    """Delete the artifacts of runs that are kept no more. Published ones stay with their snapshot. Only while `adding`."""
    kept = set(rows(warehouse, RUN)["artifact_uri"].drop_nulls())
    for path in artifact_path(warehouse, "artifacts", stage="trials").glob("*"):
        if f"artifacts/{path.name}" not in kept:
            path.unlink(missing_ok=True)
