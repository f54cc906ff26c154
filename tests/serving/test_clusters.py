"""Clusters of stores and classes of series over HTTP, and KPIs a cluster."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.clusters import ClusterDiagnostic, StoreCluster, StoreClusterMember
from assets_config.contract.sales import KpiDaily, SeriesSegment
from tests.serving.conftest import client_of
from tests.serving.parts import AT, LAST, write_snapshot

STORES, SEGMENTS = "/api/v1/dimensions/stores", "/api/v1/dimensions/segments"
NAMES = {1: "premium", 2: "value"}


def cluster(number: int, stores: int) -> StoreCluster:
    scale = '{"income": [50000.0, 10000.0], "tier": [-2.0, 0.5]}'
    return StoreCluster(number, NAMES[number], NAMES[number].upper(), stores, 900.5, '{"income": 1.25, "tier": -0.5}', scale, AT)


ROWS = {
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", None, *[None] * 7) for n in (1, 2, 3, 4)],
    "dim_product": [DimProduct(1, "P1", "Product 1", None, *[None] * 6)],
    "store_cluster": [cluster(1, 1), cluster(2, 1)],
    "store_cluster_member": [StoreClusterMember(n, c, NAMES[c], 0.5, n == 3, AT) for n, c in ((1, 1), (2, 2), (3, 2))],
    "cluster_diagnostic": [ClusterDiagnostic(2, 8.25, 0.5, 1, True), ClusterDiagnostic(3, 0.0, None, 1, False)],
    "kpi_daily": [KpiDaily(n, 1, LAST - timedelta(days=d), Decimal(n), n, 1) for n in (1, 2, 3, 4) for d in (0, 1)],
    "series_segment": [
        SeriesSegment(1, 1, "smooth", 1.0, 0.1, 8.5, 30, LAST, "A", "X", 0.2, 10.0),
        SeriesSegment(2, 1, "lumpy", 2.0, 0.9, 8.5, 30, LAST, "A", None, None, 3.0),
    ],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("clusters")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


def test_clusters_tell_how_many_stores_they_have_now(client: TestClient) -> None:
    found = client.get(f"{STORES}/clusters").json()

    assert [(each["cluster_id"], each["cluster_name"], each["store_count"]) for each in found["items"]] == [
        (1, "premium", 1),
        (2, "value", 2),
    ]
    assert found["items"][0]["centroid"] == {"income": 1.25, "tier": -0.5}
    assert found["items"][0]["fashion_tier"] == "PREMIUM"


def test_diagnostics_tell_every_number_and_the_scale(client: TestClient) -> None:
    found = client.get(f"{STORES}/clusters/diagnostics").json()

    assert [(each["k"], each["silhouette"], each["is_chosen"]) for each in found["items"]] == [(2, 0.5, True), (3, None, False)]
    assert found["standardisation"][0] == {"feature": "income", "mean": 50000, "deviation": 10000}


@pytest.mark.parametrize(("cluster", "codes"), [("value", ["S2", "S3"]), ("2", ["S2", "S3"]), ("1", ["S1"])])
def test_stores_are_found_by_their_cluster(cluster: str, codes: list[str], client: TestClient) -> None:
    found = client.get(f"{STORES}?cluster={cluster}").json()

    assert [each["code"] for each in found["items"]] == codes


@pytest.mark.parametrize("cluster", ["mainstream", "Value", "3"])
def test_a_cluster_that_there_is_not_is_not_found(cluster: str, client: TestClient) -> None:
    answer = client.get(f"{STORES}?cluster={cluster}")

    assert answer.status_code == 404
    assert f"No cluster is called '{cluster}'" in answer.json()["detail"]


def test_a_store_tells_its_cluster(client: TestClient) -> None:
    known, unknown = (client.get(f"{STORES}/{code}").json() for code in ("S3", "S4"))

    assert (known["cluster_id"], known["cluster"]) == (2, "value")
    assert (unknown["cluster_id"], unknown["cluster"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "total"), [("", 2), ("?abc=A", 2), ("?abc=B", 0), ("?xyz=X", 1), ("?abc=A&xyz=X&pattern=smooth", 1), ("?xyz=Y", 0)]
)
def test_series_are_found_by_their_classes(query: str, total: int, client: TestClient) -> None:
    assert client.get(f"{SEGMENTS}{query}").json()["total"] == total


@pytest.mark.parametrize("query", ["?abc=D", "?xyz=W", "?abc=null"])
def test_a_class_that_is_none_is_refused(query: str, client: TestClient) -> None:
    assert client.get(f"{SEGMENTS}{query}").status_code == 422


def test_without_clusters_there_are_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["clusters"])
    with client_of(tmp_path) as client:
        clusters, diagnostics = (client.get(f"{STORES}/{path}").json() for path in ("clusters", "clusters/diagnostics"))
        store = client.get(f"{STORES}/S3").json()

    assert (clusters["items"], diagnostics["items"], diagnostics["standardisation"]) == ([], [], [])
    assert store["cluster"] is None
