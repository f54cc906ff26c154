"""Every old path leads to where its question is answered, or names the job that does its work."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from litestar.testing import TestClient

from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.names import STAGES
from serving.app import create_app
from serving.layers.moved import OLD_PATHS, OldPath
from serving.settings import Settings

NOT_YET_BUILT = {
    *("/agents/sessions", "/agents/sessions/{}", "/agents/sessions/{}/chat"),
}
"""Paths of the API that have no route yet; a line goes when its route comes."""

LINES = [pytest.param(each, method, id=f"{method} {each.old}") for each in OLD_PATHS for method in each.methods.split()]


def shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.fixture(scope="module")
def routes() -> set[str]:
    return {shape(route.path) for route in create_app(Settings()).routes}


@pytest.mark.parametrize(("line", "method"), LINES)
def test_an_old_path_leads_on(line: OldPath, method: str, client: TestClient) -> None:
    asked = re.sub(r"\{[^}]*\}", "a b", line.old)

    answer = client.request(method, f"{asked}?page=2&tag=a%20b", follow_redirects=False)

    if line.new:
        assert answer.status_code == 308
        where = urlsplit(answer.headers["location"])
        assert where.path == re.sub(r"\{[^}]*\}", "a%20b", line.new.partition("?")[0])
        assert parse_qs(where.query) == {"page": ["2"], "tag": ["a b"], **parse_qs(line.new.partition("?")[2])}
    else:
        body = answer.json()
        assert (answer.status_code, body["type"], body["code"]) == (410, "/errors/moved", "MOVED")
        assert f"'{line.job_type}'" in body["detail"]
        assert line.job_type in JOB_TYPES or "/api/v1/jobs/types" in body["detail"]
        assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("line", [each for each in OLD_PATHS if each.new], ids=lambda line: line.old)
def test_where_an_old_path_leads_there_is_a_route(line: OldPath, routes: set[str]) -> None:
    target = shape(line.new.partition("?")[0])
    target = target.replace("/providers/ollama/", "/providers/{}/")
    fits = {target, re.sub(r"/ingest/[a-z-]+$", "/ingest/{}", target)}

    assert bool(fits & routes) != (target.removeprefix("/api/v1") in NOT_YET_BUILT), "built: take its line away; else: add one"


def test_no_route_is_an_old_path(routes: set[str]) -> None:
    assert not routes & {shape(each.old) for each in OLD_PATHS}


def test_what_materialize_is_told_to_take_exists() -> None:
    assert {stage for each in OLD_PATHS for stage in each.stages.split()} <= set(STAGES)


def test_an_old_path_answers_what_the_new_one_does(client: TestClient) -> None:
    old = client.get("/dimensions/stores?page_size=2&search=s0", follow_redirects=True)

    assert old.json() == client.get("/api/v1/dimensions/stores?page_size=2&search=s0").json()


@pytest.mark.parametrize("path", ["/jobs/../../x", "/jobs/%2e%2e%2fx", "//jobs", "/jobs/a/b/c", "/", "/jobs//"])
def test_a_path_that_only_looks_old_is_not_found(path: str, client: TestClient) -> None:
    assert client.get(path, follow_redirects=False).status_code in (404, 308)
    assert not client.get(path, follow_redirects=False).headers.get("location", "/api/v1/").startswith("//")
