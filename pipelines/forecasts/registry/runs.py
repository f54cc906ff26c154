"""The registry of model runs: every fit with its backtest metrics, those of earlier fits too; the same fit is one run."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from pipelines.models.fits import artifact_fault
from pipelines.warehouse import Warehouse

METRICS = ("mae", "rmse", "wape", "smape", "mase", "rmsse", "bias", "bias_ratio")
SAME_FIT = ("config_hash", "feature_set", "dataset_id", "data_window_start", "data_window_end")


def model_runs(
    fits: pl.DataFrame,
    metrics: pl.DataFrame,
    champion: pl.DataFrame,
    earlier: pl.DataFrame | None = None,
    *,
    keep: int = 20,
    named: Collection[str] = (),
) -> pl.DataFrame:
    """The columns of contract.registry.ModelRun, by created_at.

    Takes    models/fit, backtests/backtest_metric (the row of all folds, steps and series is read) and forecasts/champion;
             the metrics say how many series the run is champion of. `earlier`: the registry as it was.
    Gives    the newest `keep` runs of each type, besides those of `fits` and those `named` by an alias. A run that was recorded
             before keeps what was recorded then, with the metrics of now.
    """
    now = _now(fits, metrics, champion)
    if earlier is None:
        runs = now
    else:
        past = earlier.with_columns(pl.lit(False).alias("is_current"))
        both = pl.concat([past, now], how="diagonal_relaxed").unique("run_id", keep="first", maintain_order=True)
        runs = both.update(now.select("run_id", "metrics", "is_current"), on="run_id").select(now.columns)
    runs = runs.sort("created_at", "run_id")
    age = pl.int_range(pl.len(), 0, -1).over("model_type")  # 1 is the newest of its type
    runs = runs.filter((age <= keep) | pl.col("is_current") | pl.col("run_id").is_in(list(named)))
    first = pl.col("run_id").filter(pl.col("status") == "success").first().over(SAME_FIT)
    is_again = (pl.col("status") == "success") & (first != pl.col("run_id"))
    return runs.with_columns(pl.when(is_again).then(first).alias("duplicate_of"))


def _now(fits: pl.DataFrame, metrics: pl.DataFrame, champion: pl.DataFrame) -> pl.DataFrame:
    pooled = metrics.filter(fold=-1, bucket="all", level="series", segment="all")
    errors = {row["model_type"]: row for row in pooled.iter_rows(named=True)}
    shares = dict(champion.group_by("model_type").len().iter_rows())
    said = [_said(errors.get(model_type), shares.get(model_type, 0)) for model_type in fits["model_type"]]
    return fits.select(
        "run_id",
        "model_type",
        "status",
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
        "fit_seconds",
        "feature_set",
        "error_message",
        pl.lit(True).alias("is_current"),
        pl.lit(None, dtype=pl.String).alias("duplicate_of"),
    )


def _said(errors: Mapping[str, Any] | None, champion_of: int) -> str:
    return json.dumps({**({name: errors[name] for name in METRICS} if errors else {}), "champion_of": champion_of})


def earlier_runs(warehouse: Warehouse) -> pl.DataFrame | None:
    """The registry as it was last made, of whichever source; None before the first time."""
    key = "forecasts/model_run"
    return warehouse.read(key) if warehouse.path(key).exists() else None


def drop_artifacts(warehouse: Warehouse, runs: pl.DataFrame) -> int:
    """Delete the artifacts of runs that are kept no more; gives their number. Published ones stay with their snapshot."""
    kept = set(runs["artifact_uri"].drop_nulls())
    gone = [path for path in (warehouse.folder / "models" / "artifacts").glob("*") if f"artifacts/{path.name}" not in kept]
    for path in gone:
        path.unlink()
    return len(gone)


def damaged_artifacts(warehouse: Warehouse, runs: pl.DataFrame) -> dict[str, str]:
    """What is wrong with the artifacts of the registry, by run id; empty when all are as they were fitted."""
    faults = {}
    for run_id, uri, expected in runs.select("run_id", "artifact_uri", "artifact_hash").drop_nulls().iter_rows():
        fault = artifact_fault(warehouse, uri, expected)
        if fault:
            faults[run_id] = f"the artifact {fault}"
    return faults
