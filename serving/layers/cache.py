"""The edge cache: answers of reads, kept as the bytes that were sent, and given again before anything is routed.

Bounded in bytes, the least recently used goes first. What is kept never is stale: an answer is given only for a snapshot in which
all that it was made from is the same, and which snapshot is served is looked at on each request. Kept are answers of 200 to a GET
that was made from a leased snapshot and nothing else. HEAD is answered as GET without the body, here, for every route.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

from litestar import Litestar
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct

from serving.layers.answers import Answer, Headers, keep
from serving.layers.depends import dependence
from serving.layers.direct import Direct
from serving.layers.head import Headless
from serving.layers.kinds import HTTP
from serving.layers.questions import Key, key_of
from serving.layers.reads import Reads, noting
from serving.library import Library
from serving.problems import Problem, refuse
from serving.snapshot import Snapshot

PREFIX = "/api/v1/"
LARGEST_SHARE = 8  # an answer takes at most one in so many bytes of the cache
KNOWN_VARY = {b"accept", b"accept-encoding", b"authorization", b"x-api-key", b"origin"}
CONTROL = (b"cache-control", b"max-age=60")
BODILESS = {b"content-length", b"content-type", b"content-encoding"}  # headers that a 304 does not have
REPLACED = {b"content-length", b"vary", b"etag", b"cache-control"}

Flight = tuple[Key, Snapshot | None]
"""A question that is being answered."""


class Cache:
    """Wraps the application; one a process."""

    def __init__(self, app: ASGIApp, direct: Direct, library: Library, *, limit: int, shared: frozenset[str]) -> None:
        """`direct` is asked first, then `app`. `limit` in bytes, 0 keeps nothing. `shared`: first segments below /api/v1 under
        which every GET only reads a snapshot, so that equal questions wait for one answer."""
        self.app = app
        self._direct = direct
        self.limit = limit
        self.size = 0
        self.hits = self.misses = self.evicted = 0
        self._library = library
        self._shared = shared
        self._kept: OrderedDict[Key, Answer] = OrderedDict()
        self._under_way: dict[Flight, asyncio.Event | None] = {}  # None: nobody waits for it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        if scope["method"] == "HEAD":
            scope = cast(HTTPScope, {**scope, "method": "GET"})
            headless = Headless(receive, send)
            receive, send = headless.receive, headless.send
        is_read = scope["method"] == "GET" and self.limit and scope["path"].startswith(PREFIX)
        key = key_of(scope) if is_read else None
        if key is None:
            await self._pass(scope, receive, send)
            return
        snapshot, answer = self._find(key)
        if answer is None and (key, snapshot) in self._under_way:
            await self._wait_for((key, snapshot))
            snapshot, answer = self._find(key)
        asked = _Asked(key, snapshot, scope, dict(scope["headers"]), receive, send)
        if answer is None:
            await self._ask(asked)
            return
        self.hits += 1
        state = scope["state"]
        state["snapshot"], state["route"], state["cache"] = snapshot, answer.route, "hit"
        state["dataset_id"], state["model_version"] = answer.dataset_id, answer.model_version
        await self._give(asked, answer)

    def __len__(self) -> int:
        return len(self._kept)

    async def _wait_for(self, flight: "Flight") -> None:
        event = self._under_way[flight] = self._under_way[flight] or asyncio.Event()
        await event.wait()

    async def _ask(self, asked: "_Asked") -> None:
        """Have it answered, by the short way where there is one, else by the application."""
        shortcut, snapshot = self._direct.find(asked.key.path), asked.snapshot
        if shortcut is not None and snapshot is not None:
            with noting() as reads:
                try:
                    body = self._direct.answer(shortcut, asked.key, snapshot, asked.scope)
                    if body is not None and not isinstance(body, bytes):
                        with self._flying(asked):
                            body = await body
                except Problem as problem:
                    await refuse(asked.send, problem, str(asked.scope["state"].get("request_id", "")))
                    return
            if body is not None:
                state = asked.scope["state"]
                state["snapshot"], state["route"] = snapshot, shortcut.path
                state["dataset_id"], state["model_version"] = reads.dataset_id, reads.model_version
                said = _kept_headers(*shortcut.headers)
                if said is None or reads.is_outside:
                    await asked.tell(200, (*shortcut.headers, (b"content-length", b"%d" % len(body))), body)
                else:
                    await self._give(asked, self.keep(asked, snapshot, shortcut.operation, said, body, reads.parts))
                return
        with self._flying(asked):
            await self._pass(asked.scope, asked.receive, _Heard(self, asked).send)

    @contextmanager
    def _flying(self, asked: "_Asked") -> Iterator[None]:
        """It is being answered: who asks the same of the same snapshot meanwhile waits for that."""
        flight = (asked.key, asked.snapshot)
        if flight in self._under_way or asked.key.path.split("/", 4)[3] not in self._shared:
            yield
            return
        self._under_way[flight] = None
        try:
            yield
        finally:
            event = self._under_way.pop(flight)
            if event is not None:
                event.set()

    async def _pass(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        with noting() as reads:
            state["reads"] = reads
            try:
                await self.app(scope, receive, send)
            finally:
                state["route"] = scope.get("path_template", "")
                state["dataset_id"] = reads.dataset_id
                state["model_version"] = state.get("model_version") or reads.model_version

    def _give(self, asked: "_Asked", answer: Answer) -> Awaitable[None]:
        takes_gzip = _takes_gzip(asked.headers.get(b"accept-encoding", b""))
        if takes_gzip and not answer.is_pressed:
            before = answer.size
            answer.press()
            if self._kept.get(asked.key) is answer:
                self._grow(answer.size - before)
        said, body = answer.sent(takes_gzip=takes_gzip)
        known = asked.headers.get(b"if-none-match")
        if known is not None and _knows(known, said[-1][1]):
            return asked.tell(304, tuple(each for each in said if each[0] not in BODILESS), b"")
        return asked.tell(200, said, body)

    def _find(self, key: Key) -> tuple[Snapshot | None, Answer | None]:
        """The snapshot that is asked, None where it has to be opened first, and what is kept of it."""
        snapshot, answer = self._library.peek(key.pin), self._kept.get(key)
        if snapshot is None or answer is None:
            return snapshot, None
        if not answer.is_of(snapshot):
            self._drop(key)
            answer = answer.of(snapshot)
            if answer is None:
                return snapshot, None
            self.put(key, answer)
        self._kept.move_to_end(key)
        return snapshot, answer

    def keep(
        self, asked: "_Asked", snapshot: Snapshot, operation: str, headers: Headers, body: bytes, parts: Collection[str]
    ) -> Answer:
        """The answer of an operation that was read from these parts of a snapshot: kept, and to be sent."""
        state = asked.scope["state"]
        answer = keep(
            snapshot,
            dependence(snapshot, operation, parts),
            headers,
            body,
            asked=bytes(asked.key),
            route=state["route"],
            dataset_id=state["dataset_id"],
            model_version=state["model_version"],
        )
        self.misses += 1
        state["cache"] = "miss"
        self.put(asked.key, answer)
        return answer

    def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer; what was used least recently makes room."""
        if key in self._kept:
            self._drop(key)
        if answer.size * LARGEST_SHARE <= self.limit:
            self._kept[key] = answer
            self._grow(answer.size)

    def _grow(self, size: int) -> None:
        self.size += size
        while self.size > self.limit:
            self._drop(next(iter(self._kept)))
            self.evicted += 1

    def _drop(self, key: Key) -> None:
        answer = self._kept.pop(key, None)
        if answer is not None:
            self.size -= answer.size


