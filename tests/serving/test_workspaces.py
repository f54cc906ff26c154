"""Workspaces over HTTP: listed, held against each other, what they name is looked for, and what is refused before a job is."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.model_types import ModelType
from assets_config.contract.scenarios import Scenario
from assets_config.contract.stories import CreatedObjects, PhaseSummary, ResultSummary, Story
from assets_config.contract.workspaces import DemoParams, Scope, Workspace
from pipelines.publish.workspaces.bundle import packed
from tests.serving.conftest import client_of
from tests.serving.parts import AT, FIRST, LAST, write_snapshot
from tests.serving.test_aliases import GOOD, run

URL, RUN = "/api/v1/demo/workspaces", "/api/v1/demo/run"
OLD, NEW, PINNED, DONE, NOBODY = (letter * 32 for letter in "12345")
SAVED = "e" * 32


RESULT = ResultSummary(winner_model_type="naive", winner_wape=0.25, wapes={"naive": 0.25}, series=2, units=10.0)


def encoded(said: Any) -> str:
    return msgspec.json.encode(said).decode()


def workspace(workspace_id: str, name: str, **said: Any) -> Workspace:
    asked = DemoParams(preservation="keep", workspace_name=name, skip_seed=False, seed=int(workspace_id[0]))
    given: dict[str, Any] = {
        "status": "completed",
        "scenario": "demo_minimal",
        "seed": asked.seed,
        "archived": False,
        "pinned": False,
        "tags": "[]",
        "notes": None,
        "replayed_from": None,
        "asked": encoded(asked),
        "config_schema_version": 1,
        "dataset_id": "d",
        "store_id": 1,
        "product_id": 2,
        "first_day": FIRST,
        "last_day": LAST,
        "created_objects": "{}",
        "story": encoded(Story([workspace_id], [PhaseSummary("core", 3, 1.5)])),
        "result_summary": encoded(RESULT),
        "warnings": "[]",
        "exports": 0,
        "created_at": AT,
        "changed_at": AT,
        "changed_by": workspace_id,
        **said,
    }
    return Workspace(workspace_id=workspace_id, name=name, **given)


MADE = CreatedObjects([GOOD, "f" * 32], GOOD, [SAVED, "d" * 32], ["no-plan"])
ASKED = DemoParams(preservation="keep", workspace_name="new-one", user_scope=Scope("S001", 7), train_model_types=["naive"], seed=2)
ROWS: dict[str, Any] = {
    "model_run": [run(GOOD)],
    "model_type": [
        ModelType(name, n, name == "naive", None, "d", "[]", False, None, "[]") for n, name in enumerate(("naive", "ets"))
    ],
    "scenario": [Scenario(SAVED, "Ten off", "heuristic", "{}", "[]", None, 1, None, "h", None, -1.5, 1, 1, 0, None, None, AT)],
    "workspace": [
        workspace(OLD, "old", tags='["june","shown"]', notes="For the board"),
        workspace(
            NEW,
            "new-one",
            status="partial",
            replayed_from=OLD,
            asked=encoded(ASKED),
            created_objects=encoded(MADE),
            result_summary=encoded(msgspec.structs.replace(RESULT, winner_wape=0.3, wapes={"naive": 0.3})),
            warnings='["approvals cannot be told: x"]',
            created_at=AT.replace(hour=13),
        ),
        workspace(PINNED, "pinned", pinned=True, created_at=AT.replace(hour=1)),
        workspace(DONE, "done", archived=True, tags='["june"]'),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot was published by the run of NEW; that of OLD is kept no more."""
    root = tmp_path_factory.mktemp("workspaces")
    manifest, published = write_snapshot(root, ROWS), Published(root)
    mine, past = (msgspec.structs.replace(manifest, dagster_run_id=str(uuid.UUID(each))) for each in (NEW, OLD))
    write_bytes(published.manifest(manifest.id), msgspec.json.encode(mine))
    write_bytes(published.expired / "20240601T120000Z-00000001.json", msgspec.json.encode(past))
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with client_of(root) as client:
        yield client


