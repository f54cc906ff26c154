"""What browsers are told: CORS where it is set, and on every answer that no page may frame, load or leak."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from tests.serving.conftest import client_of

OURS, OTHER = "https://dash.example", "https://evil.example"
JOBS = "/api/v1/jobs"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key, content-type"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(tmp_path_factory.mktemp("cors"), headers={}, cors_origins=(OURS,), reader_open="never") as client:
        yield client


def test_nothing_is_said_of_origins_where_none_is_set(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answer = client.get("/livez", headers={"Origin": OURS})
        preflight = client.options(JOBS, headers={"Origin": OURS, **PREFLIGHT})

    assert answer.status_code == 200
    for each in (answer, preflight):
        assert not [name for name in each.headers if name.startswith("access-control")]


def test_a_preflight_needs_no_key(opened: TestClient) -> None:
    answer = opened.options(JOBS, headers={"Origin": OURS, **PREFLIGHT})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == OURS
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "x-api-key", "content-type", "idempotency-key"))


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "https://dash.example.evil.example", "http://dash.example", "HTTPS://DASH.EXAMPLE", ""]
)
def test_another_origin_is_not_let_in(origin: str, opened: TestClient) -> None:
    preflight = opened.options(JOBS, headers={"Origin": origin, **PREFLIGHT})
    answer = opened.get("/livez", headers={"Origin": origin})

    assert preflight.status_code == (403 if origin else 401)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in {**preflight.headers, **answer.headers}


@pytest.mark.parametrize("path", ["/livez", "/api/v1/jobs/types", "/none"])
def test_a_page_of_an_allowed_origin_can_read_refusals_too(path: str, opened: TestClient) -> None:
    answer = opened.get(path, headers={"Origin": OURS})

    assert answer.headers["access-control-allow-origin"] == OURS
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
    assert "origin" in answer.headers["vary"].lower()


def test_credentials_are_never_allowed(opened: TestClient, tmp_path: Path) -> None:
    with client_of(tmp_path, cors_origins=("*",)) as client:
        answers = [client.get("/livez", headers={"Origin": OTHER}), client.options(JOBS, headers={"Origin": OTHER, **PREFLIGHT})]
    answers.append(opened.get("/livez", headers={"Origin": OURS}))

    assert [answer.headers["access-control-allow-origin"] for answer in answers] == ["*", "*", OURS]
    assert not any("access-control-allow-credentials" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("path", "host"), [("/livez", "127.0.0.1"), ("/none", "127.0.0.1"), (JOBS, "127.0.0.1"), ("/livez", "evil")]
)
def test_every_answer_says_that_no_page_may_frame_it(path: str, host: str, opened: TestClient) -> None:
    headers = opened.get(path, headers={"Host": host}).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get("referrer-policy") == (None if path == JOBS else "no-referrer"), "data has no links to follow"
    assert {"authorization", "x-api-key"} <= {each.strip() for each in headers["vary"].lower().split(",")}


def test_the_docs_page_runs_its_own_scripts_and_no_other(opened: TestClient) -> None:
    answer = opened.get("/docs")

    policy = answer.headers["content-security-policy"]
    [inline] = re.findall("<script>(.*?)</script>", answer.text)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'" in policy
    scripts = next(each for each in policy.split(";") if each.strip().startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
    assert "frame-ancestors 'none'" in policy
