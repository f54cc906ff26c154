"""Model types over HTTP: every entry of models.yaml, those that are not enabled with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.declared import load_declarations
from tests.serving.conftest import client_of


@pytest.fixture(scope="module")
def types(demo_root: Path) -> Iterator[dict[str, dict[str, Any]]]:
    with client_of(demo_root) as client:
        yield types_of(client)


def types_of(client: TestClient) -> dict[str, dict[str, Any]]:
    body = client.get("/api/v1/registry/model-types?page_size=100").json()
    assert body["total"] == len(body["items"])
    return {each["model_type"]: each for each in body["items"]}


def test_every_type_is_listed_in_order_of_declaration(types: dict[str, dict[str, Any]]) -> None:
    assert list(types) == list(load_declarations().models)
    assert all(each["description"] or not each["enabled"] for each in types.values())


def test_a_disabled_type_tells_the_reason(types: dict[str, dict[str, Any]]) -> None:
    lightgbm = types["lightgbm"]

    assert (lightgbm["enabled"], lightgbm["params"]) == (False, [])
    assert "xgboost" in lightgbm["reason"]


def test_an_enabled_type_tells_parameters_and_features(types: dict[str, dict[str, Any]]) -> None:
    trees, naive = types["xgboost"], types["naive"]

    assert {"name": "rounds", "type": "integer", "choices": None, "default": 150, "value": 8} in trees["params"]
    assert (trees["learns_from_features"], trees["feature_set"].split("/")[0]) == (True, "demand")
    assert (naive["learns_from_features"], naive["feature_set"], naive["reason"]) == (False, None, None)
    assert naive["patterns"] == ["smooth", "intermittent", "erratic", "lumpy", "no_demand"]
