"""Names and notes of model runs over HTTP: who is called what, and what is refused before a job exists."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.registry import ModelRun
from assets_config.contract.state import ModelAlias, ModelRunNote
from tests.serving.conftest import client_of
from tests.serving.parts import AT, FIRST, LAST, write_snapshot

ALIASES, RUNS = "/api/v1/registry/aliases", "/api/v1/registry/runs"
GOOD, FAILED, ARCHIVED, UNKNOWN = (letter * 32 for letter in "abcd")
JOB = "1" * 32


def run(run_id: str, status: Any = "success") -> ModelRun:
    return ModelRun(
        *(run_id, "naive", status, "{}", "c", FIRST, LAST, "d", None, None, 2, "{}", "{}", None, None, None, None, AT, AT, 1.0),
        *(None, None, True, None),
    )


ROWS = {
    "model_run": [run(GOOD), run(FAILED, "failed"), run(ARCHIVED)],
    "model_alias": [
        ModelAlias("candidate", GOOD, "naive", False, None, AT, JOB),
        ModelAlias("production", GOOD, "naive", True, "as agreed", AT, JOB),
    ],
    "model_run_note": [ModelRunNote(ARCHIVED, True, '["old"]', "too slow", AT, JOB)],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("aliases")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


def test_aliases_are_listed_by_name_and_read_one_by_one(client: TestClient) -> None:
    listed = client.get(ALIASES).json()
    one = client.get(f"{ALIASES}/production").json()

    assert [each["name"] for each in listed["items"]] == ["candidate", "production"]
    assert one.pop("metadata")["model_version"] == GOOD
    assert one == listed["items"][1]
    assert one == {
        "name": "production",
        "run_id": GOOD,
        "model_type": "naive",
        "protected": True,
        "note": "as agreed",
        "changed_at": "2024-07-01T12:00:00Z",
        "changed_by": JOB,
    }


def test_a_snapshot_without_state_has_no_alias_and_no_note(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["state"])

    with client_of(tmp_path) as client:
        aliases, runs = client.get(ALIASES), client.get(RUNS)

    assert (aliases.status_code, aliases.json()["items"]) == (200, [])
    assert {(each["status"], each["notes"]) for each in runs.json()["items"]} == {("success", None), ("failed", None)}


def test_an_archived_run_is_told_as_such_with_tags_and_notes(client: TestClient) -> None:
    one = client.get(f"{RUNS}/{ARCHIVED}").json()
    listed = client.get(f"{RUNS}?status=archived").json()["items"]
    plain = client.get(f"{RUNS}/{GOOD}").json()

    assert (one["status"], one["tags"], one["notes"]) == ("archived", ["old"], "too slow")
    assert [each["run_id"] for each in listed] == [ARCHIVED]
    assert (plain["status"], plain["tags"], plain["notes"]) == ("success", [], None)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": "new", "run_id": UNKNOWN}, 404, UNKNOWN),
        ({"name": UNKNOWN, "run_id": GOOD}, 409, f"'{UNKNOWN}' reads like the id of a run"),
        ({"name": "new", "run_id": FAILED}, 409, "is failed: only runs with status success"),
        ({"name": "new", "run_id": ARCHIVED}, 409, "is archived: only runs with status success"),
        ({"name": "production", "run_id": GOOD}, 409, "Alias production is protected"),
        ({"name": "production", "run_id": GOOD, "protected": False, "note": "as agreed"}, 409, "Alias production is protected"),
    ],
)
def test_an_alias_that_cannot_be_set_is_refused(body: dict[str, Any], status: int, said: str, client: TestClient) -> None:
    answer = client.post(ALIASES, json=body, headers={"Idempotency-Key": "k"})

    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_an_id_means_its_own_run_whatever_is_called_so(tmp_path: Path) -> None:
    other = "9" * 32
    called = [
        ModelAlias(GOOD, other, "naive", False, None, AT, JOB),
        ModelAlias("production", other, "naive", False, None, AT, JOB),
    ]
    write_snapshot(tmp_path, {"model_run": [run(GOOD), run(other)], "model_alias": called})
    body = {"job_type": "predict", "dry_run": True}

    with client_of(tmp_path) as client:
        meant = [client.post("/api/v1/jobs", json={**body, "params": {"run_id": name}}) for name in (GOOD, "production")]

    assert [each.json()["params"]["run_id"] for each in meant] == [GOOD, other]


def test_an_alias_that_cannot_be_deleted_is_refused(client: TestClient) -> None:
    protected, unknown = client.delete(f"{ALIASES}/production"), client.delete(f"{ALIASES}/none?force=true")

    assert (protected.status_code, protected.json()["code"]) == (409, "CONFLICT")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", ALIASES, {"name": "new", "run_id": GOOD}),
        ("POST", ALIASES, {"name": "candidate", "run_id": GOOD, "protected": True, "note": "with 'quotes' and 💥"}),
        ("POST", ALIASES, {"name": "production", "run_id": GOOD, "note": "as agreed"}),
        ("POST", ALIASES, {"name": "production", "run_id": GOOD, "force": True}),
        ("DELETE", f"{ALIASES}/candidate", None),
        ("DELETE", f"{ALIASES}/production?force=true", None),
        ("PATCH", f"{RUNS}/{FAILED}", {"archive": True, "tags": ["a"], "notes": "no\nmore"}),
        ("PATCH", f"{RUNS}/{GOOD}", {"archive": False}),
        ("PATCH", f"{RUNS}/{GOOD}", {"notes": ""}),
    ],
)
def test_what_is_allowed_meets_the_absent_orchestrator(method: str, url: str, body: Any, client: TestClient) -> None:
    answer = client.request(method, url, json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), answer.text


@pytest.mark.parametrize(("key", "status"), [("k1", 503), ("k2", 404), (None, 404)])
def test_a_repeated_request_is_its_job_whatever_that_changed(key: str | None, status: int, tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    known = tmp_path / "landing" / "idempotency" / hashlib.sha256(b"k1").hexdigest()
    known.parent.mkdir(parents=True)
    body = json.dumps(["delete_alias", {"force": False, "name": "gone"}])
    known.write_text(json.dumps({"body": body, "run": JOB}))

    with client_of(tmp_path) as client:
        answer = client.delete(f"{ALIASES}/gone", headers={} if key is None else {"Idempotency-Key": key})

    assert answer.status_code == status, "a key that is known leads to Dagster, which has the job"


HOSTILE = [
    *("", "-x", "Production", "a b", "a/b", "../a", "a" * 101, "a\n", "\x00", "é", "a'; DROP TABLE model_alias; --", "a\u202e"),
    *(None, 1, True, ["a"], {"a": 1}),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused(name: Any, client: TestClient) -> None:
    answers = [
        client.post(ALIASES, json={"name": name, "run_id": GOOD}),
        client.post("/api/v1/jobs", json={"job_type": "set_alias", "params": {"name": name, "run_id": GOOD}}),
        client.post("/api/v1/jobs", json={"job_type": "delete_alias", "params": {"name": name}}),
    ]

    assert [answer.status_code for answer in answers] == [422] * 3
    assert answers[1].json()["errors"][0]["field"] == "params.name"


@pytest.mark.parametrize("path", ["a%0A", "%00", "..%2F..%2Fetc", "a%27%3B--", "%ff%fe", "x" * 5000, "Production", "%F0%9F%92%A5"])
def test_a_hostile_path_is_not_found(path: str, client: TestClient) -> None:
    answers = [
        client.get(f"{ALIASES}/{path}"),
        client.delete(f"{ALIASES}/{path}"),
        client.patch(f"{RUNS}/{path}", json={"archive": True}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 3


@pytest.mark.parametrize("run_id", ["", "a" * 31, "a" * 33, "A" * 32, f"{GOOD}\n", "' OR 1=1 --", None, 7])
def test_a_hostile_run_id_is_refused(run_id: Any, client: TestClient) -> None:
    answers = [
        client.post(ALIASES, json={"name": "new", "run_id": run_id}),
        client.post("/api/v1/jobs", json={"job_type": "annotate_run", "params": {"run_id": run_id, "archive": True}}),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"name": "\xff"}',
        json.dumps({"name": "new", "run_id": GOOD, "note": "x" * 501}).encode(),
        json.dumps({"name": "new", "run_id": GOOD, "note": "\x00"}).encode(),
        b'{"name": "new", "run_id": "%s", "note": "\\ud800"}' % GOOD.encode(),
        json.dumps({"name": "new", "run_id": GOOD, "model_type": "naive"}).encode(),
        json.dumps({"name": "new", "run_id": GOOD, "protected": "yes"}).encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_alias_is_refused(body: bytes, client: TestClient) -> None:
    answer = client.post(ALIASES, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


@pytest.mark.parametrize("name", ["metrics", "artifact_uri", "artifact_hash", "status", "config", "run_id"])
def test_a_fact_of_a_run_is_immutable(name: str, client: TestClient) -> None:
    answer = client.patch(f"{RUNS}/{GOOD}", json={"notes": "better", name: {"wape": 0}})

    [error] = answer.json()["errors"]
    assert answer.status_code == 422
    assert (error["field"], error["code"]) == (name, "immutable")
    assert error["message"] == "is a fact of the run and never changes; archive, tags, notes may be changed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"archive": None}, "body"),
        ({"archived": True}, "archived"),
        ({"archive": "yes"}, "archive"),
        ({"tags": "a"}, "tags"),
        ({"tags": ["a", ""]}, "tags"),
        ({"tags": ["a b"]}, "tags"),
        ({"tags": ["a\n"]}, "tags"),
        ({"tags": ["a"] * 21}, "tags"),
        ({"notes": "x" * 2001}, "notes"),
        ({"notes": "\x00"}, "notes"),
        ({"notes": 1}, "notes"),
    ],
)
def test_a_wrong_annotation_is_refused_by_name(body: dict[str, Any], field: str, client: TestClient) -> None:
    answer = client.patch(f"{RUNS}/{GOOD}", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field), answer.text


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"7", b'"archive"', b"[" * 100_000, b'{"notes": "\xff"}'])
def test_a_body_that_is_no_annotation_is_refused(body: bytes, client: TestClient) -> None:
    answer = client.patch(f"{RUNS}/{GOOD}", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


def test_a_run_with_an_alias_is_not_archived(client: TestClient) -> None:
    answer = client.patch(f"{RUNS}/{GOOD}", json={"archive": True, "notes": "done"})

    assert answer.status_code == 409
    assert answer.json()["detail"].startswith(f"Run {GOOD} has the alias candidate, production: move or delete it")


def test_without_a_snapshot_nothing_can_be_named(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answers = [
            client.get(ALIASES),
            client.post(ALIASES, json={"name": "new", "run_id": GOOD}),
            client.delete(f"{ALIASES}/new"),
            client.patch(f"{RUNS}/{GOOD}", json={"archive": True}),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "NO_SNAPSHOT")] * 4
