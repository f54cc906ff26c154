"""Jobs of planning, as the API would launch them, over a root that was made by the whole graph."""

from pathlib import Path

import pytest

from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.registry.test_state import run_job
from tests.serving.conftest import client_of


@pytest.fixture
def warehouse(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


def test_the_job_that_makes_clusters_publishes_them_alone(warehouse: Warehouse, small_config: Path) -> None:
    before = warehouse.read("planning/store_cluster")

    job = run_job(warehouse.root, small_config, "cluster", clusters=1)

    assert job.success
    after = warehouse.read("planning/store_cluster")
    assert after["fitted_at"][0] > before["fitted_at"][0]
    first, second = reversed(manifests(warehouse.published))
    assert [name for name, part in second.parts.items() if part.key != first.parts[name].key] == ["clusters"]


def test_the_job_that_classes_series_publishes_them(warehouse: Warehouse, small_config: Path) -> None:
    assert run_job(warehouse.root, small_config, "segment").success
    assert len(manifests(warehouse.published)) == 2


def test_kpis_of_clusters_add_up_to_all(demo_root: Path) -> None:
    dates = "start_date=2024-12-01&end_date=2024-12-31"
    with client_of(demo_root) as client:
        whole = client.get(f"/api/v1/analytics/kpis?{dates}").json()["metrics"]
        ranked = client.get(f"/api/v1/analytics/drilldowns?dimension=cluster&{dates}").json()["items"]
        single = client.get(f"/api/v1/analytics/kpis?{dates}&cluster={ranked[0]['dimension_value']}").json()["metrics"]

    assert sum(each["metrics"]["total_units"] for each in ranked) == whole["total_units"]
    assert single == ranked[0]["metrics"]
