"""A fault is told in the log with its traceback, and to the client by an id alone."""

import asyncio
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from msgspec import Struct

from serving.app import create_asgi
from serving.layers.edge import Edge
from serving.layers.logs import JsonLines, access
from serving.problems import NotFound, refuse
from serving.settings import Settings
from tests.serving.conftest import client_of
from tests.serving.layers.test_cache import cache_of


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonLines().format(record)) for record in caplog.records if record.name.startswith("serving")]


def test_a_fault_behind_a_route_has_its_traceback_under_the_id(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = create_asgi(Settings(data=root))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/readyz")
        snapshot = cache_of(app)._library.peek()
        assert snapshot is not None
        snapshot.stores.append(None)  # type: ignore[arg-type]

        answer = client.get("/api/v1/dimensions/stores", headers={"X-Request-ID": "quote-me"})

    [line] = [each for each in lines(caplog) if "traceback" in each]
    assert (answer.status_code, line["request_id"], line["level"]) == (500, "quote-me", "error")
    assert "AttributeError" in line["traceback"]
    assert "Attribute" not in answer.text


def test_a_fault_in_front_of_every_route_is_a_problem_too(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("secret")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Edge(broken)), base_url="http://127.0.0.1") as client:
            return await client.get("/livez", headers={"X-Request-ID": "quote-me"})

    answer = asyncio.run(ask())
    body = answer.json()
    assert (answer.status_code, body["code"], body["request_id"]) == (500, "UNKNOWN", "quote-me")
    assert "secret" not in answer.text
    [line] = [each for each in lines(caplog) if "traceback" in each]
    assert "ZeroDivisionError: secret" in line["traceback"]


@pytest.fixture
def written() -> Iterator[BytesIO]:
    """What is written of requests."""
    stream = BytesIO()
    access.open(stream)
    yield stream
    access.close()


def test_what_a_client_sends_cannot_make_a_line_of_its_own(root: Path, written: BytesIO) -> None:
    with client_of(root) as client:
        client.get('/a%0a{"status":200}%22', headers={"X-Request-ID": "r"})

    [line] = written.getvalue().splitlines()
    assert json.loads(line)["path"] == '/a\n{"status":200}"'


def test_requests_that_end_together_have_a_line_each(written: BytesIO) -> None:
    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await refuse(send, NotFound("nothing"), "")

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Edge(fine)), base_url="http://127.0.0.1") as client:
            await asyncio.gather(*(client.get(f"/{n}") for n in range(50)))

    asyncio.run(ask())
    assert {json.loads(line)["path"] for line in written.getvalue().splitlines()} == {f"/{n}" for n in range(50)}


def test_a_line_that_is_no_text_takes_no_other_with_it(written: BytesIO) -> None:
    class Told(Struct):
        path: str

    async def write() -> None:
        for path in ("/a", "/\udcff", "/b"):
            access.write(Told(path))
        await asyncio.sleep(0)
        access.write(Told("/c"))
        await asyncio.sleep(0)

    asyncio.run(write())
    assert [json.loads(line)["path"] for line in written.getvalue().splitlines()] == ["/a", "/b", "/c"]
