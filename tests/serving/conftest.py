"""A small chain that is published by the real pipeline, without models, and a client over it."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from litestar.testing import TestClient

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest
from assets_config.contract.seeds import Seed
from assets_config.declared import load_declarations
from pipelines.kpis.cubes import write_cubes
from pipelines.kpis.measures import write_kpi_daily
from pipelines.publish.snapshot import publish
from pipelines.sources.synthetic.generator import generate
from pipelines.warehouse import Warehouse
from serving.app import create_asgi
from serving.settings import Settings
from tests.plant import Plant, rewrite

SEED = Seed(stores=4, products=12, start=date(2024, 9, 3), end=date(2024, 12, 31))
GRAINS = [[], ["store"], ["product"], ["category"], ["region"], ["store", "category"]]


def publish_tiny(root: Path, *, scale: int = 1, grains: list[list[str]] | None = None) -> Manifest:
    """Publish the tiny source's KPIs, every quantity and amount times `scale`; no model is fitted."""
    make_tiny(root, scale=scale, grains=grains)
    return publish_made(root)


def publish_made(root: Path) -> Manifest:
    """Publish what the warehouse holds."""
    declared = load_declarations()
    return publish(Warehouse(root), measures=declared.published_measures(), kpis=declared.kpis)


def make_tiny(root: Path, *, scale: int = 1, grains: list[list[str]] | None = None) -> None:
    """Fill the warehouse with a small generated chain's core tables, KPIs and cubes; store S004 has no region."""
    plant, declared = Plant(root), load_declarations()
    warehouse = plant.warehouse
    for table, frame in generated().items():
        if table == "sales-daily":
            frame = frame.with_columns(pl.col("quantity") * scale, (pl.col("total_amount") * scale).cast(pl.Decimal(18, 2)))
        content = BytesIO()
        frame.write_parquet(content)
        plant.post(table, content.getvalue(), name=f"{table}.parquet", at=datetime.now(UTC))
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        write_kpi_daily(warehouse, declared.measures, connection)
        write_cubes(warehouse, declared.published_measures(), GRAINS if grains is None else grains, connection)


KEY = "the-key-of-the-tests-0123456789"
KEYED = {"X-API-Key": KEY}


def settings_of(root: Path, **changes: Any) -> Settings:
    """Settings over a data root, with an admin's KEY, no limit to the rate, and no Dagster."""
    given = {"dagster_url": "http://127.0.0.1:9", "api_keys": (f"tests:admin:{KEY}",), "read_rate": 0, "write_rate": 0}
    return Settings(data=root, **{**given, **changes})


def client_of(root: Path, *, headers: Mapping[str, str] = KEYED, **changes: Any) -> TestClient:
    """A client that may do everything; other headers make it somebody else."""
    client = TestClient(create_asgi(settings_of(root, **changes)), base_url="http://127.0.0.1")
    client.headers.update(headers)
    return client


def sell(root: Path, units: pl.Expr) -> None:
    """Let the facts be of other units and sum them again; core tables and what is published stay."""
    change = units.cast(pl.Int64).alias("units")
    rewrite(Warehouse(root), "kpis/kpi_daily", lambda frame: frame.with_columns(change))
    with duckdb.connect() as connection:
        write_cubes(Warehouse(root), load_declarations().published_measures(), GRAINS, connection)


def publish_sold(root: Path, units: pl.Expr) -> Manifest:
    sell(root, units)
    return publish_made(root)


@cache
def generated() -> dict[str, pl.DataFrame]:
    pieces = list(generate(SEED))
    tables = ("stores", "products", "holidays", "prices", "promotions", "inventory", "sales-daily")
    found = {table: pl.concat([piece.frame for piece in pieces if piece.table == table]) for table in tables}
    region = pl.when(pl.col("code") == "S004").then(None).otherwise(pl.col("region"))
    return {**found, "stores": found["stores"].with_columns(region=region)}


@pytest.fixture(scope="module")
def client(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Only reads: what publishes or breaks something has a client over a `root` of its own."""
    with client_of(shutil.copytree(published_once, tmp_path_factory.mktemp("served") / "data")) as client:
        yield client


@pytest.fixture
def sales(published_once: Path) -> pl.DataFrame:
    """The published facts with the names of their store and product."""
    warehouse = Warehouse(published_once)
    stores, products = warehouse.read("core/dim_store"), warehouse.read("core/dim_product")
    facts = warehouse.read("kpis/kpi_daily").join(stores, on="store_id").join(products, on="product_id", suffix="_product")
    return facts.with_columns(pl.col("region").fill_null("(unknown)"))


def tear(root: Path) -> None:
    """Damage the pointer, and have servers look at it: of themselves they do once a second."""
    published = Published(root)
    published.pointer.write_bytes(b"{")
    published.turn.write_bytes(b"torn")
