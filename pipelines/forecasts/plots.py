"""What forecasts look like: the days ahead of the whole chain with their ranges, and how often the ranges held."""

import polars as pl

from pipelines.charts import bar_chart, line_chart
from pipelines.forecasts.coverage import NOMINAL

PAST = 56  # days before the forecast that are drawn
BUCKETS = {"h_1_7": "1-7 days", "h_8_14": "8-14", "h_15_28": "15-28", "h_29_plus": "29 and more", "all": "all days"}
DEMAND = {"over_1": "over 1 a day", "up_to_1": "up to 1 a day", "all": "all series"}


def fan(levels: pl.DataFrame) -> str:
    """The total of forecasts/forecast_level: known demand, the forecast, and ranges of 90 and 50 %."""
    total = levels.filter(level="total").sort("date", "cutoff").unique("date", keep="last", maintain_order=True)
    ahead = total.filter(source="forecast").height
    shown = total.tail(ahead + PAST)
    columns = {name: shown[name].to_list() for name in ("date", "y", "yhat", "q05", "q95", "q25", "q75")}
    bands = [(columns["q05"], columns["q95"]), (columns["q25"], columns["q75"])]
    lines = {"sold": columns["y"], "forecast": columns["yhat"]}
    return line_chart("Units a day of all series, with the ranges of 90 and 50 %", columns["date"], lines, bands=bands)


def calibration(coverage: pl.DataFrame) -> str:
    """The share of days within q05 and q95, by days ahead, of forecasts/interval_coverage; the line is what it should be."""
    of_series = coverage.filter(level="series", segment="all")
    found = {(row["demand"], row["bucket"]): row["coverage"] for row in of_series.iter_rows(named=True)}
    buckets = [bucket for bucket in BUCKETS if any((kind, bucket) in found for kind in DEMAND)]
    bars = {said: [found.get((kind, bucket)) for bucket in buckets] for kind, said in DEMAND.items()}
    return bar_chart("Share of days within q05 and q95", [BUCKETS[bucket] for bucket in buckets], bars, mark=NOMINAL)
