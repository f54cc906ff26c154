"""The edge cache: answers of reads, kept as the bytes that were sent, and given again before anything is routed.

Bounded in bytes, the least recently used goes first. What is kept never is stale: an answer is given only for a snapshot in which
all that it was made from is the same, and which snapshot is served is looked at on each request. Kept are answers of 200 to a GET
that was made from a leased snapshot and nothing else. HEAD is answered as GET without the body, here, for every route.
"""

import asyncio
from collections import OrderedDict
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct

from serving.layers.answers import Answer, keep
from serving.layers.depends import dependence
from serving.layers.reads import Reads, noting
from serving.snapshot import Library, Snapshot

PREFIX = "/api/v1/"
LONGEST_QUERY = 2048  # bytes; what is longer is answered, but not kept
LONGEST_ACCEPT = 256
LARGEST_SHARE = 8  # an answer takes at most one in so many bytes of the cache
KNOWN_VARY = {b"accept", b"accept-encoding", b"authorization", b"x-api-key", b"origin"}
VARY = (b"vary", b"Accept, Accept-Encoding, Authorization, X-API-Key")
CONTROL = (b"cache-control", b"max-age=60")
REPLACED = {b"content-length", b"vary", b"etag", b"cache-control"}


class Key(Struct, frozen=True):
    """What was asked, in the form in which equal questions are equal."""

    path: str
    query: tuple[tuple[bytes, bytes], ...]
    accept: bytes
    role: str

    @property
    def pin(self) -> str | None:
        return next((value.decode("latin-1") for name, value in self.query if name == b"snapshot" and value), None)

    def __str__(self) -> str:
        return f"{self.path}\n{self.query}\n{self.accept!r}\n{self.role}"


