"""What forecasts look like: the days ahead of the whole chain with their ranges."""

import polars as pl

from pipelines.charts import line_chart

PAST = 56  # days before the forecast that are drawn


def fan(levels: pl.DataFrame) -> str:
    """The total of forecasts/forecast_level: known demand, the forecast, and ranges of 90 and 50 %."""
    total = levels.filter(level="total").sort("date", "cutoff").unique("date", keep="last", maintain_order=True)
    ahead = total.filter(source="forecast").height
    shown = total.tail(ahead + PAST)
    columns = {name: shown[name].to_list() for name in ("date", "y", "yhat", "q05", "q95", "q25", "q75")}
    bands = [(columns["q05"], columns["q95"]), (columns["q25"], columns["q75"])]
    lines = {"sold": columns["y"], "forecast": columns["yhat"]}
    return line_chart("Units a day of all series, with the ranges of 90 and 50 %", columns["date"], lines, bands=bands)
