"""The levels that series add up to: the twelve of M5, and those of them that are published.

A missing region, category or department is a member of its own, so that the parts of a level add up to the whole.
"""

from typing import NamedTuple, get_args

import msgspec
import numpy as np
import polars as pl

from assets_config.contract.names import UNKNOWN
from assets_config.contract.names import Level as LevelName
from pipelines.features.panel import Panel
from pipelines.warehouse import Warehouse

LEVELS: dict[str, tuple[str, ...]] = {
    "total": (),
    "region": ("region",),
    "store": ("store",),
    "category": ("category",),
    "department": ("department",),
    "region_category": ("region", "category"),
    "region_department": ("region", "department"),
    "store_category": ("store", "category"),
    "store_department": ("store", "department"),
    "product": ("product",),
    "region_product": ("region", "product"),
    "series": ("store", "product"),
}
"""The attributes that make a member of each level, in the order of the M5 guide."""
PUBLISHED: tuple[str, ...] = get_args(LevelName)


class Grouping(NamedTuple):
    """The members of one level, by name."""

    members: list[str]  # store code, SKU or name
    codes: np.ndarray  # [S] the position of each series' member


class Members(msgspec.Struct, frozen=True):
    """What each series belongs to: store (code), product (SKU), region, category and department, one row a series."""

    frame: pl.DataFrame

    def of(self, level: str) -> Grouping:
        """The members of a level and the one of each series; those of `series` are in the order of the panel."""
        if level == "series":
            names = self.frame.select(pl.concat_str("store", "product", separator="/")).to_series().to_list()
            return Grouping(names, np.arange(len(names)))
        if not LEVELS[level]:
            return Grouping(["total"], np.zeros(self.frame.height, dtype=np.int64))
        labels = self.frame.select(pl.concat_str(*LEVELS[level], separator="/")).to_series().to_numpy()
        found, codes = np.unique(labels.astype(str), return_inverse=True)
        return Grouping(found.tolist(), codes)


def read_members(warehouse: Warehouse, panel: Panel) -> Members:
    """What the panel's series belong to, from core/dim_store and core/dim_product."""
    stores = warehouse.read("core/dim_store").select("store_id", pl.col("code").alias("store"), "region")
    products = warehouse.read("core/dim_product").select("product_id", pl.col("sku").alias("product"), "category", "department")
    series = pl.DataFrame({"store_id": panel.store_id, "product_id": panel.product_id})
    named = series.join(stores, on="store_id", how="left", maintain_order="left").join(
        products, on="product_id", how="left", maintain_order="left"
    )
    return Members(named.with_columns(pl.col("region", "category", "department").fill_null(UNKNOWN)))
