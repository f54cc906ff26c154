"""The crosswalk: what each source calls our stores and products."""

import hashlib
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from assets_config.contract.durable import remove_leftovers, replacing
from pipelines.core.lines import EVERY_SOURCE, Incoming, label
from pipelines.warehouse import Warehouse

EMPTY = {"source": pl.String, "entity": pl.String, "external_id": pl.String, "code": pl.String}


class Keys(msgspec.Struct, frozen=True):
    """The state of all ids that sources may use.

    `epoch` changes when an id means something else than before, so that every table that used it is made again; `now` also
    when ids were added, so that only lines are looked at again whose store or product was not known.
    """

    epoch: str
    now: str


def write_id_map(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> int:
    """Write core/id_map and the resolved ids beside it; gives the number of ids whose code we do not know."""
    incoming = Incoming(warehouse)
    stores, products = warehouse.read("core/dim_store"), warehouse.read("core/dim_product")
    known = with_internal_ids(crosswalk(incoming, connection), stores, products)
    keep_keys(warehouse, resolve(incoming, known, stores, products))
    warehouse.write("core/id_map", known)
    return known["internal_id"].null_count()


def crosswalk(incoming: Incoming, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every id that a source told us of: source, entity, external_id, code. The newest word on an id holds.

    Stores and products tell theirs in external_id; kind external-ids tells those of other systems.
    """
    told = [pl.DataFrame(schema={**EMPTY, "rank": pl.Int64, "row": pl.Int64})]
    for entity, kind, code in (("store", "stores", "code"), ("product", "products", "sku")):
        lines = incoming.frame(kind, connection).filter(pl.col("external_id").is_not_null())
        told.append(
            lines.select("source", pl.lit(entity).alias("entity"), "external_id", pl.col(code).alias("code"), "rank", "row")
        )
    told.append(incoming.frame("external-ids", connection).select(*EMPTY, "rank", "row"))
    return (
        pl.concat(told)
        .sort("rank", "row")
        .unique(["source", "entity", "external_id"], keep="last", maintain_order=True)
        .select(*EMPTY)
        .sort("source", "entity", "external_id")
    )


def with_internal_ids(known: pl.DataFrame, stores: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """The crosswalk with our surrogate ids; null where no store or product has the code."""
    ids = pl.concat(
        [
            stores.select(pl.lit("store").alias("entity"), "code", pl.col("store_id").alias("internal_id")),
            products.select(
                pl.lit("product").alias("entity"), pl.col("sku").alias("code"), pl.col("product_id").alias("internal_id")
            ),
        ]
    )
    return known.join(ids, on=["entity", "code"], how="left", maintain_order="left").select(*EMPTY, "internal_id")


def resolve(incoming: Incoming, id_map: pl.DataFrame, stores: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """What each id means in each source: entity, source, external_id, id.

    An id means what the source itself says, else what was said for every source, else the store or product of that code.
    """
    sources = sorted({label(batch) for batch in incoming.batches} | {EVERY_SOURCE})
    own = id_map.select("entity", "source", "external_id", pl.col("internal_id").alias("id"), pl.lit(0).alias("order"))
    known = id_map.filter(pl.col("source") == EVERY_SOURCE).select(
        "entity", "external_id", pl.col("internal_id").alias("id"), order=1
    )
    codes = pl.concat(
        [
            stores.select(
                pl.lit("store").alias("entity"), pl.col("code").alias("external_id"), pl.col("store_id").alias("id"), order=2
            ),
            products.select(
                pl.lit("product").alias("entity"), pl.col("sku").alias("external_id"), pl.col("product_id").alias("id"), order=2
            ),
        ]
    )
    shared = pl.concat([known, codes]).join(pl.DataFrame({"source": sources}), how="cross")
    every = pl.concat([own, shared.select("entity", "source", "external_id", "id", "order")])
    return (
        every.sort("order")
        .unique(["entity", "source", "external_id"], keep="first", maintain_order=True)
        .drop_nulls("id")  # an id that was mapped to nothing of ours means nothing, whatever our codes are
        .drop("order")
        .sort("entity", "source", "external_id")
    )


def keep_keys(warehouse: Warehouse, keys: pl.DataFrame) -> Keys:
    """Write the resolved ids for the fact tables, and whether they merely grew."""
    path = keys_path(warehouse)
    now = hashlib.sha256(keys.write_csv().encode()).hexdigest()[:16]
    before = read_keys(warehouse)
    grew = before is not None and pl.read_parquet(path).join(keys, on=keys.columns, how="anti").is_empty()
    # Hashed with the epoch before: a state that comes back is another one, since other months were made in between.
    turned = hashlib.sha256(f"{before.epoch if before else ''} {now}".encode()).hexdigest()[:16]
    state = Keys(before.epoch if before is not None and grew else turned, now)
    remove_leftovers(path.parent, of_the_dead=True)
    with replacing(path) as beside:
        keys.write_parquet(beside, metadata=msgspec.to_builtins(state))
    return state


def keys_path(warehouse: Warehouse) -> Path:
    """The file of the resolved ids: what an id of each source means among ours."""
    return warehouse.folder / "core" / "id_map" / "keys.parquet"


def read_keys(warehouse: Warehouse) -> Keys | None:
    """The state that was kept last; None before the first time."""
    path = keys_path(warehouse)
    if not path.exists():
        return None
    metadata = pl.read_parquet_metadata(path)
    return Keys(metadata["epoch"], metadata["now"])
