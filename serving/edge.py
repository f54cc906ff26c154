"""What happens to every request and answer, as plain ASGI: request id, host check, ETag and 304, one log line."""

import hashlib
import json
import logging
import re
import time
import uuid
from collections.abc import MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from serving.problems import Forbidden, refuse

access = logging.getLogger("serving.access")
REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")


def host_check(names: Sequence[str]) -> re.Pattern[bytes]:
    """What the header Host may be: one of these names with any port; `*` is any name."""
    known = "|".join(re.escape(f"[{name}]" if ":" in name and name[0] != "[" else name) for name in names)
    return re.compile(b"" if "*" in names else rf"(?i)({known})(:\d{{1,5}})?\Z".encode())


LOOPBACK = host_check(["127.0.0.1", "localhost", "::1"])


class Edge:
    """Wraps the application. State that handlers leave in scope["state"] (snapshot) is told in headers and the log."""

    def __init__(self, app: ASGIApp, hosts: re.Pattern[bytes] = LOOPBACK) -> None:
        self.app = app
        self._hosts = hosts

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
        answer = _Answer(scope, send, request_id, headers.get(b"if-none-match", b""))
        if self._hosts.match(headers.get(b"host", b"")):
            await self.app(scope, receive, answer.send)
        else:  # a page elsewhere that had its name resolve to this machine
            await _refuse_host(answer.send, request_id)
        _log(scope, answer.status, (time.perf_counter() - began) * 1000)


class _Answer:
    """Adds headers to an answer and turns it into a 304 where the client has it already."""

    def __init__(self, scope: HTTPScope, send: Send, request_id: str, if_none_match: bytes) -> None:
        self._scope, self._send, self._request_id, self._known = scope, send, request_id, if_none_match
        self.status = 500
        self._is_known = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], (b"x-request-id", self._request_id.encode())]
            headers.append((b"x-content-type-options", b"nosniff"))
            snapshot = self._scope.get("state", {}).get("snapshot")
            if snapshot is not None and self.status == 200 and self._scope["method"] in ("GET", "HEAD"):
                tag = _etag(self._scope, snapshot.id, dict(headers).get(b"content-type", b""), stale=snapshot.stale)
                headers += [(b"etag", tag), (b"cache-control", b"max-age=60")]
                if tag in [each.strip() for each in self._known.split(b",")] or self._known.strip() == b"*":
                    self._is_known, self.status = True, 304
                    headers = [each for each in headers if each[0] not in (b"content-length", b"content-type")]
            message = {**message, "status": self.status, "headers": headers}
        elif message["type"] == "http.response.body" and self._is_known:
            message = {**message, "body": b""}
        await self._send(message)


def _etag(scope: HTTPScope, snapshot_id: str, media_type: bytes, *, stale: bool) -> bytes:
    """Strong: the body is a function of the snapshot, whether it is stale, the path, the query and the media type."""
    query = urlencode(sorted(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)))
    said = f"{snapshot_id} {stale} {scope['path']} {query} {media_type.decode('latin-1')}"
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'.encode()


async def _refuse_host(send: Send, request_id: str) -> None:
    said = "This server does not answer to that name: address it as 127.0.0.1 or localhost, or as DEMANDGRAPH_ALLOWED_HOSTS says."
    await refuse(send, Forbidden(said), request_id)


def _log(scope: HTTPScope, status: int, milliseconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    state = scope.get("state", {})
    snapshot = state.get("snapshot")
    line = {
        "request_id": state.get("request_id"),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(milliseconds, 2),
        "snapshot_id": snapshot.id if snapshot else None,
        "dataset_id": snapshot.manifest.dataset_id if snapshot else None,
        "model_version": state.get("model_version"),
    }
    access.info(json.dumps(line))
