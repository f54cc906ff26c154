"""Bodies that are too large or too slow, and answers that take too long: each is ended with a problem."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.datastructures import State
from litestar.params import JSONBody
from litestar.response import Stream

from serving.app import create_app
from serving.beside import GOING_ON
from serving.layers.limits import Limits
from serving.layers.rules import Rules
from serving.problems import answer
from serving.settings import Settings
from tests.serving.conftest import KEY, client_of, settings_of

JOBS, INGEST = "/api/v1/jobs", "/api/v1/ingest/stores"
Receive = Callable[[], Awaitable[Any]]


@get("/slow")
async def slow(state: State) -> str:
    """Never answers; tells how it ended."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        state.ended = "given up"
        raise
    return "late"


@post("/slow")
async def slow_write(state: State) -> str:
    await state.go_on.wait()
    state.ended = "done"
    return "late"


@get("/stream")
async def stream() -> Stream:
    async def lines() -> Any:
        for _ in range(5):
            yield b"line\n"
            await asyncio.sleep(0.3)

    return Stream(lines)


@post("/echo")
async def echo(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    return data


class Answer:
    """What was sent, as a status and a body."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def app_of(**changes: Any) -> tuple[Litestar, Limits]:
    app = Litestar([slow, slow_write, stream, echo], exception_handlers={Exception: answer}, openapi_config=None)
    settings = Settings(**{"request_seconds": 30, "body_seconds": 30, **changes})
    return app, Limits(app, Rules(app), settings)


async def ask(limits: Any, method: str, path: str, receive: Receive, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    found = Answer()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "headers": [(b"host", b"127.0.0.1"), *(headers or [])],
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": None,
        "server": None,
        "state": {"request_id": "r1"},
    }
    await limits(scope, receive, found.send)
    return found


def body_of(*chunks: bytes, pause: float = 0, ends: bool = True) -> Receive:
    """A body that comes in these chunks, with a pause before each; one that does not end comes no further."""
    left = list(chunks)

    async def receive() -> Any:
        if not left:
            await asyncio.sleep(3 if ends else 60)
            return {"type": "http.disconnect"}
        await asyncio.sleep(pause)
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or not ends}

    return receive


def test_a_read_that_takes_too_long_is_given_up() -> None:
    app, limits = app_of(request_seconds=0.2)

    found = asyncio.run(ask(limits, "GET", "/slow", body_of(b"")))

    said = json.loads(found.body)
    assert (found.status, said["code"], said["request_id"]) == (503, "TIMED_OUT", "r1")
    assert "0.2 s" in said["detail"]
    assert app.state.ended == "given up"


def test_a_write_that_takes_too_long_is_answered_and_goes_on() -> None:
    app, limits = app_of(request_seconds=0.2)

    async def run() -> Answer:
        app.state.go_on = asyncio.Event()
        found = await ask(limits, "POST", "/slow", body_of(b""))
        assert "ended" not in app.state
        app.state.go_on.set()
        while "ended" not in app.state or GOING_ON:
            await asyncio.sleep(0.01)
        return found

    found = asyncio.run(run())

    assert (found.status, json.loads(found.body)["code"]) == (503, "TIMED_OUT")
    assert len(found.messages) == 2, "what it answers in the end is dropped"
    assert app.state.ended == "done"


def test_an_answer_that_has_begun_may_stream_on() -> None:
    _, limits = app_of(request_seconds=1)

    found = asyncio.run(ask(limits, "GET", "/stream", body_of(b"")))

    assert (found.status, found.body) == (200, b"line\n" * 5)


@pytest.mark.parametrize("body", [body_of(b'{"a":', ends=False), body_of(b"", ends=False), body_of(*[b" "] * 100, pause=0.1)])
def test_a_body_that_stops_or_trickles_is_cut_off(body: Receive) -> None:
    _, limits = app_of(body_seconds=0.3)

    found = asyncio.run(ask(limits, "POST", "/echo", body))

    assert (found.status, json.loads(found.body)["code"]) == (408, "SLOW_BODY")


def test_a_large_body_has_more_time_and_waiting_for_it_is_not_our_time() -> None:
    _, limits = app_of(body_seconds=2, request_seconds=1, max_body_kb=10_000)
    text = b'{"a": "' + b"x" * (1 << 20) + b'"}'

    found = asyncio.run(ask(limits, "POST", "/echo", body_of(text[: 1 << 20], text[1 << 20 :], pause=1.5)))

    assert (found.status, len(found.body)) == (201, len(text) - 1), "three seconds to come in, and one to be answered"


@pytest.mark.parametrize("size", [1025, 5000])
@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("path", ["/echo", "/none"])
def test_a_body_past_the_limit_is_refused(size: int, is_announced: bool, path: str) -> None:
    _, limits = app_of(max_body_kb=1)
    headers = [(b"content-length", str(size).encode())] if is_announced else []

    found = asyncio.run(ask(limits, "POST", path, body_of(b" " * 1000, b" " * (size - 1000)), headers))

    assert found.status == (404 if path == "/none" and not is_announced else 413)
    if found.status == 413:
        assert "1,024" in json.loads(found.body)["detail"]


@pytest.mark.parametrize("length", ["x", "-1", "1_0", "9" * 5000, "1024"])
def test_an_odd_length_breaks_nothing(length: str) -> None:
    _, limits = app_of(max_body_kb=1)

    found = asyncio.run(ask(limits, "POST", "/echo", body_of(b"{}"), [(b"content-length", length.encode())]))

    assert found.status == {"9": 413, "x": 422}.get(length[0], 201)


def test_every_route_of_the_api_has_a_limit(tmp_path: Path) -> None:
    writes = [
        ("POST", JOBS),
        ("POST", "/api/v1/registry/aliases"),
        ("PATCH", "/api/v1/registry/runs/x"),
        ("POST", "/api/v1/seeder/generate"),
        ("POST", "/api/v1/seeder/append"),
        ("DELETE", "/api/v1/seeder/data"),
        ("POST", INGEST),
    ]
    with client_of(tmp_path, max_upload_mb=1) as client:
        answers = [client.request(*each, content=b" " * (2 << 20), headers={"Content-Type": "text/csv"}) for each in writes]

    assert [answer.status_code for answer in answers] == [413] * len(writes)
    assert "DEMANDGRAPH_MAX_UPLOAD_MB" in answers[-1].json()["detail"]
    assert "DEMANDGRAPH_MAX_BODY_KB" in answers[0].json()["detail"]


def test_a_lease_ends_with_the_read_that_was_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(settings_of(root))
    limits = Limits(app, Rules(app), Settings(request_seconds=0.3))

    async def run() -> tuple[int, int]:
        leased = await app.state.library.lease()

        async def wait(*_: Any) -> Any:
            await asyncio.sleep(60)

        monkeypatch.setattr(type(leased), "query", wait)
        found = await ask(limits, "GET", "/api/v1/ingest/batches", body_of(b""), [(b"x-api-key", KEY.encode())])
        return found.status, leased.leases

    status, leases = asyncio.run(run())

    assert (status, leases) == (503, 1), "the one that this test holds"


def test_a_query_that_was_given_up_holds_no_thread(root: Path) -> None:
    app = create_app(settings_of(root))
    endless = "SELECT count(*) FROM range(10000000000000)"

    async def run() -> int:
        leased = await app.state.library.lease()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.gather(*(leased.query(endless) for _ in range(9)))  # on four threads
        while leased.leases > 1:
            await asyncio.sleep(0.02)
        return int(leased.leases)

    assert asyncio.run(asyncio.wait_for(run(), 60)) == 1
