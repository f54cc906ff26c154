"""What a read asks, in the form in which equal questions are equal."""

from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote_plus

from litestar.types import HTTPScope
from msgspec import Struct

from serving.parameters import pairs_of

LONGEST_QUERY = 2048  # bytes; what is longer is answered, but not kept
LONGEST_ACCEPT = 256
ANY = b"*/*"
NAME = itemgetter(0)
AS_IT_IS = "!$'()*,-./:;<>?@[]^_`{|}~\"\\"
"""What stands for itself in a query, beside letters and digits."""


class Key(Struct, frozen=True, gc=False, cache_hash=True):
    """What was asked, and by which role. Nothing in it is for the garbage collector to look at, as in layers/answers.py."""

    path: str
    query: str  # the parameters by name, each written in one way
    accept: bytes  # ANY where none is said
    role: str
    pin: str | None  # the snapshot that is named, None where none is

    def __bytes__(self) -> bytes:
        return b"\n".join([self.path.encode(), self.query.encode(), self.accept, self.role.encode()])


def key_of(scope: HTTPScope) -> Key | None:
    """What a request asks; None for one that is too long to keep, that names two snapshots, or that is no text.

    Of a header that is sent twice every value counts: who reads another one of them must not get this one's answer.
    """
    query = scope["query_string"]
    accept = b",".join([value for name, value in scope["headers"] if name == b"accept"])
    if len(query) > LONGEST_QUERY or len(accept) > LONGEST_ACCEPT:
        return None
    canonical = _canonical(query)
    if canonical is None:
        return None
    pin = None
    if "snapshot=" in canonical:
        pins = [value for name, value in pairs_of(canonical) if name == "snapshot"]
        if len(pins) > 1:
            return None
        pin = pins[0] or None if pins else None
    return Key(scope["path"], canonical, accept or ANY, str(scope["state"].get("role", "")), pin)


@lru_cache(maxsize=4096)
def _canonical(query: bytes) -> str | None:
    """The parameters by name; several of one name stay in their order, which answers repeat.

    >>> _canonical(b"b=2&a=%31&b=1&c")
    'a=1&b=2&b=1&c='
    """
    try:
        text = query.decode("ascii")
        pairs = pairs_of(text)
    except ValueError:
        return None
    if "%" in text or "+" in text:
        pairs = [(quote_plus(name, AS_IT_IS), quote_plus(value, AS_IT_IS + "=")) for name, value in pairs]
    return "&".join(map("=".join, sorted(pairs, key=NAME)))
