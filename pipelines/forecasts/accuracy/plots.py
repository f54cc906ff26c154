"""What accuracy looks like: how often the ranges of forecasts held."""

import polars as pl

from pipelines.backtests.plots import BUCKETS
from pipelines.charts import bar_chart
from pipelines.forecasts.accuracy.coverage import NOMINAL

DEMAND = {"over_1": "over 1 a day", "up_to_1": "up to 1 a day", "all": "all series"}


def calibration(coverage: pl.DataFrame) -> str:
    """The share of days within q05 and q95, by days ahead, of forecasts/interval_coverage; the line is what it should be."""
    of_series = coverage.filter(level="series", segment="all")
    found = {(row["demand"], row["bucket"]): row["coverage"] for row in of_series.iter_rows(named=True)}
    buckets = [bucket for bucket in BUCKETS if any((kind, bucket) in found for kind in DEMAND)]
    bars = {said: [found.get((kind, bucket)) for bucket in buckets] for kind, said in DEMAND.items()}
    return bar_chart("Share of days within q05 and q95", [BUCKETS[bucket] for bucket in buckets], bars, mark=NOMINAL)
