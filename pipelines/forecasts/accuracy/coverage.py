"""Whether the published 90 % ranges hold: coverage in backtests by horizon and kind of demand, with a band.

Quantiles of a fold come from the residuals of the other folds only. The band is the Wilson score interval (Wilson 1927) at 95 %
for n independent points. Days of one series are not independent, nor are series of one day, so there is less evidence than n
says and the true band is wider. The choice of champions has seen all folds.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from assets_config.contract.accuracy import IntervalCoverage
from pipelines.backtests.folds import Fold
from pipelines.backtests.metrics import buckets
from pipelines.features.panel import Panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.shapes import schema

NOMINAL = 0.9
ACCEPTED = (0.88, 0.93)
Z = 1.959964
CELL = ("level", "bucket", "segment", "demand")
SCHEMA = schema(IntervalCoverage)


def wilson(covered: int, n: int) -> tuple[float, float]:
    """The band around a share of n points, at 95 %.

    >>> [round(end, 4) for end in wilson(90, 100)]
    [0.8256, 0.9448]
    """
    share, scale = covered / n, 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / scale
    half = Z * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5 / scale
    return middle - half, middle + half


def coverage_frame(panel: Panel, forecast: pl.DataFrame, levels: pl.DataFrame, windows: Sequence[Fold]) -> pl.DataFrame:
    """The columns of contract.accuracy.IntervalCoverage.

    Takes    forecasts/forecast, whose past days are the champions', forecasts/forecast_level, and the folds of both.
    Gives    no row for fewer than two folds, as no quantile is honest then.
    """
    if len(windows) < 2:
        return pl.DataFrame(schema=SCHEMA)
    past = forecast.filter(source="backtest").with_columns((pl.col("cutoff").rank("dense") - 1).alias("fold"))
    fold = past["fold"].to_numpy()
    known = [patterns(panel.until(each.train_end)) for each in windows]
    segment, over_1 = (np.stack(each) for each in zip(*((of.code, of.mean > 1) for of in known), strict=True))
    s = np.repeat(np.arange(panel.series), past.height // panel.series)
    points = pl.DataFrame(
        {
            "level": pl.repeat("series", past.height, eager=True),
            "step": past["step"],
            "segment": np.array(PATTERNS)[segment[fold, s]],
            "demand": np.where(over_1[fold, s], "over_1", "up_to_1"),
            "covered": past.select(pl.col("y").is_between("q05", "q95")).to_series(),
        }
    ).drop_nulls("covered")
    above = levels.filter(source="backtest").select(
        "level",
        "step",
        pl.lit("all").alias("segment"),
        pl.lit("all").alias("demand"),
        pl.col("y").is_between("q05", "q95").alias("covered"),
    )
    return shares(pl.concat([points, above]))


def shares(points: pl.DataFrame) -> pl.DataFrame:
    """How many of the points are covered, with its band: of each cell, and of `all` in place of each of its names.

    Takes    level, step, segment, demand, covered (boolean), a row a point
    Gives    SCHEMA
    """
    return pl.DataFrame(list(_rows(points)), schema=SCHEMA).sort(CELL)


def _rows(points: pl.DataFrame) -> Iterator[dict[str, object]]:
    bucket = buckets(points["step"].to_numpy())
    cells = points.with_columns(pl.Series("bucket", bucket)).group_by(CELL)
    sums = cells.agg(pl.len().alias("n"), pl.col("covered").sum())
    for name in ("bucket", "segment", "demand"):
        whole = sums if name == "bucket" else sums.filter(level="series")
        sums = pl.concat([sums, whole.with_columns(pl.lit("all").alias(name))])
    for row in sums.group_by(CELL).agg(pl.col("n", "covered").sum()).iter_rows(named=True):
        low, high = wilson(row["covered"], row["n"])
        keys = {name: row[name] for name in CELL}
        share = row["covered"] / row["n"]
        yield {**keys, "n": row["n"], "coverage": share, "low": low, "high": high, "inside": low <= NOMINAL <= high}


def misses(coverage: pl.DataFrame) -> dict[str, str]:
    """The classes of series with a mean demand over 1 a day whose coverage is not ACCEPTED: bucket and pattern -> what it is."""
    outside = coverage.filter(
        (pl.col("level") == "series") & (pl.col("demand") == "over_1") & ~pl.col("coverage").is_between(*ACCEPTED)
    )
    return {
        f"{row['bucket']} {row['segment']}": f"{row['coverage']:.3f} of {row['n']} points ({row['low']:.3f} to {row['high']:.3f})"
        for row in outside.iter_rows(named=True)
    }
