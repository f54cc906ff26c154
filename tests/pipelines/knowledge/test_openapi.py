"""An operation is a passage, and what is no description of an API is named."""

import json

import pytest

from pipelines.errors import PipelineError
from pipelines.knowledge.openapi import passages

SHOP = {
    "info": {"title": "Shop", "description": "Sells things."},
    "paths": {
        "/orders/{id}": {
            "parameters": [],
            "get": {
                "operationId": "get_order",
                "summary": "One order",
                "description": "One order with its lines.",
                "tags": ["orders"],
                "parameters": [{"name": "id", "in": "path", "description": "Number of the order."}],
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
            },
            "delete": {"summary": "Cancel it", "requestBody": {"$ref": "#/components/nothing"}},
        }
    },
    "components": {"schemas": {"Order": {"properties": {"lines": {"$ref": "#/components/schemas/Order"}, "total": {}}}}},
}


def test_an_operation_is_a_passage_with_its_place() -> None:
    about, get, delete = passages("shop.json", json.dumps(SHOP))

    assert about.text == "Shop\nSells things."
    assert get.headings == ("Shop", "GET /orders/{id}")
    assert (get.operation_id, get.anchor) == ("get_order", "#/paths/~1orders~1{id}/get")
    assert get.text == (
        "One order with its lines.\n\noperation: get order (get_order)\ntags: orders\n"
        "parameter id (path): Number of the order.\ngives: Order (lines, total)"
    )
    assert (delete.operation_id, delete.text) == (None, "Cancel it")


def test_yaml_is_read_as_json_is() -> None:
    text = "info: {title: Shop}\npaths:\n  /a:\n    get: {summary: Reads a}\n"

    assert [each.text for each in passages("shop.yaml", text)] == ["Shop", "Reads a"]


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"paths": []}', "a: [", "\0", "- a\n- b", "&a [*a]", "[" * 5000, "plain words"]
)
def test_what_is_no_api_is_named(text: str) -> None:
    with pytest.raises(PipelineError, match=r"shop\.json"):
        passages("shop.json", text)


@pytest.mark.parametrize(
    "paths",
    [
        {"/a": None},
        {"/a": []},
        {"/a": {"get": 1}},
        {"/a": {"get": {"parameters": 3, "responses": [], "tags": "x"}}},
        {"1": {"x": {}}},
    ],
)
def test_an_odd_api_is_read_as_far_as_it_goes(paths: object) -> None:
    assert passages("odd.json", json.dumps({"paths": paths}))
