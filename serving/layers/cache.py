"""The edge cache: answers of reads, kept as the bytes that were sent, and given again before anything is routed.

Bounded in bytes, the least recently used goes first. What is kept never is stale: an answer is given only for a snapshot in which
all that it was made from is the same, and which snapshot is served is looked at on each request. Kept are answers of 200 to a GET
that was made from a leased snapshot and nothing else. HEAD is answered as GET without the body, here, for every route.
"""

import asyncio
from collections import OrderedDict
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct

from serving.layers.answers import Answer, Headers, keep
from serving.layers.depends import dependence
from serving.layers.reads import Reads, noting
from serving.library import Library
from serving.parameters import pairs_of
from serving.snapshot import Snapshot

PREFIX = "/api/v1/"
LONGEST_QUERY = 2048  # bytes; what is longer is answered, but not kept
LONGEST_ACCEPT = 256
LARGEST_SHARE = 8  # an answer takes at most one in so many bytes of the cache
KNOWN_VARY = {b"accept", b"accept-encoding", b"authorization", b"x-api-key", b"origin"}
VARY = (b"vary", b"Accept, Accept-Encoding")
CONTROL = (b"cache-control", b"max-age=60")
Query = tuple[tuple[str, str], ...]
BODILESS = {b"content-length", b"content-type", b"content-encoding"}  # headers that a 304 does not have
REPLACED = {b"content-length", b"vary", b"etag", b"cache-control"}


class Key(Struct, frozen=True, gc=False):
    """What was asked, in the form in which equal questions are equal."""

    path: str
    query: Query
    accept: bytes
    role: str

    @property
    def pin(self) -> str | None:
        for name, value in self.query:
            if name == "snapshot":
                return value or None
        return None

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
        self._under_way: dict[tuple[Key, Snapshot | None], asyncio.Event] = {}

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
            return
        found = self._find(key)
        if found[1] is None and self._under_way and (other := self._under_way.get((key, found[0]))):
            await other.wait()
            found = self._find(key)
        snapshot, answer = found
        if answer is None:
            await self._ask(key, snapshot, scope, headers, receive, send)
            return
        self.hits += 1
        state = scope["state"]
        state["snapshot"], state["route"], state["cache"] = snapshot, answer.route, "hit"
        state["dataset_id"], state["model_version"] = answer.dataset_id, answer.model_version
        await self._give(key, answer, headers, send)

    def __len__(self) -> int:
        return len(self._kept)

    async def _ask(
        self, key: Key, snapshot: Snapshot | None, scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        """Have the application answer; who asks the same of the same snapshot meanwhile waits for it."""
        scope["state"]["peeked"] = snapshot
        heard = _Heard(self, key, scope, headers, send).send
        flight = (key, snapshot)
        if flight in self._under_way or key.path.split("/", 4)[3] not in self._shared:
            await self._pass(scope, receive, heard)
            return
        self._under_way[flight] = asyncio.Event()
        try:
            await self._pass(scope, receive, heard)
        finally:
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
            said = tuple(each for each in said if each[0] not in BODILESS)
        await send({"type": "http.response.start", "status": status, "headers": said})
        await send({"type": "http.response.body", "body": answer.body if body is None else body, "more_body": False})

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
        return self._scope["state"].get("leased") is not None and _kept_headers(*start["headers"]) is not None

    def _keep(self, start: Message, body: bytes) -> Answer:
        state: dict[str, Any] = self._scope["state"]
        snapshot: Snapshot = state["leased"]
        reads: Reads = state["reads"]
        operation = str(getattr(self._scope.get("route_handler"), "operation_id", ""))
        headers = _kept_headers(*start["headers"])  # type: ignore[typeddict-item]
        assert headers is not None
        answer = keep(
            snapshot,
            dependence(snapshot, operation, reads.parts),
            headers,
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


@lru_cache(maxsize=512)
def _kept_headers(*said: tuple[bytes, bytes]) -> Headers | None:
    """What an answer says beside its length and tag; None where it varies by more than the cache tells apart."""
    vary = b",".join(value for name, value in said if name.lower() == b"vary")
    named = {each.strip().lower() for each in vary.split(b",") if each.strip()}
    if not named <= KNOWN_VARY:
        return None
    return [*((name, value) for name, value in said if name.lower() not in REPLACED), CONTROL, VARY]


def _knows(if_none_match: bytes, tag: bytes) -> bool:
    given = [each.strip().removeprefix(b"W/") for each in if_none_match.split(b",")]
    return tag in given or given == [b"*"]


def _key(scope: HTTPScope) -> Key | None:
    """What a request asks; None for one that is too long to keep, that names two snapshots, or that is no text.

    Of a header that is sent twice every value counts: who reads another one of them must not get this one's answer.
    """
    query = scope["query_string"]
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if len(query) > LONGEST_QUERY or len(accept) > LONGEST_ACCEPT:
        return None
    parameters = _canonical(query)
    if parameters is None:
        return None
    return Key(scope["path"], parameters, accept or b"*/*", str(scope["state"].get("role", "")))


@lru_cache(maxsize=4096)
def _canonical(query: bytes) -> Query | None:
    """The parameters by name; several of one name stay in their order, which answers repeat.

    >>> _canonical(b"b=2&a=%31&b=1")
    (('a', '1'), ('b', '2'), ('b', '1'))
    """
    pairs = pairs_of(query)
    if pairs is None or sum(name == "snapshot" for name, _ in pairs) > 1:
        return None
    return tuple(sorted(pairs, key=itemgetter(0)))


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
