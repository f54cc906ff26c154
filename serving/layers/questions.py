"""What a read asks, in the form in which equal questions are equal."""

from functools import lru_cache
from operator import itemgetter

from litestar.types import HTTPScope
from msgspec import Struct

from serving.parameters import Query, pairs_of

LONGEST_QUERY = 2048  # bytes; what is longer is answered, but not kept
LONGEST_ACCEPT = 256


class Key(Struct, frozen=True, gc=False, cache_hash=True):
    """What was asked, and by which role."""

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


def key_of(scope: HTTPScope) -> Key | None:
    """What a request asks; None for one that is too long to keep, that names two snapshots, or that is no text.

    Of a header that is sent twice every value counts: who reads another one of them must not get this one's answer.
    """
    query = scope["query_string"]
    accept = b",".join([value for name, value in scope["headers"] if name == b"accept"])
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
