"""The document says enough to choose a call by it, its examples work, and no client that was written by it is broken."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from litestar.testing import TestClient

from serving.document.examples import COMES_FROM, EXAMPLES, Example, source_of
from serving.document.openapi import TAGS, operations_of
from serving.problems import MEDIA_TYPE, PROBLEMS
from tests.serving.conftest import client_of
from tests.serving.reviewed import REVIEWED, breaking, reviewed, served

DOCUMENT = served()
OPERATIONS = {operation["operationId"]: (path, method, operation) for path, method, operation in operations_of(DOCUMENT)}
VERBS = {
    *("get", "list", "create", "cancel", "retry", "set", "delete", "annotate", "compare", "verify", "explain", "preview"),
    *("check", "ingest", "replay", "generate", "append", "enrich", "is", "refresh", "decide", "extract", "simulate"),
    *("retrieve", "answer", "index"),
    "update",
}
NEEDS_DAGSTER = {"assets", "jobs"}


@pytest.fixture(scope="module")
def demo(demo_root: Path) -> Iterator[TestClient]:
    with client_of(demo_root) as client:
        yield client


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_introduces_itself(name: str) -> None:
    path, _, operation = OPERATIONS[name]

    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name), f"{name}: a verb and what it is done to, in snake case"
    assert name.split("_")[0] in VERBS, f"{name}: begins with no known verb"
    assert len(operation["description"]) > 30, f"{name}: write a docstring that says what it is for"
    assert set(operation["tags"]) <= set(TAGS), f"{name}: describe its tag in serving/document/openapi.py"
    for each in operation.get("parameters", []):
        assert each.get("description"), f"{name}: the {each['in']} parameter {each['name']} has no description"
    assert operation["x-example"]["request"].partition(" ")[2].startswith(path)


def test_every_member_of_every_body_is_described() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    bare = [f"{name}.{field}" for name, each in schemas.items() for field, said in each.get("properties", {}).items()
            if not said.get("description")]  # fmt: skip

    assert not bare, f"give these a Meta(description=...), or a line in serving/document/words.py: {', '.join(bare)}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_tells_its_problems_in_their_form(name: str) -> None:
    path, method, operation = OPERATIONS[name]
    problems = {status: each for status, each in operation["responses"].items() if status >= "400" and "$ref" in each}

    assert {"403", "422", "500"} <= set(operation["responses"])
    if path.startswith("/api/"):
        assert {"400", "401", "404", "429", "503"} <= set(problems)
        assert ({"409", "413", "415"} <= set(problems)) == (method != "get")
    for status, each in problems.items():
        said = DOCUMENT["components"]["responses"][each["$ref"].rpartition("/")[2]]
        assert list(said["content"]) == [MEDIA_TYPE]
        assert {PROBLEMS[slug].status for slug in each["$ref"].rpartition("/")[2].split("-or-")} == {int(status)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_example_of_an_operation_works(name: str, demo: TestClient) -> None:
    path, method, operation = OPERATIONS[name]
    example = EXAMPLES.get(name, Example())
    url, body = filled(name, path, example, demo)

    headers = {"Content-Type": "text/csv"} if example.text else {}
    content = example.text if example.text else json.dumps(body) if body is not None else None
    if content is not None and not example.text:
        headers = {"Content-Type": "application/json"}
    answer = demo.request(method.upper(), url, content=content, headers=headers)

    told = f"{method} {url}: {answer.text[:300]}"
    if answer.status_code == 503:  # nothing but the orchestrator is missing here; end_to_end/up/ has one
        assert answer.json()["code"] == "ORCHESTRATOR_UNAVAILABLE", told
        assert method != "get" or set(operation["tags"]) & NEEDS_DAGSTER, told
        return
    if answer.status_code == 409 and name in MAY_BE_REFUSED:
        return
    assert answer.status_code in (200, 202) or (name in MAY_BE_MISSING and answer.status_code == 404), told
    assert_shaped(answer, operation, told)


MAY_BE_REFUSED = {"retry_notification"}
"""Where every notification arrived, there is none to be tried again."""
MAY_BE_MISSING = {
    *("get_alias", "delete_alias", "get_alert", "update_alert", "get_export", "get_export_file"),
    *("get_workflow", "get_workflow_results", "get_allocation", "list_replenishment", "get_markdown", "list_variance"),
    *("get_variance", "get_approval", "decide_approval", "decide_manufacturing", "decide_markdown", "create_reforecast"),
    *("get_scenario", "delete_scenario", "compare_scenarios"),
    *("get_agent_session", "answer_message", "delete_agent_session"),
    *("get_workspace_export", "get_workspace_archive"),
}
"""A fresh data root has no alias, plan and export, and where all is well no alert; the example then names `production`."""


def filled(name: str, path: str, example: Example, demo: TestClient) -> tuple[str, Any]:
    """The url and body of an example, with ids from the answers that its links name."""

    def value(match: re.Match[str]) -> str:
        word = match.group(1)
        if word == "problem":
            return "not-found"
        source, pointer = source_of(name, word)
        if OPERATIONS[source][1] != "get":
            return "a" * 32
        answer = demo.get(OPERATIONS[source][0]).json()
        if answer.get("code") == "ORCHESTRATOR_UNAVAILABLE":
            return {"job_id": "a" * 32, "stage": "core"}.get(word, "sales_daily")
        if not answer.get("items", True):
            return "production"
        for step in pointer.split("/"):
            answer = answer[int(step)] if step.isdecimal() else answer[step]
        return str(answer)

    url = re.sub(r"\{(\w+)\}", value, f"{path}?{example.query}" if example.query else path)
    body = example.body
    if body is not None:
        body = json.loads(re.sub(r"\{(\w+)\}", value, json.dumps(body)))
    return url, body


def assert_shaped(answer: Any, operation: dict[str, Any], told: str) -> None:
    """The answer is one that the document describes."""
    response = operation["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in response["content"], told
    if media_type.endswith("json"):
        schema = {**response["content"][media_type]["schema"], "components": DOCUMENT["components"]}
        errors = list(jsonschema_rs.validator_for(schema).iter_errors(answer.json()))
        assert not errors, f"{told}: {errors[0]}"


def test_examples_are_of_operations_that_exist() -> None:
    assert set(EXAMPLES) <= set(OPERATIONS)
    assert {source for source, _ in COMES_FROM.values()} <= set(OPERATIONS)


def test_the_answer_that_an_id_comes_from_links_to_where_it_goes() -> None:
    links = OPERATIONS["list_model_runs"][2]["responses"]["200"]["links"]

    assert links["get_model_run"] == {"operationId": "get_model_run", "parameters": {"run_id": "$response.body#/items/0/run_id"}}
    assert OPERATIONS["get_model_run"][2]["x-example"]["run_id"] == "items/0/run_id of list_model_runs"


def test_no_client_is_broken() -> None:
    broken = breaking(reviewed(), DOCUMENT)

    assert not broken, (
        "\n"
        + "\n".join(broken)
        + "\nIf that is meant: tell it as BREAKING in CHANGELOG.md, then run `make openapi` and look at the diff."
    )


def test_the_reviewed_document_is_the_one_that_is_served() -> None:
    assert reviewed() == DOCUMENT, f"nothing breaks, but {REVIEWED.name} is out of date: run `make openapi` and look at the diff"


def without(keys: list[str]) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place = document
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


def having(keys: list[str], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if isinstance(place, list):
            place.append(value)
        else:
            place[keys[-1]] = value

    return change


CODE = ["components", "schemas", "Store", "properties", "code"]
STORES = ["paths", "/api/v1/dimensions/stores", "get"]
NEW = {"name": "near", "in": "query", "schema": {"type": "string"}, "required": False, "description": "d"}


def named(name: str) -> str:
    """The position of a parameter of list_stores."""
    listed = OPERATIONS["list_stores"][2]["parameters"]
    return str(next(n for n, each in enumerate(listed) if each["name"] == name))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without(STORES), "GET /api/v1/dimensions/stores is gone"),
        (having([*STORES, "operationId"], "find_stores"), "operationId list_stores is now find_stores"),
        (having([*STORES, "parameters", "-"], {**NEW, "required": True}), "query near is now required"),
        (having([*STORES, "parameters", named("page"), "name"], "p"), "query page is no longer taken"),
        (having([*STORES, "parameters", named("page_size"), "schema", "maximum"], 50), "query page_size takes less"),
        (having([*STORES, "parameters", named("sort_by"), "schema", "enum"], ["code"]), "query sort_by takes less"),
        (without(CODE), "items[].code is no longer given"),
        (having(CODE, {"type": "integer"}), "items[].code may be something else"),
        (having(["components", "schemas", "Store", "required"], ["id"]), "items[].code may be left out now"),
        (having(["components", "schemas", "RunChange", "required"], ["archive"]), "archive is now required"),
        (without(["components", "schemas", "RunChange", "properties", "tags"]), "tags is no longer taken"),
    ],
)  # fmt: skip
def test_what_breaks_a_client_is_named(change: Callable[[dict[str, Any]], None], expected: str) -> None:
    other = deepcopy(DOCUMENT)
    change(other)

    broken = breaking(DOCUMENT, other)

    assert any(expected in each for each in broken), broken


@pytest.mark.parametrize(
    "change",
    [
        having([*STORES, "parameters", "-"], NEW),
        having([*STORES, "description"], "Other words."),
        having([*STORES, "parameters", named("page_size"), "schema", "maximum"], 500),
        having(["components", "schemas", "Store", "properties", "colour"], {"type": "string"}),
        having(["paths", "/api/v1/dimensions/shelves"], {"get": {"operationId": "list_shelves", "responses": {}}}),
    ],
)
def test_what_only_adds_breaks_nobody(change: Callable[[dict[str, Any]], None]) -> None:
    other = deepcopy(DOCUMENT)
    change(other)

    assert other != DOCUMENT
    assert breaking(DOCUMENT, other) == []


@pytest.mark.parametrize("path", ["", "/", "/openapi.json", "/openapi.yaml", "/openapi.yml", "/nothing"])
def test_there_is_one_description_and_no_other(path: str, client: TestClient) -> None:
    answer = client.get(f"/docs/schema{path}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "/openapi.json" in answer.json()["detail"]
