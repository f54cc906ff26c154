"""What happens to every request and answer, as plain ASGI: request id, host check, one log line; no fault gets past it."""

import json
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from serving.problems import FAULT, Forbidden, Unknown, say

access = logging.getLogger("serving.access")
log = logging.getLogger("serving.edge")
REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
ELSEWHERE = "This server answers on loopback only: address it as 127.0.0.1 or localhost."
LOOPBACK = re.compile(rb"^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$")


class Edge:
    """Wraps the application. State that what is inside leaves in scope["state"] (snapshot, route) is told in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if REQUEST_ID.match(given) else uuid.uuid4().hex
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        began = time.perf_counter()
        added = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            if LOOPBACK.match(headers.get(b"host", b"")):
                await self.app(scope, receive, send_with_id)
            else:  # a page elsewhere that had its name resolve to this machine
                await say(Forbidden(ELSEWHERE), send_with_id, request_id)
        except Exception as error:
            log.error("request %s failed: %s %s", request_id, scope["method"], scope["path"], exc_info=error)
            if not status:
                await say(Unknown(FAULT), send_with_id, request_id)
        finally:
            _log(scope, status, (time.perf_counter() - began) * 1000)


def _log(scope: HTTPScope, status: int, milliseconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    state = scope.get("state", {})
    snapshot = state.get("snapshot")
    line = {
        "request_id": state.get("request_id"),
        "method": scope["method"],
        "route": state.get("route") or None,
        "path": scope["path"],
        "status": status,
        "ms": round(milliseconds, 2),
        "snapshot_id": snapshot.id if snapshot else None,
        "dataset_id": state.get("dataset_id"),
        "model_version": state.get("model_version"),
        "cache": state.get("cache"),
    }
    access.info(json.dumps(line))