def names(client: TestClient, query: str) -> tuple[list[str], int]:
    said = client.get(f"{URL}?{query}").json()
    return [each["name"] for each in said["items"]], said["total"]


@pytest.mark.parametrize(
    ("query", "found", "total"),
    [
        ("", ["pinned", "new-one", "old"], 3),
        ("include_archived=true", ["pinned", "new-one", "old", "done"], 4),
        ("page_size=1&page=2", ["new-one"], 3),
        ("q=BOARD", ["old"], 1),
        ("q=one", ["new-one"], 1),
        ("q=sho&include_archived=true", ["old"], 1),
        ("tags=june", ["old"], 1),
        ("tags=june&include_archived=true&sort_by=name&sort_order=asc", ["done", "old"], 2),
        ("tags=june&tags=shown&include_archived=true", ["old"], 1),
        ("sort_by=seed&sort_order=asc", ["pinned", "old", "new-one"], 3),
        ("sort_by=status&sort_order=desc", ["pinned", "new-one", "old"], 3),
    ],
)
def test_workspaces_are_found_and_the_pinned_come_first(query: str, found: list[str], total: int, client: TestClient) -> None:
    assert names(client, query) == (found, total)


def test_a_search_of_one_letter_is_refused(client: TestClient) -> None:
    assert client.get(f"{URL}?q=o").status_code == 422


def test_a_workspace_tells_all_of_its_run(client: TestClient) -> None:
    one = client.get(f"{URL}/{NEW}").json()
    listed = client.get(f"{URL}?q=new-one").json()["items"][0]

    assert {name: one[name] for name in listed} == listed
    assert one["user_scope"] == {"store_id": "S001", "product_id": 7} == one["run_config"]["user_scope"]
    assert one["run_config"]["train_model_types"] == ["naive"]
    assert (one["seed_overrides"], one["replayed_from"], one["config_schema_version"]) == (None, OLD, 1)
    assert (one["job_ids"], one["approval_events"], one["rag_events"]) == ([NEW], [], [])
    assert one["phase_summaries"] == [{"phase_name": "core", "steps": 3, "seconds": 1.5}]
    assert one["created_objects"]["scenario_ids"] == [SAVED, "d" * 32]
    assert (one["result_summary"]["winner_wape"], one["warnings"]) == (0.3, ["approvals cannot be told: x"])
    assert (one["snapshot_id"], one["created_at"]) == (one["metadata"]["snapshot_id"], "2024-07-01T13:00:00Z")
    assert client.get(f"{URL}/{OLD}").json()["snapshot_id"] is None


def test_what_a_workspace_names_is_looked_for(client: TestClient) -> None:
    said = client.get(f"{URL}/{NEW}/health").json()

    assert {(each["key"], each["id"], each["state"]) for each in said["references"]} == {
        ("snapshot_id", "20240701T120000Z-00000001", "alive"),
        ("job_ids", NEW, "unknown"),
        ("model_run_ids", GOOD, "alive"),
        ("model_run_ids", "f" * 32, "dead"),
        ("winning_run_id", GOOD, "alive"),
        ("scenario_ids", SAVED, "alive"),
        ("scenario_ids", "d" * 32, "dead"),
        ("plan_ids", "no-plan", "dead"),
        ("replayed_from", OLD, "alive"),
    }
    assert said["counts"] == {"alive": 5, "dead": 3, "unknown": 1}
    assert (said["partial_run"], said["skipped"]) == (True, ["user_scope", "train_model_types"])


@pytest.mark.parametrize(("one", "state"), [(OLD, "dead"), (PINNED, "unknown")])
def test_a_snapshot_that_is_kept_no_more_is_dead_as_long_as_that_is_known(one: str, state: str, client: TestClient) -> None:
    said = client.get(f"{URL}/{one}/health").json()

    assert [each["state"] for each in said["references"] if each["kind"] == "snapshot"] == [state]
    assert said["partial_run"] is False


