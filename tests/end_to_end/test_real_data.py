"""Totals over HTTP equal a direct DuckDB sum over the input files, to the cent.

The files are read by path: DEMANDGRAPH_TEST_DATA, else ../shared/data beside the checkout.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from litestar.testing import TestClient

from serving.app import create_asgi
from serving.settings import Settings
from tests.conftest import Once

FILES = Path(os.environ.get("DEMANDGRAPH_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"no folder {FILES}: set DEMANDGRAPH_TEST_DATA to the test data")

M5_SALES = (
    "SELECT store_code, sku, date, quantity, (quantity * unit_price)::DECIMAL(18,2) AS amount, state AS region, category "
    "FROM '{0}/m5/sample_50items_sales_daily.parquet' JOIN '{0}/m5/stores.parquet' USING (store_code) "
    "JOIN '{0}/m5/products.parquet' USING (sku)"
)
BENCH_SALES = (
    "SELECT code AS store_code, sku, date, quantity, total_amount::DECIMAL(18,2) AS amount, region, category "
    "FROM '{0}/serving_bench/sales.parquet' JOIN '{0}/serving_bench/stores.parquet' USING (store_id) "
    "JOIN '{0}/serving_bench/products.parquet' USING (product_id)"
)


FOLDERS = {"m5_sample": "m5", "serving_bench": "serving_bench"}


class Loaded(NamedTuple):
    client: TestClient
    direct: duckdb.DuckDBPyConnection


def load(root: Path, source: str) -> None:
    """Load a source of FILES by the command, and publish its totals."""
    command = ["-m", "demandgraph", "--data", root, "materialize", "--source", source, "--path", FILES / FOLDERS[source]]
    stages = ["--select", "sources", "core", "kpis", "publish"]
    subprocess.run([sys.executable, *command, *stages], check=True, capture_output=True, timeout=200)


@pytest.fixture(scope="module", params=["m5_sample", "serving_bench"])
def loaded(request: pytest.FixtureRequest, once: Once) -> Iterator[Loaded]:
    query = M5_SALES if request.param == "m5_sample" else BENCH_SALES
    root = once(request.param, lambda root: load(root, request.param))
    with duckdb.connect() as direct, TestClient(create_asgi(Settings(data=root)), base_url="http://127.0.0.1") as client:
        direct.execute(f"CREATE TABLE sales AS {query.format(FILES)}")
        yield Loaded(client, direct)


def test_totals_equal_the_input_files_to_the_cent(loaded: Loaded) -> None:
    [(first, last)] = loaded.direct.execute("SELECT min(date), max(date) FROM sales").fetchall()
    members = {
        parameter: [row[0] for row in loaded.direct.execute(f"SELECT DISTINCT {column} FROM sales ORDER BY 1").fetchall()]
        for parameter, column in COLUMNS.items()
    }
    draw = random.Random(20)
    for _ in range(10):
        start = first + timedelta(days=draw.randrange((last - first).days))
        end = start + timedelta(days=draw.randrange(700))
        chosen = draw.sample(sorted(COLUMNS), draw.randint(0, 2))
        filters = {name: draw.sample(members[name], min(2, len(members[name]))) for name in chosen}

        answer = loaded.client.get("/api/v1/analytics/kpis", params={"start_date": start, "end_date": end, **filters})

        if answer.status_code == 400:
            assert "contradict" in answer.json()["detail"]  # a store outside the region, a product outside the category
            filters = {}
            answer = loaded.client.get("/api/v1/analytics/kpis", params={"start_date": start, "end_date": end})
        metrics = answer.json()["metrics"]
        found = (f"{metrics['total_revenue']:.2f}", metrics["total_units"], metrics["total_transactions"])
        assert found == direct_sum(loaded.direct, start, end, filters), (start, end, filters)


COLUMNS = {"store_id": "store_code", "product_id": "sku", "category": "category", "region": "region"}


def direct_sum(
    connection: duckdb.DuckDBPyConnection, start: date, end: date, filters: dict[str, list[str]]
) -> tuple[str, int, int]:
    where, values = ["date BETWEEN ? AND ?"], [start, end]
    for name, wanted in filters.items():
        where.append(f"list_contains(?, {COLUMNS[name]})")
        values.append(wanted)
    query = "SELECT coalesce(sum(amount), 0), coalesce(sum(quantity), 0)::BIGINT, count(*) FROM sales WHERE "
    [(amount, units, records)] = connection.execute(query + " AND ".join(where), values).fetchall()
    return f"{amount:.2f}", units, records


@pytest.mark.parametrize("loaded", ["serving_bench"], indirect=True)
@pytest.mark.parametrize(
    ("params", "revenue", "units", "records"),
    [
        ({"start_date": "2024-10-01", "end_date": "2024-10-31"}, 46345486.99, 1795979, 124000),
        ({"start_date": "2023-11-01", "end_date": "2024-10-31"}, 523429545.75, 20297316, 1464000),
        ({"start_date": "2023-11-01", "end_date": "2024-10-31", "store_id": "7"}, 8934612.44, 364272, 29280),
    ],
)
def test_reference_answers(loaded: Loaded, params: dict[str, Any], revenue: float, units: int, records: int) -> None:
    metrics = loaded.client.get("/api/v1/analytics/kpis", params=params).json()["metrics"]

    assert (metrics["total_revenue"], metrics["total_units"], metrics["total_transactions"]) == (revenue, units, records)


@pytest.mark.parametrize("loaded", ["serving_bench"], indirect=True)
@pytest.mark.parametrize(
    ("dimension", "member", "revenue", "share"),
    [
        ("store", "S002", 12787523.72, 2.44),
        ("product", "SKU-0012", 12451177.62, 2.38),
        ("category", "Personal Care", 85726171.14, 16.38),
        ("date", "2024-07-13", 2261310.70, 0.43),
    ],
)
def test_reference_ranks(loaded: Loaded, dimension: str, member: str, revenue: float, share: float) -> None:
    params = {"start_date": "2023-11-01", "end_date": "2024-10-31", "dimension": dimension}

    first = loaded.client.get("/api/v1/analytics/drilldowns", params=params).json()["items"][0]

    assert (first["dimension_value"], first["metrics"]["total_revenue"]) == (member, revenue)
    assert abs(first["revenue_share_pct"] - share) < 0.011  # largest remainder may lift a share by a hundredth
