"""Reads that are answered without routing: the same handlers, called with the same parameters, but by a look-up.

Finding a route, its dependencies, its parameters and its response costs Litestar several times what the sums of a KPI cost
(benchmarks/handlers.py). Here a question that is asked in the plainest form goes straight to the handler: a GET of a path
without parameters in it, that leases a snapshot, with known parameters that each fit their type, for JSON. Everything else, and
every question that a handler refuses, is for the application, which answers it or says what is wrong with it. Both give the same
bytes: a test asks both.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, get_type_hints

import msgspec
from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.types import HTTPScope
from msgspec import Struct

from serving.formats import JSON, bounded, media_type_of
from serving.layers.limits import timed_out
from serving.layers.patience import to_the_end
from serving.layers.questions import ANY, Key
from serving.parameters import Query, kinds_of, pairs_of
from serving.settings import Settings
from serving.snapshot import Snapshot

GIVEN = {"lease", "request", "state"}
"""What a handler is given that does not come from the query."""
encode = msgspec.json.Encoder().encode


class Shortcut(Struct, frozen=True):
    """A handler that can be called without routing."""

    handler: HTTPRouteHandler
    path: str
    operation: str
    read: Callable[..., Coroutine[Any, Any, Any]]
    question: type[Struct]  # its parameters of the query, with types, bounds and defaults
    lists: frozenset[str]  # those that may be repeated
    wants: frozenset[str]  # what of GIVEN it takes
    field: str  # that has its rows
    headers: tuple[tuple[bytes, bytes], ...]  # without length


class Direct:
    """The reads of an application that can do without routing. The cache asks here first, and keeps what it is given."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._most_rows: int = app.state.settings.max_rows
        self._known = {each.path: each for each in shortcuts(app)}
        self.hold_by(app.state.settings)

    def hold_by(self, settings: Settings) -> None:
        """Have this time hold from now on."""
        self._seconds = settings.request_seconds

    def find(self, path: str) -> Shortcut | None:
        """How to answer a GET of this path, where that can be."""
        return self._known.get(path)

    def answer(
        self, shortcut: Shortcut, key: Key, snapshot: Snapshot, scope: HTTPScope
    ) -> bytes | Coroutine[Any, Any, bytes | None] | None:
        """The body of an answer of 200; None where the question is not of the plainest form or is refused.

        Most are there at once, and need no task of their own. One that has to wait for something is to be awaited; it raises
        TimedOut, when that takes too long.
        """
        snapshot.leases += 1
        is_over = True
        try:
            asked = _values(pairs_of(key.query), shortcut.lists)
            if asked is None or (key.accept != ANY and media_type_of(scope) != JSON):
                return None
            given = msgspec.structs.asdict(msgspec.convert(asked, shortcut.question, strict=False))
            given["lease"] = snapshot
            if "state" in shortcut.wants:
                given["state"] = self._app.state
            if "request" in shortcut.wants:
                given["request"] = self._request(shortcut, scope)
            reading = shortcut.read(**given)
            try:
                waits_for = reading.send(None)
            except StopIteration as ended:
                return encode(bounded(ended.value, shortcut.field, self._most_rows))
            is_over = False
            return self._rest(shortcut, snapshot, reading, waits_for)
        except Exception:  # noqa: BLE001 - the application says what is wrong, in the words that it has for it
            return None
        finally:
            if is_over:
                snapshot.release()

    async def _rest(
        self, shortcut: Shortcut, snapshot: Snapshot, reading: Coroutine[Any, Any, Any], waits_for: Any
    ) -> bytes | None:
        """The same, of one that waits."""
        try:
            found = await to_the_end(reading, waits_for, seconds=self._seconds)
            return encode(bounded(found, shortcut.field, self._most_rows))
        except TimeoutError as error:
            raise timed_out(self._seconds, is_write=False) from error
        except Exception:  # noqa: BLE001 - as above
            return None
        finally:
            snapshot.release()

    def _request(self, shortcut: Shortcut, scope: HTTPScope) -> Request[Any, Any, Any]:
        scope["litestar_app"] = self._app
        scope["route_handler"] = shortcut.handler
        return Request(scope)


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
    said = ((each.name.lower().encode(), str(each.value).encode()) for each in handler.resolve_response_headers())
    return Shortcut(
        handler=handler,
        path=path,
        operation=str(handler.operation_id),
        read=read,
        question=msgspec.defstruct(handler.fn.__name__, fields, kw_only=True, forbid_unknown_fields=True),
        lists=frozenset(name for name, field in asked.items() if list in kinds_of(field)),
        wants=frozenset(GIVEN & set(inspect.signature(read).parameters)),
        field=getattr(handler.fn, "field", "items"),
        headers=((b"content-type", JSON.encode()), *said),
    )


def _values(query: Query, lists: frozenset[str]) -> dict[str, Any] | None:
    """The parameters of a query; None where one is empty, is the word null, or is repeated though it has one value."""
    found: dict[str, Any] = {}
    for name, value in query:
        if not value or value == "null":
            return None
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            return None
        else:
            found[name] = value
    found.pop("snapshot", None)
    return found
