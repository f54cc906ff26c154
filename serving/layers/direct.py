"""Reads that are answered without routing: the same handlers, called with the same parameters, but by a look-up.

Finding a route, its dependencies, its parameters and its response costs Litestar several times what the sums of a KPI cost
(benchmarks/handlers.py). Here a question that is asked in the plainest form goes straight to the handler: a GET of a path
without parameters in it, that leases a snapshot, with known parameters that each fit their type, for JSON. Everything else, and
every question that a handler refuses, goes on to the application, which answers it or says what is wrong with it. Both give the
same bytes: a test asks both.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, get_type_hints

import msgspec
from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from msgspec import Struct

from serving.formats import JSON, bounded, media_type_of
from serving.library import Library
from serving.parameters import kinds_of, pairs_of
from serving.snapshot import Snapshot

GIVEN = {"lease", "request", "state"}
"""What a handler is given that does not come from the query."""
encode = msgspec.json.Encoder().encode


class Shortcut(Struct, frozen=True):
    """A handler that can be called without routing."""

    handler: HTTPRouteHandler
    path: str
    read: Callable[..., Awaitable[Any]]
    question: type[Struct]  # its parameters of the query, with types, bounds and defaults
    lists: frozenset[str]  # those that may be repeated
    wants: frozenset[str]  # what of GIVEN it takes
    field: str  # that has its rows
    headers: list[tuple[bytes, bytes]]


class Direct:
    """Wraps the application; inside of the cache, which keeps its answers as it keeps those of the application."""

    def __init__(self, inner: ASGIApp, app: Litestar, library: Library) -> None:
        self.app = inner
        self._litestar = app
        self._library = library
        self._most_rows: int = app.state.settings.max_rows
        self._known = {each.path: each for each in shortcuts(app)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] == "GET":
            shortcut = self._known.get(scope["path"])
            if shortcut is not None and await self._answer(shortcut, scope, send):
                return
        await self.app(scope, receive, send)

    async def _answer(self, shortcut: Shortcut, scope: HTTPScope, send: Send) -> bool:
        """Answer, unless the question is not of the plainest form or cannot be answered."""
        asked = _parsed(scope["query_string"], shortcut.lists)
        if asked is None:
            return False
        pin = asked.pop("snapshot", None)
        snapshot = scope["state"].get("peeked") or self._library.peek(pin)
        if snapshot is None:
            return False
        state: dict[str, Any] = scope["state"]
        snapshot.leases += 1
        try:
            if media_type_of(scope) != JSON:
                return False
            given = msgspec.structs.asdict(msgspec.convert(asked, shortcut.question, strict=False))
            scope["route_handler"] = shortcut.handler
            found = await shortcut.read(**given, **self._given(shortcut, scope, snapshot))
            body = encode(bounded(found, shortcut.field, self._most_rows))
        except Exception:  # noqa: BLE001 - the application says what is wrong, in the words that it has for it
            return False
        finally:
            snapshot.release()
        scope["path_template"] = shortcut.path
        state["snapshot"] = state["leased"] = snapshot
        await send({"type": "http.response.start", "status": 200, "headers": [*shortcut.headers, _length(body)]})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True

    def _given(self, shortcut: Shortcut, scope: HTTPScope, snapshot: Snapshot) -> dict[str, Any]:
        given: dict[str, Any] = {"lease": snapshot}
        if "request" in shortcut.wants:
            scope["litestar_app"] = self._litestar
            given["request"] = Request(scope)
        if "state" in shortcut.wants:
            given["state"] = self._litestar.state
        return given


def shortcuts(app: Litestar) -> Iterator[Shortcut]:
    """Every read that needs nothing of its path."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if "GET" in handler.http_methods and "{" not in route.path and (found := _shortcut(handler, route.path)):
                yield found


def _shortcut(handler: HTTPRouteHandler, path: str) -> Shortcut | None:
    parameters = handler.parsed_fn_signature.parameters
    asked = {name: field for name, field in parameters.items() if name not in GIVEN}
    is_plain = all(
        isinstance(field.kwarg_definition, QueryParameter) and not field.kwarg_definition.name for field in asked.values()
    )
    if "lease" not in parameters or not is_plain or not inspect.iscoroutinefunction(handler.fn):
        return None
    read = inspect.unwrap(handler.fn)
    hints = get_type_hints(handler.signature_model, include_extras=True)
    fields = [(name, hints[name], field.default) if field.has_default else (name, hints[name]) for name, field in asked.items()]
    said = [(each.name.lower().encode(), str(each.value).encode()) for each in handler.resolve_response_headers()]
    return Shortcut(
        handler=handler,
        path=path,
        read=read,
        question=msgspec.defstruct(handler.fn.__name__, fields, kw_only=True, forbid_unknown_fields=True),
        lists=frozenset(name for name, field in asked.items() if list in kinds_of(field)),
        wants=frozenset(GIVEN & set(inspect.signature(read).parameters)),
        field=getattr(handler.fn, "field", "items"),
        headers=[(b"content-type", JSON.encode()), *said],
    )


def _parsed(query: bytes, lists: frozenset[str]) -> dict[str, Any] | None:
    """The parameters of a query; None where one is empty, is the word null, or is repeated though it has one value."""
    pairs = pairs_of(query)
    if pairs is None:
        return None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not value or value == "null":
            return None
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            return None
        else:
            found[name] = value
    return found


def _length(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(body))
