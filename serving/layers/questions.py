"""What a read asks, in the form in which equal questions are equal."""

from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote_plus

from litestar.types import HTTPScope
from msgspec import Struct

from serving.parameters import Query, pairs_of

LONGEST_QUERY = 2048  # bytes; what is longer is answered, but not kept
LONGEST_ACCEPT = 256
AS_IT_IS = "!$'()*,-./:;<>?@[]^_`{|}~\"\\"
"""What stands for itself in a query, beside letters and digits."""


class Key(Struct, frozen=True, gc=False, cache_hash=True):
    """What was asked, and by which role. Nothing in it is for the garbage collector to look at, as in layers/answers.py."""

    path: str
    query: bytes  # the parameters by name, each written in one way
    accept: bytes
    role: str

    @property
    def parameters(self) -> Query:
        return pairs_of(self.query) or ()

    @property
    def pin(self) -> str | None:
        """The snapshot that is named, None where none is."""
        return (dict(self.parameters).get("snapshot") or None) if b"snapshot=" in self.query else None

    def __bytes__(self) -> bytes:
        return b"\n".join([self.path.encode(), self.query, self.accept, self.role.encode()])


def key_of(scope: HTTPScope) -> Key | None:
    """What a request asks; None for one that is too long to keep, that names two snapshots, or that is no text.

    Of a header that is sent twice every value counts: who reads another one of them must not get this one's answer.
    """
    query = scope["query_string"]
    accept = b",".join([value for name, value in scope["headers"] if name == b"accept"])
    if len(query) > LONGEST_QUERY or len(accept) > LONGEST_ACCEPT:
        return None
    canonical = _canonical(query.decode("latin-1"))
    if canonical is None:
        return None
    return Key(scope["path"], canonical, accept or b"*/*", str(scope["state"].get("role", "")))


@lru_cache(maxsize=4096)
def _canonical(query: str) -> bytes | None:
    """The parameters by name; several of one name stay in their order, which answers repeat.

    `query` is bytes as latin-1: what is kept by a word is kept without a tuple.

    >>> _canonical("b=2&a=%31&b=1&c")
    b'a=1&b=2&b=1&c='
    """
    parts = [each for each in query.split("&") if each]
    names = [name for name, equals, _ in [each.partition("=") for each in parts] if equals]
    if len(names) < len(parts) or "%" in query or "+" in query or not query.isascii():
        pairs = pairs_of(query.encode("latin-1"))
        if pairs is None:
            return None
        names = [quote_plus(name, AS_IT_IS) for name, _ in pairs]
        values = [quote_plus(value, AS_IT_IS + "=") for _, value in pairs]
        parts = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
    if names.count("snapshot") > 1:
        return None
    return "&".join([part for _, part in sorted(zip(names, parts, strict=True), key=itemgetter(0))]).encode()
