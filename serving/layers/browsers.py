"""What browsers are told: which other pages may call the API (CORS), and what a page of ours may do.

Credentials are never allowed across origins: a key travels in a header that the page sets, and there are no cookies.
"""

from collections.abc import Mapping, Sequence

from serving.problems import Forbidden

Headers = list[tuple[bytes, bytes]]
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
SENT = b"Authorization, X-API-Key, Content-Type, Idempotency-Key, If-None-Match, X-Request-ID, Last-Event-ID"
READ = b"ETag, Location, Retry-After, X-Request-ID, WWW-Authenticate"
KEPT = b"600"  # seconds that a browser remembers the answer to a preflight
VARY = b"Accept, Accept-Encoding, Authorization, X-API-Key"  # no cache on the way hands an answer to another key
DATA = "/api/"  # below it nothing is a page: a browser that shows it follows no link of it
NO_REFERRER = (b"referrer-policy", b"no-referrer")
NO_PAGE = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
ALLOWED: Headers = [
    (b"access-control-allow-methods", METHODS),
    (b"access-control-allow-headers", SENT),
    (b"access-control-max-age", KEPT),
]


class Browsers:
    """The headers of every answer, those that a cache or a refusal gives included, and the answers to preflights."""

    def __init__(self, *, origins: Sequence[str] = (), pages: Mapping[str, bytes] | None = None) -> None:
        """`origins` may call from a browser, `*` is any; `pages` are policies of paths that answer a page."""
        self._is_any = "*" in origins
        self._origins = {origin.encode() for origin in origins}
        vary = VARY + b", Origin" if self._origins and not self._is_any else VARY
        common = [(b"vary", vary), (b"x-content-type-options", b"nosniff")]
        self._data = [*common, (b"content-security-policy", NO_PAGE)]
        self._usual = [*self._data, NO_REFERRER]
        self._pages = {path: [*common, NO_REFERRER, (b"content-security-policy", policy)] for path, policy in (pages or {}).items()}

    def headers(self, path: str, origin: bytes | None) -> Headers:
        """What every answer of a path says, to a page of this origin where one asks."""
        said = self._data if path.startswith(DATA) else self._pages.get(path, self._usual)
        if origin and self._is_allowed(origin):
            return [
                *said,
                (b"access-control-allow-origin", b"*" if self._is_any else origin),
                (b"access-control-expose-headers", READ),
            ]
        return said

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | Forbidden | None:
        """What a page is told that asks, by OPTIONS, what it may send; None where none asks, or no page of another origin may."""
        origin = headers.get(b"origin")
        if not origin or not self._origins or b"access-control-request-method" not in headers:
            return None
        if self._is_allowed(origin):
            return ALLOWED
        return Forbidden("Pages of this origin may not call the API: DEMANDGRAPH_CORS_ORIGINS lists those that may.")

    def _is_allowed(self, origin: bytes) -> bool:
        return self._is_any or origin in self._origins
