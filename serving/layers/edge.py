"""What happens to every request and answer, as plain ASGI: request id, host check, one log line; no fault gets past it."""

import logging
import random
import re
import time
from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send, WebSocketScope
from msgspec import Struct

from serving.layers.browsers import Browsers
from serving.layers.kinds import HTTP, SOCKET
from serving.layers.logs import access
from serving.layers.metrics import count
from serving.problems import FAULT, Forbidden, Problem, Unknown, refuse

log = logging.getLogger("serving.edge")
REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
WEBSOCKET = "WEBSOCKET"  # in place of a method; the status is the code that it was closed with
POLICY_VIOLATION, ABNORMAL = 1008, 1006
ELSEWHERE = "This server does not answer to that name: address it as 127.0.0.1 or localhost, or as DEMANDGRAPH_ALLOWED_HOSTS says."


def host_check(names: Sequence[str]) -> re.Pattern[bytes]:
    """What the header Host may be: one of these names with any port; `*` is any name."""
    known = "|".join(re.escape(f"[{name}]" if ":" in name and name[0] != "[" else name) for name in names)
    return re.compile(b"" if "*" in names else rf"(?i)({known})(:\d{{1,5}})?\Z".encode())


LOOPBACK = host_check(["127.0.0.1", "localhost", "::1"])


class Line(Struct, gc=False):
    """One request in the log."""

    time: datetime  # at its end
    request_id: str
    method: str
    route: str | None
    path: str
    status: int
    ms: float
    snapshot_id: str | None
    dataset_id: str | None
    model_version: str | None
    cache: str | None  # "hit" or "miss"
    key: str | None  # the name of the key that asked


class Edge:
    """Wraps the application. State that what is inside leaves in scope["state"] (snapshot, route) is told in the log."""

    def __init__(self, app: ASGIApp, hosts: re.Pattern[bytes] = LOOPBACK, browsers: Browsers | None = None) -> None:
        self.app = app
        self._is_host = lru_cache(maxsize=64)(lambda host: hosts.match(host) is not None)
        self._browsers = browsers or Browsers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == SOCKET:
            await self._hold(scope, receive, send)
            return
        if scope["type"] != HTTP:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(headers.get(b"x-request-id"))
        status = 0

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                usual = self._browsers.headers(scope["path"], headers.get(b"origin"))
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode()), *usual]}
            return send(message)

        try:
            told = self._browsers.preflight(headers) if scope["method"] == "OPTIONS" else None
            if not self._is_host(headers.get(b"host", b"")):  # a page elsewhere that had its name resolve to this machine
                told = Forbidden(ELSEWHERE)
            if told is None:
                await self.app(scope, receive, send_with_id)
            elif isinstance(told, Problem):
                await refuse(send_with_id, told, request_id)
            else:
                await send_with_id({"type": "http.response.start", "status": 204, "headers": told})
                await send_with_id({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:
            said = {"request_id": request_id}
            log.error("request %s failed: %s %s", request_id, scope["method"], scope["path"], exc_info=error, extra=said)
            if not status:
                await refuse(send_with_id, Unknown(FAULT), request_id)
        finally:
            took = time.perf_counter() - began
            count(state.get("route", ""), scope["method"], status, took, state.get("cache"))
            if access.is_open:
                access.write(_line(scope, state, status, took))

    async def _hold(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """A websocket, from its first message to the code that it is closed with, which its line in the log tells."""
        headers = dict(scope["headers"])
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = _request_id(headers.get(b"x-request-id"))
        began, code = time.perf_counter(), ABNORMAL

        async def sent(message: Message) -> None:
            nonlocal code
            if message["type"] == "websocket.close":
                code = message["code"]
            await send(message)

        async def received() -> Any:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message["code"]
            return message

        try:
            if self._is_host(headers.get(b"host", b"")):
                await self.app(scope, received, sent)
            else:
                await sent({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ELSEWHERE[:120]})
        except Exception as error:
            said = {"request_id": state["request_id"]}
            log.error("websocket %s failed: %s", state["request_id"], scope["path"], exc_info=error, extra=said)
        finally:
            state["route"] = scope.get("path_template", "")
            took = time.perf_counter() - began
            count(state["route"], WEBSOCKET, code, took, None)
            if access.is_open:
                access.write(_line(scope, state, code, took))


def _request_id(given: bytes | None) -> str:
    """The client's own where it is a plain word, else a new one."""
    return given.decode() if given and REQUEST_ID.match(given) else f"{random.getrandbits(128):032x}"  # a name, no secret


def _line(scope: HTTPScope | WebSocketScope, state: Mapping[str, Any], status: int, took: float) -> Line:
    snapshot = state.get("snapshot")
    return Line(
        datetime.now(UTC),
        state["request_id"],
        scope["method"] if scope["type"] == HTTP else WEBSOCKET,
        state.get("route") or None,
        scope["path"],
        status,
        round(took * 1000, 3),
        snapshot.id if snapshot else None,
        state.get("dataset_id"),
        state.get("model_version"),
        state.get("cache"),
        state.get("key"),
    )
