"""The frozen sets as tables that are published: one row a set, and the days of its levels above the product.

Series and products of the newest set are published as forecasts; of earlier ones they stay in their files.
"""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from assets_config.contract.sets import ForecastSet, ForecastSetLevel
from pipelines.forecasts.accuracy.frozen import listed_sets
from pipelines.shapes import empty, schema
from pipelines.warehouse import Warehouse

LEVELS = ("total", "region", "store", "category", "department")


def set_frame(warehouse: Warehouse, now: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.sets.ForecastSet, of the source that is loaded now; damaged sets are left out.

    Takes    what would be frozen now, by `frozen_frame`: the set that is the same is the current one.
    """
    rows = [_row(listed, rows, is_current=rows.equals(now)) for listed, rows in listed_sets(warehouse)]
    return pl.DataFrame(rows, schema=schema(ForecastSet)).sort("made_at", "set_id")


def level_frame(warehouse: Warehouse) -> pl.DataFrame:
    """The columns of contract.sets.ForecastSetLevel for the sets of `set_frame`."""
    return pl.concat([empty(ForecastSetLevel), *_levels(warehouse)]).sort("set_id", "level", "member", "date")


def _row(listed: dict[str, Any], rows: pl.DataFrame, *, is_current: bool) -> dict[str, Any]:
    of_series = rows.filter(level="series")
    first = of_series.filter(pl.col("step") == pl.col("step").min())
    models = dict(first.group_by("model_type").len().sort("model_type").iter_rows())
    return {
        "set_id": listed["sha256"][:16],
        "kind": "series",
        "cutoff": listed["cutoff"],
        "start_date": of_series["date"].min(),
        "end_date": of_series["date"].max(),
        "horizon": of_series["date"].n_unique(),
        "series": first.height,
        "units": of_series["yhat"].sum(),
        "models": json.dumps(models),
        "is_current": is_current,
        "is_scored": listed["counts"],
        "dataset_id": listed["dataset_id"],
        "made_at": listed["made_at"],
    }


def _levels(warehouse: Warehouse) -> Iterator[pl.DataFrame]:
    for listed, rows in listed_sets(warehouse):
        above = rows.filter(pl.col("level").is_in(LEVELS))
        yield above.with_columns(pl.lit(listed["sha256"][:16]).alias("set_id")).select(ForecastSetLevel.__struct_fields__)
