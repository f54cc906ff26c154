"""Reads that go to their handler without routing are answered byte for byte as the application answers them."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from serving.app import create_app
from serving.layers.direct import Direct, Shortcut, shortcuts
from serving.layers.questions import key_of
from serving.problems import TimedOut
from tests.serving.conftest import settings_of
from tests.serving.test_snapshot import KPIS

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
ODD = [
    "",
    "null",
    "0",
    "-1",
    "1e3",
    "true",
    "S001",
    "s001",
    "SKU-0001",
    "a b",
    "é",
    "%",
    "2024-13-01",
    "2024-10-01T00:00:00",
    "x" * 300,
]
DAYS = ["2024-10-01", "2024-10-31", "2024-12-31", "1999-01-01", "9999-12-31"]
WORDS = ["S001", "1", "SKU-0001", "smooth", "North", "(unknown)", "store", "total_revenue", "code", "name", "asc", "desc", "al"]


@pytest.fixture(scope="module")
def app(published_once: Path) -> Iterator[Litestar]:
    app = create_app(settings_of(published_once, max_rows=60))
    asyncio.run(app.state.library.lease())
    yield app
    app.state.library.close()


def asked(app: Any, path: str, query: str, accept: str = "*/*") -> Answer:
    """What an ASGI application answers to a GET, its headers in order of name."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 80), "state": {},
        "headers": [(b"host", b"127.0.0.1"), (b"accept", accept.encode())], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sorted(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent)


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    """In place of the application, where it has to do without."""
    raise AssertionError(scope["path"])


def short(app: Litestar, rest: Any) -> Any:
    """An ASGI application that answers the short way; what that leaves goes to `rest`."""
    direct = Direct(app)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        key, shortcut, body = key_of(scope), direct.find(scope["path"]), None
        snapshot = app.state.library.peek(key.pin) if key else None
        if key and shortcut and snapshot:
            found = direct.answer(shortcut, key, snapshot, scope)
            body = await found if isinstance(found, Coroutine) else found
        if body is None or shortcut is None:
            await rest(scope, receive, send)
            return
        headers = [*shortcut.headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def values_of(hint: Any) -> st.SearchStrategy[str]:
    """Texts for a parameter of this type: those that fit it most often, odd ones too."""
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    fitting = [str(value) for each in kinds if get_origin(each) is Literal for value in get_args(each)] or WORDS
    if "date" in str(kind):
        fitting = DAYS
    elif int in kinds:
        fitting = ["1", "2", "20", "100"]
    return st.sampled_from(fitting * 4 + ODD)


def queries(shortcut: Shortcut) -> st.SearchStrategy[str]:
    hints = get_type_hints(shortcut.question, include_extras=True)
    needed = {field.name for field in msgspec.structs.fields(shortcut.question) if field.required}
    pairs = {name: st.lists(values_of(hint), min_size=name in needed, max_size=2) for name, hint in hints.items()}
    few = st.lists(st.sampled_from([*hints, "nothing"]), max_size=3)
    return st.builds(
        lambda said, names: "&".join(
            f"{name}={quote(value)}"
            for name, values in {**said, "nothing": ["1"]}.items()
            if name in needed or name in names
            for value in values[: 1 if name in needed else 2]
        ),
        st.fixed_dictionaries(pairs),
        few,
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_every_question_is_answered_as_the_application_answers_it(app: Litestar, data: st.DataObject) -> None:
    shortcut = data.draw(st.sampled_from(list(shortcuts(app))), "path")
    query = data.draw(queries(shortcut), "query")
    accept = data.draw(st.sampled_from(["*/*", "application/json", "text/csv", "text/*;q=0.5, application/json", "image/png"]))

    ours, theirs = (asked(each, shortcut.path, query, accept) for each in (short(app, app), app))

    assert ours == theirs


@pytest.mark.parametrize(
    "target",
    [
        KPIS,
        f"{KPIS}&store_id=S001&store_id=S002&compare=previous",
        f"{KPIS}&segment=smooth",
        KPIS.replace("kpis?", "timeseries?granularity=month&"),
        KPIS.replace("kpis?", "drilldowns?dimension=store&"),
        "/api/v1/dimensions/stores?page_size=2",
        "/api/v1/system/info",
    ],
)
def test_a_plain_question_is_not_routed(target: str, app: Litestar) -> None:
    status, _, body = asked(short(app, nobody), *target.split("?") if "?" in target else (target, ""))

    assert (status, body[:1]) == (200, b"{")


def test_a_pinned_snapshot_is_read(app: Litestar) -> None:
    path, _, query = KPIS.partition("?")
    pin = app.state.library.peek().id

    assert asked(short(app, nobody), path, f"{query}&snapshot={pin}")[0] == 200
    assert asked(short(app, app), path, f"{query}&snapshot=none")[0] == 404


def test_no_lease_is_left_behind(app: Litestar) -> None:
    path, _, query = KPIS.partition("?")
    for each in (query, f"{query}&store_id=none", f"{query}&nothing=1", "", f"{query}&segment=smooth"):
        asked(short(app, app), path, each)

    assert app.state.library.peek().leases == 1  # the fixture's own


def test_one_that_waits_too_long_is_given_up(published_once: Path) -> None:
    app = create_app(settings_of(published_once, request_seconds=0.000_1, query_threads=1))
    path, _, query = KPIS.partition("?")
    is_over = threading.Event()
    app.state.library._threads.submit(is_over.wait)  # a query waits for the thread as long as that

    with pytest.raises(TimedOut, match=r"0\.0001 s"):
        asked_with_a_lease(app, path, f"{query}&segment=smooth")
    is_over.set()
    status, _, body = asked_with_a_lease(app, path, query)

    assert (status, body[:1]) == (200, b"{"), "the clock is for what waits"
    app.state.library.close()


def asked_with_a_lease(app: Litestar, path: str, query: str) -> Answer:
    asyncio.run(app.state.library.lease()).release()
    return asked(short(app, nobody), path, query)
