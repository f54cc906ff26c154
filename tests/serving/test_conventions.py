"""The rules of docs/api.md, held against every route by the document: none is written down here by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from serving.document.examples import EXAMPLES, Example
from serving.formats import OFFERED
from tests.serving.conftest import client_of
from tests.serving.test_openapi import MAY_BE_MISSING, OPERATIONS, filled

HUGE = 10**30  # past what 64 bits hold
READS = {name: path for name, (path, method, _) in OPERATIONS.items() if method == "get" and path.startswith("/api/")}
OF_DAGSTER = {
    *(
        "list_jobs",
        "get_job",
        "list_job_events",
        "list_job_steps",
        "get_demo_run",
        "list_events",
        "explain_job",
        "list_assets",
        "get_asset",
        "list_check_results",
    ),
}
NO_SNAPSHOT = (
    OF_DAGSTER
    | {"list_job_types", "list_ingest_kinds", "list_seed_scenarios", "check_providers", "list_provider_models", "get_config"}
    | {
        *("list_exports", "get_export", "get_export_file", "get_workspace_export", "get_workspace_archive"),
    }
)
"""Reads that say nothing of the snapshot: they are asked of Dagster, or are the same whatever is published."""
METADATA = ("snapshot_id", "dataset_id", "model_version", "run_id", "as_of", "generated_at", "published_at", "stale")


@pytest.fixture(scope="module")
def demo(demo_root: Path) -> Iterator[TestClient]:
    with client_of(demo_root) as client:
        yield client


def parameters(name: str, place: str = "query") -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in OPERATIONS[name][2].get("parameters", []) if each["in"] == place}


def having(*names: str) -> list[str]:
    """The reads that have these query parameters."""
    return [name for name in READS if set(names) <= set(parameters(name))]


def url_of(name: str, demo: TestClient) -> str:
    """The example of an operation, with ids that exist."""
    return filled(name, OPERATIONS[name][0], EXAMPLES.get(name, Example()), demo)[0]


def added(url: str, **query: Any) -> str:
    """The url with more in its query; what it had of the same names goes."""
    path, _, known = url.partition("?")
    kept = [each for each in known.split("&") if each and each.partition("=")[0] not in query]
    return f"{path}?{'&'.join([*kept, *(f'{name}={value}' for name, value in query.items())])}"


def refused(answer: Any, field: str) -> dict[str, Any]:
    """The entry of the field in a 422."""
    assert answer.status_code == 422, answer.text
    entries: list[dict[str, Any]] = [each for each in answer.json()["errors"] if each["field"] == field]
    assert entries, answer.text
    return entries[0]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unknown_parameter_is_named_with_those_that_are_known(name: str, demo: TestClient) -> None:
    path, method, _ = OPERATIONS[name]

    answer = demo.request(method.upper(), added(path.replace("{", "").replace("}", ""), shelf=1))

    said = refused(answer, "shelf")
    assert all(known in said["message"] for known in parameters(name)) or not parameters(name)


KEYED = [name for name in OPERATIONS if "Idempotency-Key" in parameters(name, "header")]


@pytest.mark.parametrize("name", KEYED)
def test_an_empty_idempotency_key_is_refused(name: str, demo: TestClient) -> None:
    path, method, _ = OPERATIONS[name]
    example = EXAMPLES.get(name, Example())
    url, body = filled(name, path, example, demo)

    answer = demo.request(method.upper(), url, json=body, headers={"Idempotency-Key": ""})

    if answer.status_code == 404 and name in MAY_BE_MISSING:
        return
    assert refused(answer, "Idempotency-Key")["message"] == "Expected `str` of length >= 1"


@pytest.mark.parametrize("name", [name for name in READS if "{" in READS[name]])
@pytest.mark.parametrize("unknown", ["none", str(HUGE), "-1", "%F0%9F%92%A5", "a" * 300])
def test_an_unknown_entity_is_not_found(name: str, unknown: str, demo: TestClient) -> None:
    path = OPERATIONS[name][0]
    for each in parameters(name, "path"):
        path = path.replace(f"{{{each}}}", unknown)
    query = EXAMPLES.get(name, Example()).query
    needed = [part for part in query.split("&") if part and "{" not in part]

    answer = demo.get(f"{path}?{'&'.join(needed)}" if needed else path)

    assert answer.status_code == (503 if name in OF_DAGSTER else 404), answer.text
    assert len(answer.json()["detail"]) < 500


@pytest.mark.parametrize("path", sorted({path for path, _, _ in OPERATIONS.values()}))
def test_options_tells_every_method_of_a_path(path: str, demo: TestClient) -> None:
    answer = demo.options(path.replace("{", "").replace("}", ""))

    methods = {method.upper() for other, method, _ in OPERATIONS.values() if other == path}
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (204, methods | {"OPTIONS"})


OFFERED_AS = {name: OPERATIONS[name][2]["responses"]["200"].get("content", {}) for name in READS}
TABLES = [name for name, offered in OFFERED_AS.items() if set(OFFERED) <= set(offered) and name not in OF_DAGSTER]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_answered_in_each_format(name: str, demo: TestClient) -> None:
    url = url_of(name, demo)
    is_missing = name in MAY_BE_MISSING and demo.get(url).status_code == 404

    for media_type in OFFERED:
        answer = demo.get(url, headers={"Accept": media_type})

        assert answer.status_code == (404 if is_missing else 200), f"{media_type}: {answer.text}"
        assert is_missing or answer.headers["content-type"].startswith(media_type)


ENTITIES = ("store_id", "product_id", "store", "product", "item_ids")


@pytest.mark.parametrize(("name", "entity"), [(name, each) for name in READS for each in ENTITIES if each in parameters(name)])
@pytest.mark.parametrize("unknown", ["none", str(HUGE), str(2**63), "-9223372036854775809"])
def test_a_filter_by_an_unknown_store_or_product_is_not_found(name: str, entity: str, unknown: str, demo: TestClient) -> None:
    answer = demo.get(added(url_of(name, demo), **{entity: unknown}))

    assert answer.status_code == (503 if name in OF_DAGSTER else 404), answer.text


@pytest.mark.parametrize("name", having("page", "page_size"))
def test_pages_have_bounds_and_past_the_end_they_are_empty(name: str, demo: TestClient) -> None:
    url = url_of(name, demo)

    for parameter, value in (
        ("page_size", 0),
        ("page_size", 101),
        ("page", 0),
        ("page", HUGE),
        ("page_size", "all"),
        ("page", 1.5),
    ):
        refused(demo.get(added(url, **{parameter: value})), parameter)
    if name in OF_DAGSTER:
        return
    answer = demo.get(added(url, page=1_000_000, page_size=100))
    if answer.status_code == 404 and name in MAY_BE_MISSING:
        return
    found = answer.json()
    assert (found["items"], found["page"], found["page_size"]) == ([], 1_000_000, 100)


@pytest.mark.parametrize("name", having("after", "limit"))
def test_events_have_bounds(name: str, demo: TestClient) -> None:
    url = url_of(name, demo)

    for parameter, value in (("limit", 0), ("limit", 501), ("after", -1), ("after", HUGE)):
        refused(demo.get(added(url, **{parameter: value})), parameter)


LISTED = [(name, each) for name in READS for each, said in parameters(name).items() if "enum" in said["schema"]]


@pytest.mark.parametrize(("name", "parameter"), LISTED)
def test_a_value_that_is_not_listed_is_answered_with_those_that_are(name: str, parameter: str, demo: TestClient) -> None:
    said = refused(demo.get(added(url_of(name, demo), **{parameter: "sideways"})), parameter)

    assert said["value"] == "sideways"
    assert all(str(value) in said["message"] for value in parameters(name)[parameter]["schema"]["enum"])


SORTED = [(name, value) for name in having("sort_by") for value in parameters(name)["sort_by"]["schema"]["enum"]]


@pytest.mark.parametrize(("name", "value"), SORTED)
def test_every_order_that_is_offered_works(name: str, value: str, demo: TestClient) -> None:
    path = OPERATIONS[name][0]

    answers = [demo.get(f"{path}?sort_by={value}&sort_order={order}&page_size=100") for order in ("asc", "desc")]

    if name in OF_DAGSTER:
        assert {answer.status_code for answer in answers} == {503}
        return
    up, down = ([each.get(value) for each in answer.json()["items"] if each.get(value) is not None] for answer in answers)
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)


@pytest.mark.parametrize("name", READS)
def test_a_scalar_is_given_once_and_null_is_no_value(name: str, demo: TestClient) -> None:
    url = url_of(name, demo)
    for parameter, said in parameters(name).items():
        if said["schema"].get("type") != "array":
            value = demo.get(added(url, **{parameter: "x"}) + f"&{parameter}=y")
            refused(value, parameter)
        if (
            said["schema"].get("type") in ("integer", "boolean")
            or said["schema"].get("format") == "date"
            or "enum" in said["schema"]
        ):
            refused(demo.get(added(url, **{parameter: "null"})), parameter)


@pytest.mark.parametrize("name", [name for name in READS if name not in NO_SNAPSHOT])
def test_every_read_can_be_pinned_and_says_what_it_read(name: str, demo: TestClient) -> None:
    url, current = url_of(name, demo), demo.get("/api/v1/system/info").json()["metadata"]["snapshot_id"]

    pinned = demo.get(added(url, snapshot=current))
    unknown = demo.get(added(url, snapshot="20000101T000000Z-00000000"))

    assert "snapshot" in parameters(name)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
    if pinned.status_code == 200 and "json" in pinned.headers["content-type"]:
        metadata = pinned.json()["metadata"]
        assert tuple(metadata) == METADATA
        assert metadata["snapshot_id"] == current


@pytest.mark.parametrize("name", READS)
def test_no_answer_has_a_number_that_is_none(name: str, demo: TestClient) -> None:
    answer = demo.get(url_of(name, demo))

    if "json" in answer.headers["content-type"]:
        json.loads(answer.text, parse_constant=lambda word: pytest.fail(f"{word} in the answer of {name}"))