def test_what_cannot_be_asked_is_unknown(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["registry"])

    with client_of(tmp_path) as client:
        said = client.get(f"{URL}/{NEW}/health").json()

    assert {each["state"] for each in said["references"] if each["kind"] == "model_run"} == {"unknown"}


def test_two_workspaces_are_held_against_each_other(client: TestClient) -> None:
    said = client.get(f"{URL}/compare?a={OLD}&b={NEW}").json()

    assert said["differing"] == [
        *("name", "status", "skip_seed", "seed", "workspace_name", "user_scope", "train_model_types"),
        *("winner_wape", "wape of naive"),
    ]
    [wape] = [each for each in said["results"] if each["name"] == "winner_wape"]
    assert wape == {"name": "winner_wape", "a": 0.25, "b": 0.3, "same": False}
    assert client.get(f"{URL}/compare?a={OLD}&b={OLD}").json()["differing"] == []
    assert client.get(f"{URL}/compare?a={OLD}&b={NOBODY}").status_code == 404


def test_a_replay_is_shown_beside_what_is_recorded(client: TestClient) -> None:
    body = {"seed": 9, "train_model_types": None, "workspace_name": "again"}

    plain = client.post(f"{URL}/{OLD}/replay?dry_run=true", json={}).json()
    other = client.post(f"{URL}/{NEW}/replay?dry_run=true", json=body).json()

    assert plain["params"]["workspace_name"] == "old-replay"
    assert plain["differing"] == ["workspace_name", "replayed_from_workspace_id"]
    assert plain["same_data"] is None, "they would be generated again"
    assert other["differing"] == ["seed", "workspace_name", "replayed_from_workspace_id", "train_model_types"]
    assert (other["params"]["preservation"], other["params"]["user_scope"]) == ("keep", {"store_id": "S001", "product_id": 7})
    assert other["same_data"] is True