class _Asked(Struct, frozen=True, gc=False):
    """One request that the cache may know the answer to."""

    key: Key
    snapshot: Snapshot | None  # None: it has to be opened first
    scope: HTTPScope
    headers: dict[bytes, bytes]
    receive: Receive
    send: Send

    async def tell(self, status: int, headers: Headers, body: bytes) -> None:
        await asyncio.sleep(0)  # what this turn of the loop answers is sent in the next, all together (docs/adr/0028)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


class _Heard:
    """Listens to the answer of the application: one that can be kept is kept and sent as a kept one would be."""

    def __init__(self, cache: Cache, asked: _Asked) -> None:
        self._cache, self._asked = cache, asked
        self._start: HTTPResponseStartEvent | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._can_be_kept(message):
            self._start = message  # held until the body is there
            return
        if self._start is not None:
            start, self._start = self._start, None
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await self._cache._give(self._asked, self._keep(start, message["body"]))
                return
            start = {**start, "headers": [*start["headers"], CONTROL]}  # it comes in pieces and is not kept, but holds as long
            await self._asked.send(start)
        await self._asked.send(message)

    def _can_be_kept(self, start: Message) -> bool:
        state = self._asked.scope["state"]
        if start["type"] != "http.response.start" or start["status"] != 200 or state["reads"].is_outside:
            return False
        return state.get("leased") is not None and _kept_headers(*start["headers"]) is not None

    def _keep(self, start: Message, body: bytes) -> Answer:
        state: dict[str, Any] = self._asked.scope["state"]
        reads: Reads = state["reads"]
        state["route"], state["dataset_id"] = self._asked.scope.get("path_template", ""), reads.dataset_id
        state["model_version"] = state.get("model_version") or reads.model_version
        operation = str(getattr(self._asked.scope.get("route_handler"), "operation_id", ""))
        headers = _kept_headers(*start["headers"])  # type: ignore[typeddict-item]
        assert headers is not None
        return self._cache.keep(self._asked, state["leased"], operation, headers, body, reads.parts)


