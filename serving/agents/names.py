"""What a message names of the snapshot: stores, products and what they belong to, and names that nothing has."""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from serving.agents.vocabulary import COMMON, TIMES
from serving.snapshot import Snapshot

AXES = ("store", "product", "category", "region", "department", "cluster")
"""Where one name is of several, the first of these is meant, unless the message says which."""
PARAMETERS = {"store": "store_id", "product": "product_id"}
"""What the API calls a filter on an axis, where that is not the axis's own name."""
SIDE = {"store": "store", "region": "store", "cluster": "store"}
WORDS = {
    "store": r"stores?|shops?|branch(?:es)?|outlets?",
    "product": r"products?|items?|skus?|articles?",
    "category": r"categor(?:y|ies)",
    "region": r"regions?|states?",
    "department": r"departments?",
    "cluster": r"clusters?",
}
"""How an axis is called. Patterns."""
AXIS_OF = {axis: re.compile(rf"(?:{words})$", re.IGNORECASE) for axis, words in WORDS.items()}
TOKEN = re.compile(r"\w[\w&'./-]*")
LONGEST = 6  # words of a name
CODE = re.compile(r"(?=\w*[A-Za-z])(?=[\w-]*\d)[A-Za-z][\w-]{2,40}$", re.ASCII)
NO_CODE = re.compile(
    r"(?:[hqpw]\d{1,3}|q[1-4]-?\d{2,4}|\d+(?:st|nd|rd|th)|abc|xyz|\w*_\d\w*|[a-f]*\d[0-9a-f]{10,})$", re.IGNORECASE
)
"""What has the form of a code and is none of a store or product: a quarter, a horizon, a bucket, an id."""


class Thing(Struct, frozen=True):
    """Something of the snapshot that a message names."""

    axis: str
    value: str  # as the API takes it: a code, a SKU, a name
    start: int
    end: int


class Unknown(Struct, frozen=True):
    """What is told as a name, and is none."""

    axis: str  # empty where it has the form of a code
    text: str
    start: int
    end: int


class Names:
    """All names of a snapshot, made once for each."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._meant: dict[str, dict[str, str]] = {}
        for axis, value, names in _named(snapshot):
            for name in names:
                self._meant.setdefault(_plain(name), {}).setdefault(axis, value)
        self._numbers = {
            "store": {str(each.store_id) for each in snapshot.stores},
            "product": {str(each.product_id) for each in snapshot.products},
        }

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Names":
        found: Names | None = snapshot.memo.get("names")
        if found is None:
            found = snapshot.memo["names"] = cls(snapshot)
        return found

    def find(self, text: str) -> tuple[list[Thing], list[Unknown]]:
        """What a text names, in its order: the longest name first, no two that overlap."""
        tokens = [*_tokens(text)]
        things: list[Thing] = []
        unknown: list[Unknown] = []
        n = 0
        while n < len(tokens):
            found = self._longest(text, tokens, n)
            if found is not None:
                thing, n = found
                things.append(thing)
                continue
            lost = self._unknown(text, tokens, n)
            if lost is not None:
                unknown.append(lost)
            n += 1
        return things, unknown

    def _longest(self, text: str, tokens: list[tuple[int, int]], n: int) -> tuple[Thing, int] | None:
        said = _axis_before(text, tokens, n)
        for count in range(min(LONGEST, len(tokens) - n), 0, -1):
            start, end = tokens[n][0], tokens[n + count - 1][1]
            name = _plain(text[start:end])
            meant = self._meant.get(name) or (self._meant.get(name.removesuffix("s")) if count == 1 else None)
            if count == 1 and said in self._numbers and name in self._numbers[said]:
                return Thing(said, name, start, end), n + 1
            if not meant or (count == 1 and said not in meant and self._is_word(text, name, start)):
                continue
            after = _axis_at(text, tokens, n + count)
            axis = next(each for each in (said, after, *AXES) if each in meant)
            return Thing(axis, meant[axis], start, end), n + count
        return None

    @staticmethod
    def _is_word(text: str, name: str, start: int) -> bool:
        """Whether a word is none of a name here: a number, or a common word that is not written as a name."""
        return name.isdecimal() or (name in COMMON and not (start > 0 and text[start].isupper()))

    def _unknown(self, text: str, tokens: list[tuple[int, int]], n: int) -> Unknown | None:
        start, end = tokens[n]
        word, said = text[start:end], _axis_before(text, tokens, n)
        is_told = said and (word[0].isupper() or word.isdecimal() or text[start - 1 : start] in "\"'")
        if is_told and word.lower() not in COMMON and not _axis_at(text, tokens, n):
            return Unknown(said, word, start, end)
        if CODE.match(word) and not NO_CODE.match(word):
            return Unknown("", word, start, end)
        is_object = n > 0 and text[slice(*tokens[n - 1])].lower() in ("in", "of", "for", "at")
        if is_object and word.istitle() and len(word) > 2 and word.lower() not in COMMON | TIMES:
            return Unknown("", word, start, end)
        return None


def _named(snapshot: Snapshot) -> Iterator[tuple[str, str, Iterable[str]]]:
    for store in snapshot.stores:
        yield "store", store.code, filter(None, (store.code, store.name))
    for product in snapshot.products:
        yield "product", product.sku, filter(None, (product.sku, product.name))
    for axis in AXES[2:]:
        for name in sorted(snapshot.members[axis]):
            yield axis, name, (name,)


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    for match in TOKEN.finditer(text):
        word = re.sub(r"(?:'s|[.'/&-]+)$", "", match.group())
        yield match.start(), match.start() + len(word)


def _axis_before(text: str, tokens: list[tuple[int, int]], n: int) -> str:
    """The axis that the word before says, such as store in: store S001."""
    return _axis_at(text, tokens, n - 1) if n else ""


def _axis_at(text: str, tokens: list[tuple[int, int]], n: int) -> str:
    if not 0 <= n < len(tokens):
        return ""
    start, end = tokens[n]
    return next((axis for axis, pattern in AXIS_OF.items() if pattern.match(text[start:end])), "")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
