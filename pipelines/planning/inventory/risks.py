"""What may become of the stock there is: when it runs out, what that costs, and what of it will be left over."""

from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl

from pipelines.planning.inventory.ahead import Ahead, expected, walked
from pipelines.planning.inventory.policy import NORMAL, daily_deviation, lead_time_sigma, normal_cdf, normal_loss
from pipelines.warehouse import Warehouse

OLD_AFTER = timedelta(days=7)
"""A count that is older than this before the last day of sales says nothing of today."""
EXACT = 1e-9  # units; a smaller sigma is none
Q90 = NORMAL.inv_cdf(0.9)


def read_stock(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, as_of: date) -> pl.DataFrame:
    """The newest count of each series that is not old: store_id, product_id, date, on_hand, on_order, is_stockout."""
    return connection.sql(
        "SELECT store_id, product_id, max(date) AS date, arg_max(on_hand, date) AS on_hand, arg_max(on_order, date) AS on_order, "
        f"arg_max(is_stockout, date) AS is_stockout FROM {warehouse.parquet('core/inventory_daily')} "
        "GROUP BY ALL HAVING max(date) >= ? ORDER BY ALL",
        params=[as_of - OLD_AFTER],
    ).pl()


def read_prices(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest price that was paid in each series: store_id, product_id, price."""
    return connection.sql(
        "SELECT store_id, product_id, arg_max(unit_price, date)::DOUBLE AS price "
        f"FROM {warehouse.parquet('core/sales_daily')} WHERE unit_price > 0 GROUP BY ALL ORDER BY ALL"
    ).pl()


def read_lost(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, first: date) -> pl.DataFrame:
    """Days without stock from `first` on: store_id, product_id, date, sold, unconstrained."""
    source = warehouse.parquet("core/demand_unconstrained")
    return connection.sql(f"SELECT * FROM {source} WHERE date >= ? ORDER BY ALL", params=[first]).pl()


def read_lead_times(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """How long orders took: product_id, days (mean) and sd, of products with five receipts that say when they were ordered."""
    return connection.sql(
        "SELECT product_id, avg(date - ordered_on)::DOUBLE AS days, stddev_samp(date - ordered_on)::DOUBLE AS sd "
        f"FROM {warehouse.parquet('core/receipt')} WHERE ordered_on <= date GROUP BY ALL HAVING count(*) >= 5 ORDER BY ALL"
    ).pl()


def lost_sales(stockouts: pl.DataFrame, forecast: pl.DataFrame) -> pl.DataFrame:
    """Units lost a series: what would have been sold on days without stock, less what was; never negative.

    What would have been sold is the mean of the weekday's usual demand and of what a backtest had forecast for the day, where
    one did. Gives store_id, product_id, lost_units.
    """
    told = forecast.filter(source="backtest").select("store_id", "product_id", "date", "yhat")
    both = stockouts.join(told, on=["store_id", "product_id", "date"], how="left")
    wanted = pl.mean_horizontal("unconstrained", "yhat")
    return both.group_by("store_id", "product_id").agg((wanted - pl.col("sold")).clip(0).sum().alias("lost_units"))


def risk_frame(
    ahead: Ahead, policy: pl.DataFrame, stock: pl.DataFrame, *, prices: pl.DataFrame, costs: pl.DataFrame, lost: pl.DataFrame
) -> pl.DataFrame:
    """The columns of contract.inventory.StockRisk, of series that are forecast and have a count that is not old.

    Takes    planning/inventory_policy; `costs`: product_id, cost; `prices` and `lost` as they are read.
    """
    keys = ["store_id", "product_id"]
    rows = ahead.keys().with_row_index("s").join(policy, on=keys).join(stock, on=keys, maintain_order="left")
    rows = rows.join(prices, on=keys, how="left", maintain_order="left").join(
        costs, on="product_id", how="left", maintain_order="left"
    )
    rows = rows.join(lost, on=keys, how="left", maintain_order="left").with_columns(pl.col("lost_units").fill_null(0))
    rows = rows.with_columns((pl.col("on_hand") + pl.col("on_order")).alias("position"))
    chosen = rows["s"].to_numpy()
    days, outlasts = walked(rows["on_hand"].to_numpy(), ahead.yhat[chosen])
    names = ("position", "mean_demand", "lead_time_sigma", "lead_time_sd", "lead_time_days", "review_days")
    position, mean, sigma, lead_sd, lead, review = (rows[name].to_numpy() for name in names)
    daily = daily_deviation(sigma, mean, lead_sd, lead + review)
    sigma = lead_time_sigma(daily * np.sqrt(lead), mean, lead_sd)  # an order placed now arrives at the end of the lead time
    chance, missed = chances(position, rows["lead_time_demand"].to_numpy(), sigma)
    most = expected(ahead, np.full(ahead.series, ahead.horizon))[chosen] + Q90 * daily * np.sqrt(ahead.horizon)
    left = np.maximum(rows["on_hand"].to_numpy() - most, 0)
    found = rows.with_columns(
        pl.Series("days_of_cover", np.where(outlasts, np.nan, days)).fill_nan(None),
        pl.Series("beyond_horizon", outlasts),
        pl.Series("stockout_risk", chance),
        pl.Series("shortage_units", missed),
        pl.Series("overstock_units", left),
        _state(left).alias("state"),
    )
    return found.select(
        *keys,
        *("date", "on_hand", "position", "state", "days_of_cover", "beyond_horizon", "stockout_risk", "shortage_units"),
        (pl.col("shortage_units") * pl.col("price")).round(2).alias("shortage_value"),
        "overstock_units",
        (pl.col("overstock_units") * pl.col("cost")).round(2).alias("overstock_value"),
        "lost_units",
        (pl.col("lost_units") * pl.col("price")).round(2).alias("lost_value"),
        "as_of",
    )


def chances(position: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chance that a normal demand passes a position, and the units expected beyond it. Where nothing varies: 0 or 1."""
    short = np.maximum(mean - position, 0)
    sure = sigma < EXACT
    z = np.divide(position - mean, sigma, out=np.zeros_like(sigma), where=~sure)
    return np.where(sure, (short > 0).astype(float), 1 - normal_cdf(z)), np.where(sure, short, sigma * normal_loss(z))


def _state(left: np.ndarray) -> pl.Expr:
    return (
        pl.when(pl.col("is_stockout") | (pl.col("on_hand") <= 0))
        .then(pl.lit("stocked_out"))
        .when(pl.col("on_hand") < pl.col("safety_stock"))
        .then(pl.lit("below_safety"))
        .when(pl.col("position") <= pl.col("reorder_point"))
        .then(pl.lit("below_reorder_point"))
        .when(pl.Series(left > 0))
        .then(pl.lit("overstocked"))
        .otherwise(pl.lit("healthy"))
    )


def costs_of(processes: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """product_id, cost (what the ERP extract says of it first), list_price and discontinued_on; null where nothing says it."""
    both = products.select("product_id", "base_cost", "base_price", "discontinued_on").join(
        processes.select("product_id", "unit_cost"), on="product_id", how="left"
    )
    return both.select(
        "product_id",
        pl.coalesce("unit_cost", "base_cost").cast(pl.Float64).alias("cost"),
        pl.col("base_price").cast(pl.Float64).alias("list_price"),
        "discontinued_on",
    )