def test_a_change_of_nothing_is_answered_at_once(client: TestClient) -> None:
    for body in ({}, {"name": "old", "tags": ["june", "shown"], "pinned": False}):
        answer = client.patch(f"{URL}/{OLD}", json=body)
        assert (answer.status_code, answer.json()["workspace_id"]) == (200, OLD)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{URL}/{OLD}", {"notes": None}),
        ("PATCH", f"{URL}/{OLD}", {"name": "other", "tags": [], "archived": True, "pinned": True}),
        ("DELETE", f"{URL}/{OLD}", None),
        ("POST", f"{URL}/{OLD}/exports", None),
        ("POST", f"{URL}/{OLD}/replay", {}),
        ("POST", RUN, {"preservation": "keep", "workspace_name": "a_1-b", "replayed_from_workspace_id": NOBODY}),
        ("POST", RUN, {"train_model_types": ["naive"], "user_scope": {"store_id": 999, "product_id": "none"}}),
        ("POST", RUN, {"scenario": "holiday_rush", "skip_seed": False, "seed_overrides": {}}),
    ],
)
def test_what_is_allowed_meets_the_absent_orchestrator(method: str, path: str, body: Any, client: TestClient) -> None:
    answer = client.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", f"{URL}/{OLD}", {"name": None}, "name"),
        ("PATCH", f"{URL}/{OLD}", {"tags": None}, "tags"),
        ("PATCH", f"{URL}/{OLD}", {"pinned": None}, "pinned"),
        ("PATCH", f"{URL}/{OLD}", {"archived": None}, "archived"),
        ("PATCH", f"{URL}/{OLD}", {"tags": [str(n) for n in range(21)]}, "tags"),
        ("PATCH", f"{URL}/{OLD}", {"name": "Upper"}, "name"),
        ("PATCH", f"{URL}/{OLD}", {"notes": "\x00"}, "notes"),
        ("PATCH", f"{URL}/{OLD}", {"seed": 1}, "seed"),
        ("POST", RUN, {"preservation": "keep", "workspace_name": "a" * 101}, "workspace_name"),
        ("POST", RUN, {"workspace_name": "a"}, "workspace_name"),
        ("POST", RUN, {"replayed_from_workspace_id": OLD}, "replayed_from_workspace_id"),
        ("POST", RUN, {"preservation": "keep", "replayed_from_workspace_id": "1"}, "replayed_from_workspace_id"),
        ("POST", RUN, {"preservation": "forever"}, "preservation"),
        ("POST", RUN, {"user_scope": {"store_id": 1}}, "user_scope"),
        ("POST", RUN, {"train_model_types": []}, "train_model_types"),
        ("POST", RUN, {"train_model_types": ["naive", "ets"]}, "train_model_types[1]"),
        (
            "POST",
            RUN,
            {"skip_seed": False, "scenario": "holiday_rush", "seed_overrides": {"window_days": 90}},
            "seed_overrides.window_days",
        ),
        ("POST", f"{URL}/{NEW}/replay", {"seed_overrides": {"stores": 3}}, "seed_overrides"),
        ("POST", f"{URL}/{NEW}/replay?dry_run=true", {"train_model_types": ["none"]}, "train_model_types[0]"),
        ("POST", f"{URL}/{NEW}/replay", {"preservation": "ephemeral"}, "preservation"),
        ("POST", "/api/v1/jobs", {"job_type": "demo", "params": {"workspace_name": "a"}}, "params.workspace_name"),
    ],
)
def test_what_cannot_be_is_refused_by_field(method: str, path: str, body: Any, field: str, client: TestClient) -> None:
    answer = client.request(method, path, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text


@pytest.mark.parametrize("unknown", [NOBODY, "none", "..%2F..%2Fetc", "%00", "a'%3B--", "x" * 5000])
def test_an_unknown_workspace_is_not_found(unknown: str, client: TestClient) -> None:
    answers = [
        client.get(f"{URL}/{unknown}"),
        client.get(f"{URL}/{unknown}/health"),
        client.patch(f"{URL}/{unknown}", json={"pinned": True}),
        client.delete(f"{URL}/{unknown}"),
        client.post(f"{URL}/{unknown}/replay", json={}),
        client.post(f"{URL}/{unknown}/exports"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 6


def test_a_bundle_is_taken_away_and_nothing_else_is(root: Path, client: TestClient) -> None:
    manifest = {"bundle_format_version": 1, "workspace": {"name": "old"}, "unresolved_references": [], "files": []}
    folder, archive = root / "exports/workspaces" / OLD / "1", packed({"manifest.json": b"{}"})
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "bundle.zip").write_bytes(archive)

    found = client.get(f"{URL}/{OLD}/exports/1")
    taken = client.get(f"{URL}/{OLD}/exports/1/archive")

    assert found.json() == manifest
    assert (taken.content, taken.headers["content-type"]) == (archive, "application/zip")
    for path in ("2", "0", "01", "1%2F..%2F1", "%2E%2E%2F1", "%EF%BC%91", "1%0A"):
        for end in ("", "/archive"):
            assert client.get(f"{URL}/{OLD}/exports/{path}{end}").status_code == 404, path
    assert client.get(f"{URL}/..%2F{OLD}/exports/1").status_code == 404


def test_a_snapshot_without_state_has_no_workspace(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["state"])

    with client_of(tmp_path) as client:
        assert client.get(URL).json()["items"] == []
        assert client.get(f"{URL}/{OLD}").status_code == 404


def test_one_more_than_may_be_kept_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.routes.demo.MOST", 4)

    kept, ephemeral = (client.post(RUN, json={"preservation": each}) for each in ("keep", "ephemeral"))
    again = client.post(f"{URL}/{OLD}/replay", json={})

    assert (kept.status_code, again.status_code, ephemeral.status_code) == (409, 409, 503)
    assert "4 workspaces are kept" in kept.json()["detail"]
