"""What is to be ordered now, how much of it and why."""

import polars as pl

from pipelines.planning.inventory.policy import order_quantity, packs_of


def proposal_frame(policy: pl.DataFrame, risks: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.inventory.ReplenishmentProposal: a row a series whose position is at its reorder point or below.

    Takes    planning/inventory_policy, planning/stock_risk; `costs`: product_id, cost.
    """
    keys = ["store_id", "product_id"]
    rows = risks.drop("as_of").join(policy, on=keys, maintain_order="left").join(costs, on="product_id", how="left")
    names = ("position", "reorder_point", "order_up_to", "max_stock", "moq", "pack_size")
    position, reorder_point, order_up_to, max_stock, moq, pack = (rows[name].to_numpy() for name in names)
    quantity = order_quantity(position, reorder_point, order_up_to, max_stock, moq, pack)
    free = order_up_to - position
    rows = rows.with_columns(
        pl.Series("quantity", quantity),
        pl.Series("is_moq", moq > free),
        pl.Series("is_pack", quantity > pl.Series(free).ceil().to_numpy()),
        pl.Series("is_max", quantity < packs_of(free, pack)),
    )
    limits = [pl.when(name).then(pl.lit(said)) for name, said in (("is_moq", "moq"), ("is_max", "max_stock"), ("is_pack", "pack"))]
    return (
        rows.filter(pl.col("quantity") > 0)
        .select(
            *keys,
            *("position", "reorder_point", "order_up_to", "quantity"),
            (pl.col("quantity") // pl.col("pack_size")).alias("packs"),
            (pl.col("quantity") * pl.col("cost")).round(2).alias("cost"),
            "stockout_risk",
            (pl.col("as_of") + pl.duration(days=pl.col("lead_time_days") + 1)).cast(pl.Date).alias("expected_on"),
            _why().alias("why"),
            pl.concat_str(limits, separator=",", ignore_nulls=True).fill_null("").alias("limits"),
            "as_of",
        )
        .sort(keys)
    )


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
