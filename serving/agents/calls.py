"""A request of this API to itself, in this process, by the role of whoever asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message
from msgspec import Struct

from serving.agents.tools import Asked

AGAIN = 0.2  # seconds before another try
TRANSIENT = (429, 503, 504)


class Given(Struct, frozen=True):
    """What a request was answered with."""

    status: int
    body: Any

    @property
    def is_good(self) -> bool:
        return self.status < 400

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in TRANSIENT or self.status >= 500


async def call(app: ASGIApp, asked: Asked, who: Mapping[str, Any], *, key: str | None = None, tries: int = 1) -> Given:
    """The answer of an operation; what may pass is tried again.

    Takes    app: the application inside of the layers that have let the message in; who: what they know of who asks, as the state
             of a request; key: an Idempotency-Key.
    """
    given = await _call(app, asked, who, key)
    for _ in range(tries - 1):
        if not given.is_passing:
            break
        await asyncio.sleep(AGAIN)
        given = await _call(app, asked, who, key)
    return given


async def _call(app: ASGIApp, asked: Asked, who: Mapping[str, Any], key: str | None) -> Given:
    content = b"" if asked.body is None else msgspec.json.encode(asked.body)
    path, _, query = asked.path.partition("?")
    headers = [(b"host", b"127.0.0.1"), (b"accept", b"application/json"), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(content)).encode()))
    if key is not None:
        headers.append((b"idempotency-key", key.encode()))
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": None,
        "server": None,
        "state": dict(who),
    }
    return await _answered(app, scope, content)


async def _answered(app: ASGIApp, scope: HTTPScope, content: bytes) -> Given:
    status, pieces = 500, list[bytes]()

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Given(status, msgspec.json.decode(b"".join(pieces) or b"null"))