@lru_cache(maxsize=512)
def _kept_headers(*said: tuple[bytes, bytes]) -> Headers | None:
    """What an answer says beside its length and tag; None where it varies by more than the cache tells apart."""
    vary = b",".join(value for name, value in said if name.lower() == b"vary")
    named = {each.strip().lower() for each in vary.split(b",") if each.strip()}
    if not named <= KNOWN_VARY:
        return None
    return (*((name, value) for name, value in said if name.lower() not in REPLACED), CONTROL)


def _knows(if_none_match: bytes, tag: bytes) -> bool:
    given = [each.strip().removeprefix(b"W/") for each in if_none_match.split(b",")]
    return tag in given or given == [b"*"]


@lru_cache(maxsize=256)
def _takes_gzip(accepted: bytes) -> bool:
    """Whether a client that sends this Accept-Encoding can read gzip.

    >>> [_takes_gzip(each) for each in (b"gzip, br", b"gzip;q=0", b"identity", b"*;q=0.5")]
    [True, False, False, True]
    """
    weights = {}
    for each in accepted.lower().split(b","):
        name, _, weight = each.partition(b";q=")
        weights[name.strip()] = weight.strip() or b"1"
    return weights.get(b"gzip", weights.get(b"*", b"0")).strip(b"0.") != b""


def only_reads(app: Litestar) -> frozenset[str]:
    """The first segments below /api/v1 under which every GET reads a leased snapshot."""
    is_read: dict[str, bool] = {}
    for route in app.routes:
        if not route.path.startswith(PREFIX):
            continue
        segment = route.path.split("/", 4)[3]
        for handler in getattr(route, "route_handlers", [None]):
            if handler is None or "GET" in getattr(handler, "http_methods", ()):
                leases = handler is not None and "lease" in handler.parsed_fn_signature.parameters
                is_read[segment] = is_read.get(segment, True) and leases
    return frozenset(segment for segment, only in is_read.items() if only)
