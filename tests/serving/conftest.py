"""A small published data root, made by the real pipeline once a session, and a client over a copy of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from litestar.testing import TestClient

from assets_config.contract.manifest import Manifest
from assets_config.declared import Generator, load_declarations
from pipelines.core.calendar import dim_calendar
from pipelines.core.dimensions import dim_product, dim_store
from pipelines.core.sales import write_sales
from pipelines.kpis.cubes import write_cubes
from pipelines.kpis.measures import write_kpi_daily
from pipelines.publish.snapshot import publish
from pipelines.sources.load import load
from pipelines.warehouse import Origin, Warehouse
from serving.app import create_asgi
from serving.settings import Settings

KNOBS = Generator(name="tiny", about="for tests", stores=4, products=12, days=120)
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
    """Fill the warehouse with the tiny source's core tables, KPIs and cubes."""
    warehouse, declared, origin = Warehouse(root), load_declarations(), Origin("tiny", None)
    warehouse.set_origin(origin)
    with duckdb.connect() as connection:
        for table in ("raw_stores", "raw_products", "raw_calendar", "raw_sales"):
            load(warehouse, KNOBS, origin, table, connection)
    raw = warehouse.read("sources/raw_sales")
    if scale != 1:
        raw = raw.with_columns(pl.col("quantity") * scale, (pl.col("total_amount") * scale).cast(pl.Decimal(18, 2)))
        warehouse.write("sources/raw_sales", raw)
    stores, products = warehouse.read("sources/raw_stores"), warehouse.read("sources/raw_products")
    stores = stores.with_columns(region=pl.when(pl.col("code") == "S004").then(None).otherwise(pl.col("region")))
    warehouse.write("core/dim_store", dim_store(stores, raw["store"], None))
    warehouse.write("core/dim_product", dim_product(products, raw["product"], None))
    with duckdb.connect() as connection:
        write_sales(warehouse, connection)
        holidays = warehouse.read("sources/raw_calendar")
        warehouse.write("core/dim_calendar", dim_calendar(raw["date"].min(), raw["date"].max(), holidays))
        write_kpi_daily(warehouse, declared.measures, connection)
        write_cubes(warehouse, declared.published_measures(), GRAINS if grains is None else grains, connection)


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    publish_tiny(root)
    return root


@pytest.fixture
def root(published_once: Path, tmp_path: Path) -> Path:
    """A data root of this test's own."""
    return Path(shutil.copytree(published_once, tmp_path / "data"))


def client_of(root: Path) -> TestClient:
    return TestClient(create_asgi(Settings(data=root, dagster_url="http://127.0.0.1:9")), base_url="http://127.0.0.1")


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    with client_of(root) as client:
        yield client


@pytest.fixture
def sales(published_once: Path) -> pl.DataFrame:
    """The published facts with the names of their store and product."""
    warehouse = Warehouse(published_once)
    stores, products = warehouse.read("core/dim_store"), warehouse.read("core/dim_product")
    facts = warehouse.read("kpis/kpi_daily").join(stores, on="store_id").join(products, on="product_id", suffix="_product")
    return facts.with_columns(pl.col("region").fill_null("(unknown)"))
