"""What is to be ordered now, how much of it and why."""

import numpy as np
import polars as pl

from pipelines.planning.inventory.policy import daily_deviation, newsvendor, order_quantity, packs_of

SALVAGE = 0.5
"""What is left of the cost of a unit after the last day on sale, as a share."""


def proposal_frame(policy: pl.DataFrame, risks: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.inventory.ReplenishmentProposal: a row a series whose position is at its reorder point or below.

    A product that goes out of sale is ordered for the days that are left, as one order of a newsvendor, and not at all where the
    order would come after its last day. What is not forecast to sell is not ordered.
    Takes    planning/inventory_policy, planning/stock_risk; `costs`: product_id, cost, list_price, discontinued_on.
    """
    keys = ["store_id", "product_id"]
    rows = risks.drop("as_of").join(policy, on=keys, maintain_order="left").join(costs, on="product_id", how="left")
    arrives = (pl.col("as_of") + pl.duration(days=pl.col("lead_time_days") + 1)).cast(pl.Date)
    rows = rows.with_columns(
        arrives.alias("expected_on"), ((pl.col("discontinued_on") - pl.col("as_of")).dt.total_days()).alias("left")
    )
    names = ("position", "reorder_point", "order_up_to", "max_stock", "moq", "pack_size")
    position, reorder_point, order_up_to, max_stock, moq, pack = (rows[name].to_numpy() for name in names)
    last = last_orders(rows)
    up_to = np.fmin(order_up_to, last)
    quantity = order_quantity(position, np.minimum(reorder_point, up_to), up_to, max_stock, moq, pack)
    free = up_to - position
    rows = rows.with_columns(
        pl.Series("quantity", quantity),
        pl.Series("order_up_to", up_to),
        pl.Series("is_moq", moq > free),
        pl.Series("is_pack", quantity > np.ceil(free)),
        pl.Series("is_max", quantity < packs_of(free, pack)),
        pl.Series("is_last", last < order_up_to),
    )
    told = (("is_last", "last_order"), ("is_moq", "moq"), ("is_max", "max_stock"), ("is_pack", "pack"))
    limits = [pl.when(name).then(pl.lit(said)) for name, said in told]
    is_in_time = pl.col("discontinued_on").is_null() | (pl.col("expected_on") <= pl.col("discontinued_on"))
    return (
        rows.filter((pl.col("quantity") > 0) & (pl.col("mean_demand") > 0) & is_in_time)
        .select(
            *keys,
            *("position", "reorder_point", "order_up_to", "quantity"),
            (pl.col("quantity") // pl.col("pack_size")).alias("packs"),
            (pl.col("quantity") * pl.col("cost")).round(2).alias("cost"),
            "stockout_risk",
            "expected_on",
            _why().alias("why"),
            pl.concat_str(limits, separator=",", ignore_nulls=True).fill_null("").alias("limits"),
            "as_of",
        )
        .sort(keys)
    )


def last_orders(rows: pl.DataFrame) -> np.ndarray:
    """The position that a last order is for, of series whose product goes out of sale with cost and price known; NaN of the others.

    That of a newsvendor, for the demand of the `left` days until then.
    """
    found = np.full(rows.height, np.nan)
    wanted = rows.with_row_index("place").filter((pl.col("left") >= 0) & pl.col("cost").is_not_null() & (pl.col("list_price") > 0))
    spread = ("lead_time_sigma", "mean_demand", "lead_time_sd", "lead_time_days", "review_days")
    sigma, mean, lead_sd, lead, review = (wanted[name].to_numpy() for name in spread)
    daily = daily_deviation(sigma, mean, lead_sd, lead + review)
    named = wanted.with_columns(pl.Series("daily", daily)).select("place", "left", "mean_demand", "daily", "list_price", "cost")
    for place, left, each, sd, price, cost in named.iter_rows():
        found[place] = newsvendor(each * left, sd * left**0.5, price=price, cost=cost, salvage=SALVAGE * cost)
    return found


def _why() -> pl.Expr:
    begins = (
        pl.when(pl.col("state") == "stocked_out")
        .then(pl.lit("It is out of stock"))
        .when(pl.col("on_hand") < pl.col("safety_stock"))
        .then(pl.lit("The shelf holds less than the safety stock"))
        .otherwise(pl.lit("The position is at the reorder point or below"))
    )
    return pl.format(
        "{}: {} units on hand and on order, reorder point {}; {} a day are forecast and an order takes {} days.",
        begins,
        "position",
        pl.col("reorder_point").round(1),
        pl.col("mean_demand").round(2),
        "lead_time_days",
    )
