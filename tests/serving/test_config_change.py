"""Limits are changed while several workers serve: for all of them, for good, and by nobody but admins."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.changed import Changed
from serving.settings import Settings
from tests.serving.conftest import KEYED, client_of
from tests.serving.served import KEY, PATIENCE, Server, server

CONFIG = "/api/v1/config"
LONG = "/api/v1/analytics/kpis?start_date=2024-09-03&end_date=2024-12-31"
READER = "the-reader-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def api(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import shutil

    root = shutil.copytree(published_once, tmp_path_factory.mktemp("changed") / "data")
    keys = {"DEMANDGRAPH_API_KEYS": f"tests:admin:{KEY},reads:reader:{READER},till:operator:{READER}s"}
    with server(root, workers=2, DEMANDGRAPH_CACHE_MB="0", **keys) as found:
        yield found


def change(api: Server, values: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.patch(f"{api.url}{CONFIG}", json=values, headers=headers or KEYED, timeout=30)


def said(answer: httpx.Response, name: str) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return next(each for each in answer.json()["items"] if each["name"] == f"DEMANDGRAPH_{name.upper()}")


def statuses(api: Server, path: str, asks: int = 24, **headers: str) -> list[int]:
    """Of so many requests, each over a connection of its own, so that both workers are asked."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda _: api.get(path, **headers).status_code, range(asks)))


def until(api: Server, path: str, status: int) -> None:
    """Wait until every worker answers so."""
    deadline = time.monotonic() + PATIENCE
    while set(statuses(api, path)) != {status}:
        assert time.monotonic() < deadline


def test_a_changed_limit_holds_in_all_workers_until_it_is_taken_back(api: Server) -> None:
    assert set(statuses(api, LONG)) == {200}

    changed = said(change(api, {"max_days": 100}), "max_days")

    until(api, LONG, 400)
    assert (changed["value"], changed["origin"], changed["changed_by"]) == ("100", "changed", "tests")
    told = [said(api.get(CONFIG, **KEYED), "max_days") for _ in range(8)]
    assert all(each == changed for each in told), "each worker tells it at once"
    back = said(change(api, {"max_days": None}), "max_days")
    assert (back["value"], back["origin"], back["changed_at"]) == ("730", "default", None)
    until(api, LONG, 200)


def test_a_rate_is_one_for_all_workers(api: Server) -> None:
    probe = f"{CONFIG}/providers/health"
    change(api, {"read_rate": 1, "rate_burst_seconds": 12})
    try:
        deadline = time.monotonic() + PATIENCE
        while 429 not in statuses(api, probe, asks=16, **{"X-API-Key": f"{READER}s"}):
            assert time.monotonic() < deadline
        time.sleep(2)  # both workers have looked
        began = time.monotonic()
        found = statuses(api, probe, asks=60, **{"X-API-Key": READER})
        took = time.monotonic() - began
    finally:
        change(api, {"read_rate": None, "rate_burst_seconds": None})

    assert 12 <= found.count(200) <= 12 + took + 1
    assert found.count(429) == 60 - found.count(200)


def test_changes_that_come_at_once_lose_none(api: Server) -> None:
    values = {"max_upload_mb": 7, "stream_readers": 9, "max_waiting_jobs": 11, "request_seconds": 13.5, "body_seconds": 14.5}

    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda one: change(api, dict([one])), values.items()))

    assert {each.status_code for each in answers} == {200}
    now = api.get(CONFIG, **KEYED)
    assert {name: float(said(now, name)["value"]) for name in values} == values
    assert {said(change(api, dict.fromkeys(values)), name)["origin"] for name in values} == {"default"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "body"),
        ({"port": 1}, "port"),
        ({"api_keys": "me:admin:x"}, "api_keys"),
        ({"max_days": 0}, "max_days"),
        ({"max_days": "many"}, "max_days"),
        ({"max_days": 10, "read_rate": -1}, "read_rate"),
    ],
)
def test_what_cannot_be_changed_is_named_and_nothing_is(values: dict[str, Any], field: str, tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answer = client.patch(CONFIG, json=values)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert not (tmp_path / "settings.json").exists()


def test_only_admins_change_settings(api: Server) -> None:
    answers = [change(api, {"max_days": 1}, **headers) for headers in ({"X-API-Key": f"{READER}s"}, {"X-API-Key": "x"})]

    assert [each.status_code for each in answers] == [403, 401]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": {"value": 1}}', '{"max_days": {"value": 1}}', "\udcff"])
def test_a_file_that_cannot_be_read_changes_nothing_and_is_kept(content: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content, errors="surrogateescape")
    with client_of(tmp_path) as client:
        told = client.get(CONFIG)
        refused = client.patch(CONFIG, json={"max_days": 5})

    assert {each["origin"] for each in told.json()["items"]} <= {"environment", "default"}
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert str(path) in refused.json()["detail"]
    assert path.read_text(errors="surrogateescape") == content


def test_changes_outlive_the_process_and_follow_the_file(tmp_path: Path) -> None:
    first, seen = Changed(Settings(data=tmp_path, max_days=50)), []
    first.tell(lambda settings: seen.append(settings.max_days))
    first.write({"max_days": 60, "read_rate": 2.5}, at=datetime(2026, 1, 1, tzinfo=UTC), by="me")

    async def looked_at() -> None:
        async with first.looking():
            while not seen:
                await asyncio.sleep(0.05)

    asyncio.run(looked_at())
    again = Changed(Settings(data=tmp_path, max_days=70))

    assert (seen, again.settings.max_days, again.settings.read_rate) == ([60], 60, 2.5)
    assert json.loads((tmp_path / "settings.json").read_text())["max_days"]["changed_by"] == "me"
    (tmp_path / "settings.json").unlink()
    again.look()
    assert (again.settings.max_days, again.settings.read_rate) == (70, 200)
