"""What browsers are told: which other pages may call the API (CORS), and what a page of ours may do. Outermost, plain ASGI.

Credentials are never allowed across origins: a key travels in a header that the page sets, and there are no cookies.
"""

from collections.abc import Iterable, Sequence

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Forbidden, refuse

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
SENT = b"Authorization, X-API-Key, Content-Type, Idempotency-Key, If-None-Match, X-Request-ID, Last-Event-ID"
READ = b"ETag, Location, Retry-After, X-Request-ID, WWW-Authenticate"
KEPT = b"600"  # seconds that a browser remembers the answer to a preflight
NO_PAGE = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Browsers:
    """Adds the headers to every answer, those that a cache or a refusal gives included, and answers preflights."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str] = (), pages: dict[str, bytes] | None = None) -> None:
        """`origins` may call from a browser, `*` is any; `pages` are policies of paths that answer a page."""
        self.app = app
        self._is_any = "*" in origins
        self._origins = {origin.encode() for origin in origins}
        self._pages = pages or {}
        self._vary = [b"Authorization", b"X-API-Key"]  # no cache on the way hands an answer to another key
        if self._origins and not self._is_any:
            self._vary.append(b"Origin")
        self._common = [(b"referrer-policy", b"no-referrer")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        extra = [*self._common, (b"content-security-policy", self._pages.get(scope["path"], NO_PAGE))]
        origin, asked = _said(scope) if self._origins else (b"", False)
        is_allowed = self._is_any or origin in self._origins
        if origin and is_allowed:
            extra += [(b"access-control-allow-origin", b"*" if self._is_any else origin), (b"access-control-expose-headers", READ)]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*_varied(message["headers"], self._vary), *extra]}
            await send(message)

        if not (origin and asked and scope["method"] == "OPTIONS"):
            await self.app(scope, receive, told)
        elif is_allowed:
            extra += [(b"access-control-allow-methods", METHODS), (b"access-control-allow-headers", SENT)]
            extra.append((b"access-control-max-age", KEPT))
            await told({"type": "http.response.start", "status": 204, "headers": []})
            await told({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            said = "Pages of this origin may not call the API: DEMANDGRAPH_CORS_ORIGINS lists those that may."
            await refuse(told, Forbidden(said), "")


def _varied(headers: Iterable[tuple[bytes, bytes]], more: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers with one that says all that the answer varies by."""
    others, named = [], []
    for name, value in headers:
        if name.lower() == b"vary":
            named += [each.strip() for each in value.split(b",")]
        else:
            others.append((name, value))
    known = {each.lower() for each in named}
    return [*others, (b"vary", b", ".join([*named, *(each for each in more if each.lower() not in known)]))]


def _said(scope: Scope) -> tuple[bytes, bool]:
    """The origin of the page that asks, if one does, and whether it asks what it may send."""
    origin, asked = b"", False
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value
        elif name == b"access-control-request-method":
            asked = True
    return origin, asked
