"""The forecast table: champions' forecasts for the days ahead, and what they had forecast for the folds' days."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from pipelines.backtests.folds import Fold
from pipelines.backtests.intervals import NAMES, published_quantiles
from pipelines.features.panel import Panel
from pipelines.features.patterns import patterns


def forecast_frame(
    panel: Panel,
    champion: pl.DataFrame,
    ahead: Mapping[str, np.ndarray],
    predictions: pl.DataFrame,
    windows: list[Fold],
    *,
    versions: Mapping[str, str],
) -> pl.DataFrame:
    """The columns of contract.forecasts.Forecast.

    Takes    champion (s, model_type), `ahead`: model type -> [S, H] forecasts from the end of the data,
             backtests/prediction, its folds, and the run id of each model type.
    """
    own = champion.select("s", "model_type")
    past = predictions.join(own, on=["s", "model_type"]).sort("s", "fold", "step")
    starts = {fold.number: fold.train_end for fold in windows}
    past = (
        past.with_columns(
            pl.lit("backtest").alias("source"),
            pl.col("fold").replace_strict(starts, return_dtype=pl.Int64).alias("known"),
        )
        if windows
        else past.with_columns(pl.lit("backtest").alias("source"), pl.lit(0, dtype=pl.Int64).alias("known"))
    )
    future = _future(panel, own, ahead)
    columns = ["s", "model_type", "source", "known", "step", "yhat", "y"]
    both = pl.concat([past.select(columns), future.select(columns)], how="vertical_relaxed")  # y as the panel has it
    yhat, step, y, known = (both[name].to_numpy() for name in ("yhat", "step", "y", "known"))
    levels = published_quantiles(
        yhat.astype(np.float64), step, y, known, (both["source"] == "backtest").to_numpy(), _kinds(panel, both)
    )
    named = {name: pl.Series(name, levels[:, n]) for n, name in enumerate(NAMES)}
    first = pl.lit(panel.first_day)
    return both.select(
        pl.Series(panel.store_id).gather(both["s"]).alias("store_id"),
        pl.Series(panel.product_id).gather(both["s"]).alias("product_id"),
        (first + pl.duration(days=pl.col("known") + pl.col("step") - 1)).cast(pl.Date).alias("date"),
        "source",
        pl.col("step").cast(pl.Int64),
        (first + pl.duration(days=pl.col("known") - 1)).cast(pl.Date).alias("cutoff"),
        pl.col("yhat").cast(pl.Float64),
        *(named[name] for name in ("q10", "q50", "q90")),
        pl.col("y").cast(pl.Float64),
        "model_type",
        pl.col("model_type").replace_strict(dict(versions), return_dtype=pl.String).alias("model_version"),
        *(named[name] for name in ("q05", "q25", "q75", "q95")),
    ).sort("store_id", "product_id", "date")


def _kinds(panel: Panel, points: pl.DataFrame) -> np.ndarray:
    """The kind of demand of each point's series, as of the day up to which it was `known`."""
    s, known = points["s"].to_numpy(), points["known"].to_numpy()
    found = np.zeros(len(s), dtype=np.int8)
    for day in np.unique(known):
        of_day = known == day
        found[of_day] = patterns(panel.until(int(day))).kind[s[of_day]]
    return found


def _future(panel: Panel, own: pl.DataFrame, ahead: Mapping[str, np.ndarray]) -> pl.DataFrame:
    horizon = next(iter(ahead.values())).shape[1]
    chosen = own["model_type"].to_list()
    yhat = np.stack([ahead[model_type][s] for s, model_type in enumerate(chosen)])
    return pl.DataFrame(
        {
            "s": np.repeat(np.arange(panel.series, dtype=np.int32), horizon),
            "model_type": np.repeat(np.array(chosen), horizon),
            "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), panel.series),
            "yhat": yhat.reshape(-1).astype(np.float32),
        }
    ).with_columns(
        pl.lit("forecast").alias("source"),
        pl.lit(panel.days, dtype=pl.Int64).alias("known"),
        pl.lit(None, dtype=pl.Float32).alias("y"),
    )
