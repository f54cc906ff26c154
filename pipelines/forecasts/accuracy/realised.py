"""Realised accuracy: frozen forecasts held against what was sold since, by the days between cutoff and target.

Each set is reduced to sums a cell, so that only one of them is held at a time.
"""

from collections.abc import Iterable
from datetime import date

import numpy as np
import polars as pl

from assets_config.contract.accuracy import ForecastAccuracy
from pipelines.backtests.losses import group_sums
from pipelines.backtests.metrics import buckets
from pipelines.features.levels import Members
from pipelines.features.panel import Panel

CELL = ("level", "bucket", "model_type", "segment")
SUMS = ("n", "absolute", "signed", "demand", "covered")
NO_DEMAND = "wape, bias_ratio: no demand to divide by"


def accuracy_frame(sets: Iterable[tuple[date, pl.DataFrame]], panel: Panel, members: Members) -> pl.DataFrame:
    """The columns of contract.accuracy.ForecastAccuracy.

    Takes    cutoff and rows of the frozen sets, the panel, and what its series belong to.
    Gives    no row where no target day of any set is known yet.
    """
    last = panel.day(panel.days - 1)
    empty = pl.DataFrame(schema={**dict.fromkeys(CELL, pl.String), **dict.fromkeys(SUMS, pl.Float64), "cutoffs": pl.Int64})
    cells = [empty, *(cell_sums(realised(rows, panel, members)) for cutoff, rows in sets if cutoff < last)]
    pooled = pl.concat(cells).group_by(CELL).agg(pl.col(*SUMS, "cutoffs").sum()).sort(CELL)
    has_demand = pl.col("demand") > 0
    return pooled.with_columns(
        pl.col("n").cast(pl.Int64),
        (pl.col("absolute") / pl.col("n")).alias("mae"),
        pl.when(has_demand).then(pl.col("absolute") / pl.col("demand")).alias("wape"),
        pl.when(has_demand).then(pl.col("signed") / pl.col("demand")).alias("bias_ratio"),
        (pl.col("covered") / pl.col("n")).alias("coverage_90"),
        pl.when(~has_demand).then(pl.lit(NO_DEMAND)).alias("reason"),
    ).select(ForecastAccuracy.__struct_fields__)


def realised(rows: pl.DataFrame, panel: Panel, members: Members) -> pl.DataFrame:
    """The rows of a frozen set whose demand is known by now, with it as `y`: that of a level is the sum of all its series.

    A series or member that the panel no longer has is not scored, nor is a day before its first.
    """
    day = (pl.col("date") - pl.lit(panel.first_day)).dt.total_days().cast(pl.Int64)
    rows = rows.with_columns(day.alias("day")).filter(pl.col("day").is_between(0, panel.days - 1))
    if not rows.height:
        return rows.with_columns(pl.lit(None, dtype=pl.Float64).alias("y"))
    first = int(rows["day"].min())  # type: ignore[arg-type]
    y = panel.y[:, first:].astype(np.float64)
    index = pl.DataFrame({"store_id": panel.store_id, "product_id": panel.product_id, "place": np.arange(panel.series)})
    pieces = []
    for (level,), own in rows.partition_by("level", as_dict=True, maintain_order=True).items():
        if level == "series":
            known, placed = y, own.join(index, on=["store_id", "product_id"], how="inner", maintain_order="left")
        else:
            names, codes = members.of(str(level))
            known = group_sums(np.nan_to_num(y), codes)
            listed = pl.DataFrame({"member": names, "place": np.arange(len(names))})
            placed = own.join(listed, on="member", how="inner", maintain_order="left")
        found = known[placed["place"].to_numpy(), placed["day"].to_numpy() - first]
        pieces.append(placed.with_columns(pl.Series("y", found)))
    return pl.concat(pieces).filter(pl.col("y").is_not_nan())


def cell_sums(rows: pl.DataFrame) -> pl.DataFrame:
    """Sums of errors a level, bucket, model type and segment, and over all of each, with `cutoffs` 1."""
    is_series = pl.col("level") == "series"
    error = pl.col("yhat") - pl.col("y")
    cells = (
        rows.with_columns(
            pl.Series("bucket", buckets(rows["step"].to_numpy()), dtype=pl.String),
            pl.when(is_series).then("model_type").otherwise(pl.lit("all")).alias("model_type"),
            pl.when(is_series).then("pattern").otherwise(pl.lit("all")).alias("segment"),
        )
        .group_by(CELL)
        .agg(
            pl.len().cast(pl.Float64).alias("n"),
            error.abs().sum().alias("absolute"),
            error.sum().alias("signed"),
            pl.col("y").sum().alias("demand"),
            pl.col("y").is_between("q05", "q95").sum().cast(pl.Float64).alias("covered"),
        )
    )
    for name in ("bucket", "model_type", "segment"):
        whole = cells if name == "bucket" else cells.filter(is_series)
        cells = pl.concat([cells, whole.with_columns(pl.lit("all").alias(name))])
    return cells.group_by(CELL).agg(pl.col(SUMS).sum()).with_columns(pl.lit(1, dtype=pl.Int64).alias("cutoffs"))
