"""Frozen forecasts: what was said as of each cutoff, kept as it was, so that it can be held against what came.

A set is one Parquet file with the days ahead of all series and levels, named by its cutoff and a hash of its bytes, which differ
where data, champions or model versions do; the same forecasts made again are the same set. No set is ever written over. Of those
of one cutoff the last one counts that was made before a set of a later cutoff: one made in hindsight is kept, but never scored.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from assets_config.contract.durable import remove_leftovers, write_bytes
from assets_config.contract.integrity import sha256
from pipelines.backtests.intervals import NAMES
from pipelines.warehouse import Warehouse

KEY = "forecasts/frozen"
KEYS = ("level", "member", "store_id", "product_id")
COLUMNS = (*KEYS, "date", "step", "yhat", *NAMES, "model_type", "model_version", "pattern")
SCHEMA: dict[str, Any] = {
    "lineage": pl.String,
    "cutoff": pl.Date,
    "file": pl.String,
    "sha256": pl.String,
    "dataset_id": pl.String,
    "rows": pl.Int64,
    "made_at": pl.Datetime("us"),
    "counts": pl.Boolean,
}


def frozen_frame(forecast: pl.DataFrame, levels: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """What is kept of forecasts/forecast, forecasts/forecast_level and features/series_segment: the days ahead, with COLUMNS.

    Rows of level `series` have store and product, model and demand pattern; the others have a member.
    """
    ahead = pl.col("source") == "forecast"
    of_series = forecast.filter(ahead).join(
        segments.select("store_id", "product_id", "pattern"), on=["store_id", "product_id"], how="left", maintain_order="left"
    )
    both = pl.concat([of_series.with_columns(pl.lit("series").alias("level")), levels.filter(ahead)], how="diagonal")
    return both.select(COLUMNS)


def freeze(warehouse: Warehouse, frame: pl.DataFrame, cutoff: date, *, keep: int) -> pl.DataFrame:
    """Keep a set of forecasts/forecast beside the others, and give the table that lists them, with SCHEMA.

    Of each source the newest `keep` sets stay; those that do not count go first. The table is written before files go, so that a
    crash leaves files too many, never too few.
    """
    content = BytesIO()
    frame.rechunk().write_parquet(content, compression="zstd")  # the bytes are to tell forecasts apart, not how they lay in memory
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    stamp = warehouse.stamp("forecasts/forecast")
    file = f"sets/{cutoff}-{digest[:16]}.parquet"
    made = {
        "lineage": stamp.lineage,
        "cutoff": cutoff,
        "file": file,
        "sha256": digest,
        "dataset_id": stamp.dataset_id,
        "rows": frame.height,
        "made_at": datetime.now(UTC).replace(tzinfo=None),
        "counts": True,
    }
    known = earlier_sets(warehouse)
    if _fault(warehouse, file, digest):
        write_bytes(_path(warehouse, file), content.getvalue())
    sets = _listed(known, pl.DataFrame([made], schema=SCHEMA), keep=keep)
    warehouse.write(KEY, sets)
    remove_leftovers(_path(warehouse, "sets"), of_the_dead=True)
    for path in _path(warehouse, "sets").glob("*.parquet"):
        if f"sets/{path.name}" not in set(sets["file"]):
            path.unlink()
    return sets


def _listed(known: pl.DataFrame, made: pl.DataFrame, *, keep: int) -> pl.DataFrame:
    """The table with one more set: its row as it was where the same set was made before."""
    lineage, cutoff, file = made.select("lineage", "cutoff", "file").row(0)
    same_source = pl.col("lineage") == lineage
    is_late = known.filter(same_source & (pl.col("cutoff") > cutoff)).height > 0
    rows = pl.concat([known, made.with_columns(pl.lit(not is_late).alias("counts"))]).unique(
        ["lineage", "file"], keep="first", maintain_order=True
    )
    if not is_late:
        last = pl.when(same_source & (pl.col("cutoff") == cutoff)).then(pl.col("file") == file).otherwise("counts")
        rows = rows.with_columns(last.alias("counts"))
    order = rows.sort("lineage", "counts", "cutoff", "made_at", descending=[False, True, True, True])
    return order.filter(pl.int_range(pl.len()).over("lineage") < keep).sort("lineage", "cutoff", "made_at")


def earlier_sets(warehouse: Warehouse) -> pl.DataFrame:
    """The sets that are listed, of whichever source; none before the first time."""
    return warehouse.read(KEY) if warehouse.path(KEY).exists() else pl.DataFrame(schema=SCHEMA)


def damaged_sets(warehouse: Warehouse) -> dict[str, str]:
    """What is wrong with the sets that count, by file; such sets are not scored."""
    faults = ((row["file"], _fault(warehouse, row["file"], row["sha256"])) for row in _counting(warehouse))
    return {file: fault for file, fault in faults if fault}


def read_sets(warehouse: Warehouse) -> Iterator[tuple[date, pl.DataFrame]]:
    """The cutoff and rows of every set that counts, of the source that is loaded now, oldest first; damaged ones are left out."""
    for row in _counting(warehouse):
        if not _fault(warehouse, row["file"], row["sha256"]):
            yield row["cutoff"], pl.read_parquet(_path(warehouse, row["file"]))


def listed_sets(warehouse: Warehouse) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """The row in the list and the rows of every set of the source that is loaded now, those that do not count too."""
    lineage = warehouse.new_stamp(KEY).lineage
    for row in earlier_sets(warehouse).filter(lineage=lineage).sort("made_at").iter_rows(named=True):
        if not _fault(warehouse, row["file"], row["sha256"]):
            yield row, pl.read_parquet(_path(warehouse, row["file"]))


def _counting(warehouse: Warehouse) -> list[dict[str, Any]]:
    lineage = warehouse.new_stamp(KEY).lineage
    return earlier_sets(warehouse).filter(pl.col("counts") & (pl.col("lineage") == lineage)).sort("cutoff").to_dicts()


def _path(warehouse: Warehouse, file: str) -> Path:
    return warehouse.folder / KEY / file


def _fault(warehouse: Warehouse, file: str, expected: str) -> str | None:
    """What is wrong with a set's file, as the end of a sentence; None where it is as it was frozen."""
    path = _path(warehouse, file)
    if not path.exists():
        return "is missing"
    return None if sha256(path) == expected else "does not have the bytes that were frozen"
