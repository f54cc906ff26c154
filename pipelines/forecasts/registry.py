"""The registry of model runs: every fit with its backtest metrics; the same fit of the same data is one run."""

import json

import polars as pl

METRICS = ("mae", "rmse", "wape", "smape", "mase", "rmsse", "bias", "bias_ratio")


def model_runs(fits: pl.DataFrame, metrics: pl.DataFrame, champion: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.tables.ModelRun, by created_at.

    Takes    models/fit, backtests/backtest_metric (the row of all folds, steps and series is read) and forecasts/champion;
             the metrics say how many series the run is champion of.
    """
    pooled = metrics.filter(fold=-1, bucket="all", level="series", segment="all")
    errors = {row["model_type"]: row for row in pooled.iter_rows(named=True)}
    shares = dict(champion.group_by("model_type").len().iter_rows())
    said = []
    for model_type in fits["model_type"]:
        values = {name: errors[model_type][name] for name in METRICS} if model_type in errors else {}
        said.append(json.dumps({**values, "champion_of": shares.get(model_type, 0)}))
    return fits.select(
        "run_id",
        "model_type",
        pl.lit("success").alias("status"),
        "config",
        "config_hash",
        "data_window_start",
        "data_window_end",
        "dataset_id",
        pl.lit(None, dtype=pl.Int64).alias("store_id"),
        pl.lit(None, dtype=pl.Int64).alias("product_id"),
        "series",
        pl.Series("metrics", said, dtype=pl.String),
        "runtime_info",
        "artifact_uri",
        "artifact_hash",
        "artifact_size_bytes",
        "git_sha",
        "created_at",
        "completed_at",
    ).sort("created_at", "run_id")
