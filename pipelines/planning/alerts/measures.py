"""What rules look at, a function a rule: frames in, a frame out with the columns SCHEMA, a row an entity.

A value that is undefined (no demand, too few days) gives no row.
"""

from datetime import date
from typing import Any

import polars as pl

SCHEMA: dict[str, Any] = {
    "entity": pl.String,
    "value": pl.Float64,
    "title": pl.String,
    "evidence": pl.String,
    "store_id": pl.Int64,
    "product_id": pl.Int64,
}
WEEKS = 8
FEWEST_DAYS = 28
LEAST_UNITS = 5.0
SCALE = 1.4826  # of the median absolute deviation of a normal, to its standard deviation
Z99 = 2.5758293


def stockout_risk(risks: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """A series each; takes planning/stock_risk and `names`: store_id, product_id, code, sku."""
    title = pl.format(
        "{} in {} runs out with a chance of {} before an order could arrive: {} units are on hand and on order.",
        *("sku", "code", pl.col("stockout_risk").round(3), "position"),
    )
    evidence = ("on_hand", "position", "stockout_risk", "shortage_units", "shortage_value", "days_of_cover", "state")
    return _series(risks, names, pl.col("stockout_risk"), title, evidence)


def overstock(risks: pl.DataFrame, policy: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """A series each whose stock passes the demand ahead: what is on hand, over the level that orders bring it to."""
    rows = risks.filter(pl.col("overstock_units") > 0).join(
        policy.filter(pl.col("order_up_to") > 0).select("store_id", "product_id", "order_up_to", "mean_demand"),
        on=["store_id", "product_id"],
    )
    title = pl.format(
        "{} in {}: {} units on hand are {} times what orders bring it to.",
        *("sku", "code", "on_hand", (pl.col("on_hand") / pl.col("order_up_to")).round(2)),
    )
    evidence = ("on_hand", "order_up_to", "mean_demand", "overstock_units", "overstock_value", "days_of_cover")
    return _series(rows, names, pl.col("on_hand") / pl.col("order_up_to"), title, evidence)


def bias(forecast: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """A product each: the tracking signal, sum of weekly errors over their mean size, of the newest eight weeks of backtests.

    Takes    forecasts/forecast and core/dim_product. Errors are demand less forecast; without any error the signal is 0.
    """
    past = _past(forecast)
    weeks = (
        past.filter(pl.col("age") < 7 * WEEKS)
        .group_by("product_id", (pl.col("age") // 7).alias("week"))
        .agg(pl.col("error").sum())
        .group_by("product_id")
        .agg(pl.col("error").sum().alias("sum"), pl.col("error").abs().mean().alias("mad"), pl.len().alias("weeks"))
    )
    signal = pl.when(pl.col("mad") > 0).then(pl.col("sum") / pl.col("mad")).otherwise(0.0)
    rows = weeks.join(products.select("product_id", "sku"), on="product_id").with_columns(signal.alias("tracking_signal"))
    under = pl.when(pl.col("sum") > 0).then(pl.lit("below")).otherwise(pl.lit("above"))
    title = pl.format(
        "Forecasts of {} lie {} demand for weeks: tracking signal {} over {} weeks.",
        *("sku", under, pl.col("tracking_signal").round(2), "weeks"),
    )
    entity = pl.format("product:{}", "sku")
    return _frame(rows, entity, pl.col("tracking_signal").abs(), title, ("tracking_signal", "sum", "mad", "weeks"))


def anomaly(forecast: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """A series each: the error of the last day of sales, in robust standard deviations of its errors; 0 below five units.

    Series with fewer than 28 known errors, or without a usual error, give no row.
    """
    keys = ["store_id", "product_id"]
    past = _past(forecast)
    middle = pl.col("error").median()
    usual = past.group_by(keys).agg(
        ((pl.col("error") - middle).abs().median() * SCALE).alias("usual_error"), pl.len().alias("days")
    )
    last = past.filter(pl.col("age") == 0).join(usual, on=keys)
    last = last.filter((pl.col("days") >= FEWEST_DAYS) & (pl.col("usual_error") > 0))
    score = pl.when(pl.col("error").abs() >= LEAST_UNITS).then(pl.col("error").abs() / pl.col("usual_error")).otherwise(0.0)
    title = pl.format(
        "{} in {} sold {} on {} where {} were forecast.", *("sku", "code", pl.col("y").round(0), "date", pl.col("yhat").round(1))
    )
    return _series(last, names, score, title, ("date", "y", "yhat", "error", "usual_error", "days"))


def accuracy_decay(accuracy: pl.DataFrame, metrics: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """A model type each: WAPE of frozen forecasts over that of the backtests.

    Takes    forecasts/forecast_accuracy, backtests/backtest_metric, backtests/backtest.
    """
    live = accuracy.filter((pl.col("level") == "series") & (pl.col("bucket") == "all") & (pl.col("segment") == "all"))
    tested = metrics.filter(fold=-1, bucket="all", level="series", segment="all").join(
        models.select("backtest_id", "model_type"), on="backtest_id", suffix="_of"
    )
    rows = live.select("model_type", "wape", "n", "cutoffs").join(
        tested.select("model_type", pl.col("wape").alias("backtest_wape")), on="model_type"
    )
    rows = rows.filter(pl.col("wape").is_not_null() & (pl.col("backtest_wape") > 0))
    value = pl.col("wape") / pl.col("backtest_wape")
    title = pl.format(
        "Forecasts of {} came out with a WAPE of {}, backtests had said {}.",
        *("model_type", pl.col("wape").round(3), pl.col("backtest_wape").round(3)),
    )
    return _frame(rows, pl.format("model_type:{}", "model_type"), value, title, ("wape", "backtest_wape", "n", "cutoffs"))


def interval_miscoverage(coverage: pl.DataFrame) -> pl.DataFrame:
    """A horizon bucket each: distance of the coverage from 0.9, over the half width of the binomial's 99 % band."""
    rows = coverage.filter(level="series", segment="all", demand="all")
    half = Z99 * (0.9 * 0.1 / pl.col("n")).sqrt()
    title = pl.format(
        "90 % ranges held {} of demand in {}, which chance alone does not explain.", pl.col("coverage").round(3), "bucket"
    )
    value = (pl.col("coverage") - 0.9).abs() / half
    return _frame(rows, pl.format("bucket:{}", "bucket"), value, title, ("coverage", "n", "low", "high"))


def value_added(stages: pl.DataFrame) -> pl.DataFrame:
    """A demand pattern each: WAPE of the champions less that of the seasonal naive one, from forecasts/forecast_value_added."""
    base = stages.filter(stage="seasonal_naive").select("segment", pl.col("wape").alias("naive_wape"))
    rows = stages.filter(stage="champion").join(base, on="segment").drop_nulls(["wape", "naive_wape"])
    title = pl.format(
        "Champions of {} series are worse than last week repeated: WAPE {} against {}.",
        *("segment", pl.col("wape").round(4), pl.col("naive_wape").round(4)),
    )
    value = pl.col("wape") - pl.col("naive_wape")
    return _frame(rows, pl.format("segment:{}", "segment"), value, title, ("wape", "naive_wape", "n"))


def variance(weeks: pl.DataFrame) -> pl.DataFrame:
    """A season plan each, of its newest week: size of sold against planned. Takes plan_id, week, variance and both sums.

    Where none was planned, which is no ratio, it is the units that were sold; weeks without either give no row.
    """
    sold, is_known = pl.col("actual_cumulative"), pl.col("variance").is_not_null()
    rows = weeks.filter(is_known | (sold > 0)).sort("plan_id", "week").unique("plan_id", keep="last", maintain_order=True)
    title = (
        pl.when(is_known)
        .then(pl.format("Plan {} had sold {} times its plan more by week {}.", "plan_id", pl.col("variance").round(3), "week"))
        .otherwise(pl.format("Plan {} had sold {} units by week {}, and none were planned.", "plan_id", sold, "week"))
    )
    evidence = ("week", "variance", "forecasted_cumulative", "actual_cumulative")
    return _frame(rows, pl.format("plan:{}", "plan_id"), pl.coalesce("variance", sold).abs(), title, evidence)


def sell_through(markdowns: pl.DataFrame) -> pl.DataFrame:
    """A season plan each at its checkpoint: planned sell-through less that which was reached."""
    rows = markdowns.unique("plan_id", keep="first", maintain_order=True)
    title = pl.format(
        "Plan {} had sold {} of what was made by week {}, {} were planned.",
        *("plan_id", pl.col("sell_through").round(3), "week", pl.col("planned_sell_through").round(3)),
    )
    value = pl.col("planned_sell_through") - pl.col("sell_through")
    return _frame(rows, pl.format("plan:{}", "plan_id"), value, title, ("week", "sell_through", "planned_sell_through"))


def data_freshness(batches: pl.DataFrame, last: date) -> pl.DataFrame:
    """Days from the last sale to the newest batch that was sent; generated data have no today and give no row."""
    newest = batches.select(pl.col("received_at").max().dt.date().alias("received_on"), pl.lit(last).alias("last_sale"))
    rows = newest.filter(pl.lit(not (batches["kind"] == "seed").any()) & pl.col("received_on").is_not_null())
    days = (pl.col("received_on") - pl.col("last_sale")).dt.total_days().clip(0)
    title = pl.format("The last sale is of {}, {} days before the newest batch came in.", "last_sale", days)
    return _frame(rows, pl.lit("sales"), days.cast(pl.Float64), title, ("last_sale", "received_on"))


def rejects(batches: pl.DataFrame) -> pl.DataFrame:
    """A kind each, of its newest batch: the share of lines that could not be used."""
    rows = batches.filter(pl.col("lines") > 0).sort("received_at", "batch_id").unique("kind", keep="last", maintain_order=True)
    share = pl.col("rejected") / pl.col("lines")
    title = pl.format("{} of {} lines of the newest batch of {} could not be used.", "rejected", "lines", "kind")
    return _frame(rows, pl.format("kind:{}", "kind"), share, title, ("batch_id", "lines", "rejected", "reasons"))


def unmapped_ids(id_map: pl.DataFrame) -> pl.DataFrame:
    """A source and entity each: external ids whose code is not known."""
    rows = id_map.group_by("source", "entity").agg(
        pl.col("internal_id").null_count().alias("unmapped"), pl.col("external_id").filter(pl.col("internal_id").is_null()).first()
    )
    title = pl.format("{} ids of {}s of the source {} lead to none of ours, {} among them.", "unmapped", "entity", "source",
                      pl.col("external_id").fill_null(""))  # fmt: skip
    entity = pl.format("source:{}/{}", "source", "entity")
    return _frame(rows, entity, pl.col("unmapped").cast(pl.Float64), title, ("unmapped", "external_id"))


def artifact_damage(damaged: dict[str, str]) -> pl.DataFrame:
    """A model run each whose artifact is not what was fitted."""
    rows = pl.DataFrame({"run_id": list(damaged), "fault": list(damaged.values())}, schema=["run_id", "fault"])
    rows = rows.cast(pl.String)
    title = pl.format("Model run {}: {}.", "run_id", "fault")
    return _frame(rows, pl.format("model_run:{}", "run_id"), pl.lit(1.0), title, ("run_id", "fault"))


def _past(forecast: pl.DataFrame) -> pl.DataFrame:
    """Backtest days with known demand: keys, date, y, yhat, error (demand less forecast) and age in days from the last of sales."""
    last = forecast.filter(source="forecast")["cutoff"].max()
    past = forecast.filter(source="backtest").drop_nulls("y")
    return past.select(
        *("store_id", "product_id", "date", "y", "yhat"),
        (pl.col("y") - pl.col("yhat")).alias("error"),
        (pl.lit(last) - pl.col("date")).dt.total_days().alias("age"),
    )


def _series(rows: pl.DataFrame, names: pl.DataFrame, value: pl.Expr, title: pl.Expr, evidence: tuple[str, ...]) -> pl.DataFrame:
    named = rows.join(names, on=["store_id", "product_id"])
    return _frame(named, pl.format("store:{}/product:{}", "code", "sku"), value, title, evidence)


def _frame(rows: pl.DataFrame, entity: pl.Expr, value: pl.Expr, title: pl.Expr, evidence: tuple[str, ...]) -> pl.DataFrame:
    ids = [pl.col(name) if name in rows.columns else pl.lit(None, pl.Int64).alias(name) for name in ("store_id", "product_id")]
    return rows.select(
        entity.alias("entity"),
        value.cast(pl.Float64).alias("value"),
        title.alias("title"),
        pl.struct(evidence).struct.json_encode().alias("evidence"),
        *ids,
    ).cast(SCHEMA)  # type: ignore[arg-type]
