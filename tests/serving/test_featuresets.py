"""Feature sets over HTTP: what a model sees, by name, store and product."""

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.names import Leak
from assets_config.contract.sales import FeatureCatalog, FeaturePreview
from tests.serving.conftest import client_of
from tests.serving.parts import FIRST, write_snapshot

STORES = [DimStore(n, f"S{n}", f"Store {n}", None, None, None, None, None, None, None, None) for n in (1, 2)]
PRODUCTS = [DimProduct(7, "SKU-7", "Rye", None, None, None, None, None, None, None)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    features: list[tuple[str, str, Leak]] = [("lag_0", "lags", "lagged"), ("lag_7", "lags", "lagged")]
    features.append(("month", "calendar", "known_ahead"))
    catalog = [
        FeatureCatalog("demand", "ab" * 8, "levels", n, name, group, leak, f"about {name}")
        for n, (name, group, leak) in enumerate(
            [("lag_0", "lags", "lagged"), ("lag_7", "lags", "lagged"), ("month", "calendar", "known_ahead")]
        )
    ]
    preview = [
        FeaturePreview("demand", store, 7, FIRST.replace(day=day), FIRST.replace(day=day - 1), f'{{"lag_0": {day}, "month": null}}')
        for store in (1, 2)
        for day in range(2, 20)
    ]
    rows = {"dim_store": STORES, "dim_product": PRODUCTS, "feature_catalog": catalog, "feature_preview": preview}
    root = tmp_path_factory.mktemp("featuresets")
    write_snapshot(root, rows)
    with client_of(root) as client:
        yield client


def test_feature_sets_are_listed_with_their_size(client: TestClient) -> None:
    [item] = client.get("/api/v1/featuresets").json()["items"]

    assert item == {"name": "demand", "hash": "ab" * 8, "about": "levels", "features": 3}


def test_a_feature_set_tells_what_each_feature_may_know(client: TestClient) -> None:
    body = client.get("/api/v1/featuresets/demand").json()

    assert [each["name"] for each in body["features"]] == ["lag_0", "lag_7", "month"]
    assert body["features"][2]["leak"] == "known_ahead"
    assert body["feature_groups"] == {"lags": ["lag_0", "lag_7"], "calendar": ["month"]}


def test_a_preview_gives_the_newest_rows_of_each_series(client: TestClient) -> None:
    body = client.get("/api/v1/featuresets/demand/preview?rows=2").json()

    assert [(each["store_id"], each["date"]) for each in body["items"]] == [
        (1, "2024-06-18"),
        (1, "2024-06-19"),
        (2, "2024-06-18"),
        (2, "2024-06-19"),
    ]
    assert body["items"][0]["features"] == {"lag_0": 18, "month": None}


def test_a_preview_can_be_of_one_series(client: TestClient) -> None:
    body = client.get("/api/v1/featuresets/demand/preview?store=S2&product=SKU-7").json()

    assert body["total"] == 10
    assert {each["store_id"] for each in body["items"]} == {2}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing", 404),
        ("nothing/preview", 404),
        ("demand/preview?rows=0", 422),
        ("demand/preview?rows=101", 422),
        ("demand/preview?store=S9", 404),
    ],
)
def test_a_wrong_question_is_refused(path: str, status: int, client: TestClient) -> None:
    assert client.get(f"/api/v1/featuresets/{path}").status_code == status