class Cache:
    """Wraps the application; one a process."""

    def __init__(self, app: ASGIApp, library: Library, *, limit: int, shared: frozenset[str]) -> None:
        """`limit` in bytes, 0 keeps nothing. `shared`: first segments below /api/v1 under which every GET only reads a snapshot,
        so that equal questions wait for one answer."""
        self.app = app
        self.limit = limit
        self.size = 0
        self.hits = self.misses = self.evicted = 0
        self._library = library
        self._shared = shared
        self._kept: OrderedDict[Key, Answer] = OrderedDict()
        self._under_way: dict[tuple[Key, tuple[int, ...]], asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        if scope["method"] == "HEAD":
            scope = cast(HTTPScope, {**scope, "method": "GET"})
            headless = _Headless(receive, send)
            receive, send = headless.receive, headless.send
        key, headers = None, {}
        if scope["method"] == "GET" and self.limit and scope["path"].startswith(PREFIX):
            headers = dict(scope["headers"])
            key = _key(scope)
        if key is None:
            await self._pass(scope, receive, send)
        elif not await self._answer_known(key, scope, headers, send):
            await self._ask(key, scope, headers, receive, send)

    def __len__(self) -> int:
        return len(self._kept)

    async def _answer_known(self, key: Key, scope: HTTPScope, headers: dict[bytes, bytes], send: Send) -> bool:
        """Answer with what is kept, or with what another request is just computing."""
        for has_waited in (False, True):
            snapshot = self._library.peek(key.pin)
            answer = self._find(key, snapshot) if snapshot is not None else None
            if answer is not None:
                self.hits += 1
                scope["state"] |= {
                    "snapshot": snapshot,
                    "dataset_id": answer.dataset_id,
                    "model_version": answer.model_version,
                    "route": answer.route,
                    "cache": "hit",
                }
                await self._give(key, answer, headers, send)
                return True
            other = None if has_waited else self._under_way.get((key, self._library.stat()))
            if other is None:
                break
            await other.wait()
        return False

    async def _ask(self, key: Key, scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        flight = (key, self._library.stat())
        is_first = flight not in self._under_way and key.path.split("/", 4)[3] in self._shared
        if is_first:
            self._under_way[flight] = asyncio.Event()
        try:
            await self._pass(scope, receive, _Heard(self, key, scope, headers, send).send)
        finally:
            if is_first:
                self._under_way.pop(flight).set()

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

    async def _give(self, key: Key, answer: Answer, headers: dict[bytes, bytes], send: Send) -> None:
        takes_gzip = _takes_gzip(headers.get(b"accept-encoding", b""))
        if takes_gzip and not answer.is_pressed:
            before = answer.size
            answer.press()
            if self._kept.get(key) is answer:
                self._grow(answer.size - before)
        body = answer.gzipped if takes_gzip else None
        is_packed = body is not None
        status, said = 200, answer.packed if is_packed else answer.plain
        known = headers.get(b"if-none-match")
        if known is not None and _knows(known, answer.etag(packed=is_packed)):
            status, body = 304, b""
            said = [each for each in said if each[0] not in (b"content-length", b"content-type", b"content-encoding")]
        await send({"type": "http.response.start", "status": status, "headers": said})
        await send({"type": "http.response.body", "body": answer.body if body is None else body, "more_body": False})

    def _find(self, key: Key, snapshot: Snapshot) -> Answer | None:
        answer = self._kept.get(key)
        if answer is None:
            return None
        if not answer.is_of(snapshot):
            self._drop(key)
            answer = answer.of(snapshot)
            if answer is None:
                return None
            self.put(key, answer)
        self._kept.move_to_end(key)
        return answer

    def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer; what was used least recently makes room."""
        self._drop(key)
        if answer.size * LARGEST_SHARE > self.limit:
            return
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


class _Heard:
    """Listens to the answer of the application: one that can be kept is kept and sent as a kept one would be."""

    def __init__(self, cache: Cache, key: Key, scope: HTTPScope, headers: dict[bytes, bytes], send: Send) -> None:
        self._cache, self._key, self._scope, self._headers, self._send = cache, key, scope, headers, send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._can_be_kept(message):
            self._start = message  # held until the body is there
            return
        if self._start is not None:
            start, self._start = self._start, None
            if message["type"] == "http.response.body" and not message.get("more_body"):
                answer = self._keep(start, message["body"])
                await self._cache._give(self._key, answer, self._headers, self._send)
                return
            await self._send(start)
        await self._send(message)

    def _can_be_kept(self, start: Message) -> bool:
        if start["type"] != "http.response.start" or start["status"] != 200 or self._scope["state"]["reads"].is_outside:
            return False
        vary = b",".join(value for name, value in start["headers"] if name.lower() == b"vary")
        named = {each.strip().lower() for each in vary.split(b",") if each.strip()}
        return self._scope["state"].get("leased") is not None and named <= KNOWN_VARY

    def _keep(self, start: Message, body: bytes) -> Answer:
        state: dict[str, Any] = self._scope["state"]
        snapshot: Snapshot = state["leased"]
        reads: Reads = state["reads"]
        operation = str(getattr(self._scope.get("route_handler"), "operation_id", ""))
        assert start["type"] == "http.response.start"
        answer = keep(
            snapshot,
            dependence(snapshot, operation, reads.parts),
            [*((name, value) for name, value in start["headers"] if name.lower() not in REPLACED), CONTROL, VARY],
            body,
            asked=str(self._key),
            route=self._scope.get("path_template", ""),
            dataset_id=reads.dataset_id,
            model_version=state.get("model_version") or reads.model_version,
        )
        self._cache.misses += 1
        state["cache"] = "miss"
        self._cache.put(self._key, answer)
        return answer


class _Headless:
    """Lets the head of an answer through, ends it there, and tells the application that nobody listens any more."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._is_over = False

    async def receive(self) -> Any:
        return {"type": "http.disconnect"} if self._is_over else await self._receive()

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        await self._send(message)
        if message["type"] == "http.response.start":
            self._is_over = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _knows(if_none_match: bytes, tag: bytes) -> bool:
    given = [each.strip().removeprefix(b"W/") for each in if_none_match.split(b",")]
    return tag in given or given == [b"*"]


def _key(scope: HTTPScope) -> Key | None:
    """What a request asks; None for one that is too long to keep, or that names two snapshots.

    Of a header that is sent twice every value counts: who reads another one of them must not get this one's answer.
    """
    query = scope["query_string"]
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if len(query) > LONGEST_QUERY or len(accept) > LONGEST_ACCEPT:
        return None
    parameters = _canonical(query)
    if sum(name == b"snapshot" for name, _ in parameters) > 1:
        return None
    return Key(scope["path"], parameters, accept or b"*/*", str(scope["state"].get("role", "")))


@lru_cache(maxsize=4096)
def _canonical(query: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The parameters by name; several of one name stay in their order, which answers repeat.

    >>> _canonical(b"b=2&a=%31&b=1")
    ((b'a', b'1'), (b'b', b'2'), (b'b', b'1'))
    """
    text = query.decode("latin-1")  # which every byte has a character of, and back; given bytes, parse_qsl takes ASCII alone
    parsed = parse_qsl(text, keep_blank_values=True, encoding="latin-1")
    return tuple(sorted(((name.encode("latin-1"), value.encode("latin-1")) for name, value in parsed), key=lambda each: each[0]))


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
