"""The policy of every series, from its forecast, the errors of such forecasts and how it is supplied."""

import msgspec
import numpy as np
import polars as pl

from assets_config.inventory import StockRules
from pipelines.planning.inventory.ahead import FEWEST, Ahead, by_length, expected, windows
from pipelines.planning.inventory.policy import (
    TAIL,
    Supply,
    economic_quantity,
    fill_rate,
    lead_time_sigma,
    packs_of,
    safety_stock,
    undershoot,
    upper_quantile,
)

METHODS = ("normal", "empirical", "history")
NORMAL, EMPIRICAL, HISTORY = range(3)
SPARSE = ("intermittent", "lumpy")
YEAR = 365


class Uncertainty(msgspec.Struct, frozen=True):
    """How demand over lead time and review lies around its forecast."""

    sigma: np.ndarray  # [S] units, the lead time's own variation included
    daily_sd: np.ndarray  # [S] units/day
    method: np.ndarray  # [S] int8, a position in METHODS
    excess: np.ndarray  # [S] the error that a service level asks to be covered, units; NaN where not empirical


def uncertainty(
    ahead: Ahead, supply: Supply, review_days: int, *, is_sparse: np.ndarray, history_sd: np.ndarray, mean: np.ndarray
) -> Uncertainty:
    """Takes `history_sd` [S], units/day, for series whose backtests say too little, and `mean` [S] units/day over the lead time."""
    protected = supply.lead_time + review_days
    sd, count, excess = np.zeros(ahead.series), np.zeros(ahead.series, int), np.full(ahead.series, np.nan)
    for days, rows in by_length(protected):
        found = windows(ahead.error[rows], days)
        known = ~np.isnan(found)
        count[rows] = known.sum(axis=1)
        squares = np.where(known, np.square(found), 0).sum(axis=1)
        sd[rows] = np.sqrt(np.divide(squares, count[rows], out=np.zeros(len(rows)), where=count[rows] > 0))
        sparse = is_sparse[rows] & (count[rows] >= FEWEST)
        if sparse.any():
            own = rows[sparse]
            late = TAIL * (mean * supply.lead_time_sd)[own]
            drawn = np.concatenate([found[sparse] + shift[:, None] for shift in (-late, np.zeros(len(own)), late)], axis=1)
            excess[own] = upper_quantile(drawn if late.any() else found[sparse], supply.service_level[own])
    method = np.where(count < FEWEST, HISTORY, np.where(is_sparse, EMPIRICAL, NORMAL)).astype(np.int8)
    daily = np.where(method == HISTORY, history_sd, sd / np.sqrt(protected))
    return Uncertainty(lead_time_sigma(daily * np.sqrt(protected), mean, supply.lead_time_sd), daily, method, excess)


def policy_frame(ahead: Ahead, supply: Supply, rules: StockRules, segments: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.inventory.InventoryPolicy, by store_id and product_id.

    Takes    features/series_segment, whose patterns say which demand is sparse and whose sizes say what it varied by.
    """
    known = ahead.keys().join(segments, on=["store_id", "product_id"], how="left", maintain_order="left")
    is_sparse = known["pattern"].is_in(SPARSE).fill_null(False).to_numpy()
    coming = expected(ahead, supply.lead_time)
    mean = coming / supply.lead_time
    found = uncertainty(ahead, supply, rules.review_days, is_sparse=is_sparse, history_sd=daily_sd(known), mean=mean)
    empirical = found.method == EMPIRICAL
    between = expected(ahead, supply.lead_time + rules.review_days) - coming
    below, spread = undershoot(mean, found.daily_sd, rules.review_days)
    sigma = np.sqrt(np.square(found.sigma) + np.maximum(spread - np.square(found.daily_sd) * rules.review_days, 0))
    quantile = np.maximum(np.nan_to_num(found.excess), 0) + between
    safe = np.where(empirical, quantile, safety_stock(supply.service_level, sigma))
    below = np.where(empirical, 0, below)
    reorder_point = coming + below + safe
    order = packs_of(np.maximum(supply.moq, np.maximum(supply.cycle, 1e-9)), supply.pack)
    return ahead.keys().with_columns(
        pl.Series("service_level", supply.service_level),
        pl.Series("lead_time_days", supply.lead_time.astype(np.int64)),
        pl.Series("lead_time_sd", supply.lead_time_sd),
        pl.lit(rules.review_days, pl.Int64).alias("review_days"),
        pl.Series("mean_demand", mean),
        pl.Series("lead_time_demand", coming),
        pl.Series("lead_time_sigma", found.sigma),
        pl.Series("method", np.array(METHODS)[found.method]),
        pl.Series("safety_stock", safe),
        pl.Series("reorder_point", reorder_point),
        pl.Series("order_up_to", reorder_point + np.maximum(supply.cycle, 0)),
        pl.Series("max_stock", reorder_point + np.maximum(rules.max_cover_days * mean, order)),
        pl.Series("moq", supply.moq.astype(np.int64)),
        pl.Series("pack_size", supply.pack.astype(np.int64)),
        pl.Series("fill_rate", fill_rate(safe, found.sigma, order.astype(float))),
        pl.lit(ahead.as_of).alias("as_of"),
    )


def daily_sd(known: pl.DataFrame) -> np.ndarray:
    """Standard deviation of a day's demand, from how often and how evenly a series sold; 0 where it never did."""
    mean, size = pl.col("mean_demand"), pl.col("mean_demand") * pl.col("adi")
    variance = mean * size * (1 + pl.col("cv2")) - mean * mean
    return known.select(variance.clip(0).sqrt().fill_null(0)).to_series().to_numpy()


def supply_of(
    ahead: Ahead,
    rules: StockRules,
    *,
    processes: pl.DataFrame,
    products: pl.DataFrame,
    lead_times: pl.DataFrame,
    segments: pl.DataFrame,
) -> Supply:
    """How each series is supplied, the rules' word where nothing else says it.

    Takes    core/dim_process, core/dim_product, features/series_segment; `lead_times`: product_id, days, sd and n of receipts.
    """
    told = (
        ahead.keys()
        .join(processes, on="product_id", how="left", maintain_order="left")
        .join(products.select("product_id", "base_cost"), on="product_id", how="left", maintain_order="left")
        .join(lead_times, on="product_id", how="left", maintain_order="left")
        .join(segments.select("store_id", "product_id", "abc"), on=["store_id", "product_id"], how="left", maintain_order="left")
    )
    levels = told["abc"].replace_strict(rules.service_level_of, default=rules.service_level, return_dtype=pl.Float64)
    lead = told.select(pl.coalesce("lead_time_days", pl.col("days").round(), pl.lit(rules.lead_time_days)).clip(1).cast(pl.Int64))
    cost = told.select(pl.coalesce("unit_cost", "base_cost").cast(pl.Float64).fill_null(0)).to_series().to_numpy()
    mean = ahead.yhat.mean(axis=1)
    economic = economic_quantity(mean * YEAR, rules.order_cost, cost * rules.holding_rate)
    return Supply(
        service_level=levels.to_numpy(),
        lead_time=lead.to_series().to_numpy(),
        lead_time_sd=told["sd"].fill_null(rules.lead_time_sd).to_numpy(),
        moq=told["moq"].fill_null(1).clip(1).to_numpy(),
        pack=told["pack_size"].fill_null(1).clip(1).to_numpy(),
        cycle=np.maximum(mean * rules.order_days, economic),
    )
