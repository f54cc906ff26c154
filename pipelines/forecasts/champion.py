"""Which model type forecasts a series: the one with the smallest backtest error on that very series."""

from collections.abc import Sequence

import numpy as np
import polars as pl


def champions(predictions: pl.DataFrame, model_types: Sequence[str], series: int) -> pl.DataFrame:
    """The champion of every series, by the sum of absolute errors over all folds.

    Takes    backtests/prediction; model_types in order of declaration: the earlier wins a tie, and the first one is taken
             for series that no fold scored.
    Gives    s, model_type, absolute_error (units; null where nothing was scored), one row a series, by s.
    """
    order = {name: n for n, name in enumerate(model_types)}
    scored = (
        predictions.drop_nulls("y")
        .group_by("s", "model_type")
        .agg((pl.col("yhat").cast(pl.Float64) - pl.col("y")).abs().sum().alias("absolute_error"))
        .with_columns(pl.col("model_type").replace_strict(order, return_dtype=pl.Int32).alias("place"))
        .sort("s", "absolute_error", "place")
        .unique("s", keep="first", maintain_order=True)
        .select("s", "model_type", "absolute_error")
    )
    every = pl.DataFrame({"s": np.arange(series, dtype=np.int32)})
    return every.join(scored, on="s", how="left").with_columns(pl.col("model_type").fill_null(model_types[0])).sort("s")
