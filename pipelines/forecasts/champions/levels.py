"""Coherent forecasts: that of a total, region, store, category, department or product is the sum of those of its series.

Bottom-up, so levels agree with each other and with the series to rounding. The quantiles of a sum are not the sums of quantiles:
a level's own residuals on the days of the backtests give them, by the rule of `backtests/intervals.py`.
"""

import numpy as np
import polars as pl

from pipelines.backtests.intervals import NAMES, published_quantiles
from pipelines.backtests.losses import group_sums
from pipelines.features.levels import PUBLISHED, Members

ABOVE = tuple(level for level in PUBLISHED if level != "series")
COLUMNS = ("level", "member", "date", "source", "step", "cutoff", "series", "yhat", *NAMES, "y")


def level_frame(forecast: pl.DataFrame, members: Members) -> pl.DataFrame:
    """The columns of contract.levels.ForecastLevel.

    Takes    forecasts/forecast, every series on the same days, and what its series belong to, in the same order.
    Gives    a member a day, but for past days on which the demand of none of its series is known.
    """
    series = members.frame.height
    days = forecast.head(forecast.height // series).select("date", "source", "step", "cutoff")
    yhat, y = (forecast[name].to_numpy().reshape(series, -1) for name in ("yhat", "y"))
    counted = ~np.isnan(y) | (days["source"] == "forecast").to_numpy()
    return pl.concat([_sums(level, members, days, np.where(counted, yhat, 0), y, counted) for level in ABOVE])


def _sums(level: str, members: Members, days: pl.DataFrame, yhat: np.ndarray, y: np.ndarray, counted: np.ndarray) -> pl.DataFrame:
    names, codes = members.of(level)
    number = group_sums(counted, codes)
    frame = pl.concat([days] * len(names)).with_columns(
        pl.lit(level).alias("level"),
        pl.Series("member", np.repeat(np.array(names), days.height)),
        pl.Series("series", number.ravel().astype(np.int64)),
        pl.Series("yhat", group_sums(yhat, codes).ravel()),
        pl.when(pl.col("source") == "backtest").then(pl.Series("y", group_sums(np.nan_to_num(y), codes).ravel())).alias("y"),
    )
    frame = frame.filter(pl.col("series") > 0)
    return frame.with_columns(_quantiles(frame)).select(COLUMNS)


def _quantiles(frame: pl.DataFrame) -> list[pl.Series]:
    yhat, step, y, cutoff = (frame[name].to_physical().to_numpy() for name in ("yhat", "step", "y", "cutoff"))
    found = published_quantiles(yhat, step, y, cutoff, (frame["source"] == "backtest").to_numpy())
    return [pl.Series(name, found[:, n]) for n, name in enumerate(NAMES)]
