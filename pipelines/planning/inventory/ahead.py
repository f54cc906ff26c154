"""What is forecast of each series, and how wrong such forecasts were over several days together.

Errors of single days are correlated, so that those of a lead time are not sqrt(days) times as large: they are looked up as they
were, in every window of that many days of the backtests.
"""

from collections.abc import Iterator
from datetime import date

import msgspec
import numpy as np
import polars as pl

FEWEST = 14
"""A series with fewer windows says too little of its errors."""


class Ahead(msgspec.Struct, frozen=True):
    """S series, H days ahead, F folds of past forecasts, by store_id and product_id."""

    as_of: date
    store_id: np.ndarray  # [S] int64
    product_id: np.ndarray  # [S] int64
    yhat: np.ndarray  # [S, H] units/day
    error: np.ndarray  # [S, F, H] units/day, demand less forecast; NaN where one of them is not known

    @property
    def series(self) -> int:
        return len(self.store_id)

    @property
    def horizon(self) -> int:
        return int(self.yhat.shape[1])

    def keys(self) -> pl.DataFrame:
        return pl.DataFrame({"store_id": self.store_id, "product_id": self.product_id})


def ahead_of(forecast: pl.DataFrame) -> Ahead:
    """From forecasts/forecast. Errors of a backtest step past the horizon are left out."""
    forecast = forecast.select("store_id", "product_id", "source", "step", "cutoff", "yhat", "y")
    future = forecast.filter(source="forecast").sort("store_id", "product_id", "step")
    series = future.select("store_id", "product_id").unique(maintain_order=True).with_row_index("s")
    horizon = future.height // max(series.height, 1)
    past = forecast.filter((pl.col("source") == "backtest") & pl.col("step").is_between(1, horizon) & pl.col("y").is_not_null())
    past = past.join(series, on=["store_id", "product_id"])
    cutoffs = past["cutoff"].unique().sort()
    folds = pl.DataFrame({"cutoff": cutoffs, "fold": np.arange(len(cutoffs))})
    past = past.join(folds, on="cutoff")
    error = np.full((series.height, len(cutoffs), horizon), np.nan)
    s, fold, step = (past[name].to_numpy() for name in ("s", "fold", "step"))
    error[s, fold, step - 1] = (past["y"] - past["yhat"]).to_numpy()
    return Ahead(
        as_of=future["cutoff"][0],
        store_id=series["store_id"].to_numpy(),
        product_id=series["product_id"].to_numpy(),
        yhat=future["yhat"].to_numpy().reshape(series.height, horizon),
        error=error,
    )


def expected(ahead: Ahead, days: np.ndarray) -> np.ndarray:
    """Units forecast over the next `days` [S] days; past the horizon the days go on at its mean."""
    sums = np.concatenate([np.zeros((ahead.series, 1)), np.cumsum(ahead.yhat, axis=1)], axis=1)
    whole = np.minimum(days, ahead.horizon)
    return sums[np.arange(ahead.series), whole] + (days - whole) * sums[:, -1] / ahead.horizon


def windows(error: np.ndarray, days: int) -> np.ndarray:
    """Errors of every `days` days together, [S, F * (H - window + 1)]; NaN where a day of the window is not known.

    A window longer than half of the horizon would occur too seldom: half of it is taken, scaled by the root of the lengths.
    """
    series, _, horizon = error.shape
    length = min(days, max(horizon // 2, 1))
    sums = np.lib.stride_tricks.sliding_window_view(error, length, axis=2).sum(axis=3)
    return sums.reshape(series, -1) * (days / length) ** 0.5


def by_length(days: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each length that occurs, with the places of the series that have it."""
    for length in np.unique(days):
        yield int(length), np.flatnonzero(days == length)


def walked(stock: np.ndarray, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many days a stock [S] lasts at a demand [S, H] a day, the last one in part; and whether it outlasts all of them.

    >>> walked(np.array([25.0]), np.full((1, 7), 10.0))[0]
    array([2.5])
    """
    left = np.maximum(stock, 0)[:, None] - np.cumsum(demand, axis=1)
    is_whole = left >= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(is_whole, 1.0, np.where(left + demand > 0, (left + demand) / demand, 0.0))
    return part.sum(axis=1), is_whole.all(axis=1)
