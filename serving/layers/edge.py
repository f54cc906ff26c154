"""What happens to every request and answer, as plain ASGI: request id, host check, one log line; no fault gets past it."""

import logging
import random
import re
import time
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from serving.layers.browsers import Browsers
from serving.layers.logs import access
from serving.layers.metrics import count
from serving.problems import FAULT, Forbidden, Problem, Unknown, refuse

log = logging.getLogger("serving.edge")
REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
ELSEWHERE = "This server does not answer to that name: address it as 127.0.0.1 or localhost, or as DEMANDGRAPH_ALLOWED_HOSTS says."
encode = msgspec.json.Encoder().encode


def host_check(names: Sequence[str]) -> re.Pattern[bytes]:
    """What the header Host may be: one of these names with any port; `*` is any name."""
    known = "|".join(re.escape(f"[{name}]" if ":" in name and name[0] != "[" else name) for name in names)
    return re.compile(b"" if "*" in names else rf"(?i)({known})(:\d{{1,5}})?\Z".encode())


LOOPBACK = host_check(["127.0.0.1", "localhost", "::1"])


class Edge:
    """Wraps the application. State that what is inside leaves in scope["state"] (snapshot, route) is told in the log."""

    def __init__(self, app: ASGIApp, hosts: re.Pattern[bytes] = LOOPBACK, browsers: Browsers | None = None) -> None:
        self.app = app
        self._is_host = lru_cache(maxsize=64)(lambda host: hosts.match(host) is not None)
        self._browsers = browsers or Browsers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        added = [(b"x-request-id", request_id.encode()), *self._browsers.headers(scope["path"], headers.get(b"origin"))]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            told = self._browsers.preflight(scope["method"], headers)
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


def _request_id(given: bytes | None) -> str:
    """The client's own where it is a plain word, else a new one."""
    return given.decode() if given and REQUEST_ID.match(given) else f"{random.getrandbits(128):032x}"


def _line(scope: HTTPScope, state: Mapping[str, Any], status: int, took: float) -> bytes:
    snapshot = state.get("snapshot")
    return encode(
        {
            "time": datetime.now(UTC),
            "request_id": state["request_id"],
            "method": scope["method"],
            "route": state.get("route") or None,
            "path": scope["path"],
            "status": status,
            "ms": round(took * 1000, 3),
            "snapshot_id": snapshot.id if snapshot else None,
            "dataset_id": state.get("dataset_id"),
            "model_version": state.get("model_version"),
            "cache": state.get("cache"),
            "key": state.get("key"),
        }
    )
