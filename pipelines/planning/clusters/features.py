"""What stores are compared by: size, income, tier, what they sell a week, and of which categories."""

import duckdb
import numpy as np
import polars as pl

from assets_config.contract.names import UNKNOWN
from pipelines.warehouse import Warehouse

MIX = "share of "
EXACT = 1e-9  # of the mean; a smaller deviation is what rounding leaves


def read_weekly(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, weeks: int) -> pl.DataFrame:
    """store_id, category, units and revenue a week, over the newest weeks on which the store sold."""
    sales, products = warehouse.parquet("core/sales_daily"), warehouse.parquet("core/dim_product")
    return connection.sql(
        f"WITH newest AS (SELECT * FROM {sales} WHERE date > (SELECT max(date) FROM {sales}) - 7 * ?::INT), "
        "spans AS (SELECT store_id, greatest((max(date) - min(date) + 1) / 7, 1)::DOUBLE AS weeks FROM newest GROUP BY ALL) "
        f"SELECT store_id, coalesce(category, '{UNKNOWN}') AS category, (sum(quantity) / any_value(weeks))::DOUBLE AS units, "
        "(sum(total_amount) / any_value(weeks))::DOUBLE AS revenue "
        f"FROM newest JOIN spans USING (store_id) JOIN {products} USING (product_id) GROUP BY ALL ORDER BY ALL",
        params=[weeks],
    ).pl()


def feature_frame(stores: pl.DataFrame, weekly: pl.DataFrame) -> pl.DataFrame:
    """store_id, revenue (a week), and a column a feature, null where it is not known; stores that sell, by store_id.

    Size is taken by its logarithm and the tier by its place, A the highest. The mix is a share of the revenue a category; that of a
    store without revenue is not known.
    """
    sums = weekly.group_by("store_id").agg(pl.col("units", "revenue").sum())
    mix = weekly.join(sums.filter(pl.col("revenue") > 0), on="store_id", suffix="_of_all").select(
        "store_id", (MIX + pl.col("category")).alias("category"), share=pl.col("revenue") / pl.col("revenue_of_all")
    )
    wide = mix.pivot("category", index="store_id", values="share", sort_columns=True).with_columns(
        pl.exclude("store_id").fill_null(0.0)
    )
    size = pl.when(pl.col("size_sqft") > 0).then(pl.col("size_sqft").cast(pl.Float64))
    return (
        sums.join(stores, on="store_id")
        .join(wide, on="store_id", how="left")
        .select(
            "store_id",
            "revenue",
            size.log().alias("log size"),
            pl.col("median_income").cast(pl.Float64).alias("income"),
            (-pl.col("location_tier").rank("dense").cast(pl.Float64)).alias("tier"),
            pl.col("units").alias("weekly units"),
            (pl.col("revenue") / size).alias("revenue a square foot"),
            *(name for name in wide.columns if name != "store_id"),
        )
        .sort("store_id")
    )


def scale_of(features: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each feature; one that is the same everywhere, or nowhere known, is left out.

    The deviation of a share of the mix is taken times the root of the number of shares: together they weigh what one feature does.
    """
    found = {}
    shares = [name for name in features.columns if name.startswith(MIX)]
    for name in (name for name in features.columns if name not in ("store_id", "revenue")):
        known = features[name].drop_nulls().to_numpy()
        if len(known) and known.std() > EXACT * abs(known.mean()):
            found[name] = (float(known.mean()), float(known.std()) * (len(shares) ** 0.5 if name in shares else 1.0))
    return found


def standardised(features: pl.DataFrame, scale: dict[str, tuple[float, float]]) -> np.ndarray:
    """[N, F] the features of `scale`, 0 where one is not known."""
    if not scale:
        return np.zeros((features.height, 1))
    there = set(features.columns)
    columns = [
        ((features[name] - mean) / sd).fill_null(0).to_numpy() if name in there else np.full(features.height, -mean / sd)
        for name, (mean, sd) in scale.items()
    ]
    return np.stack(columns, axis=1)
