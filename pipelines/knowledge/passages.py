"""A passage of a document, and how a text that is too long for one is cut."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

CODE = "3"
"""Rises when the same document would be cut into other passages."""
TARGET = 220
"""Pieces of a passage: encoders of sentences read 256 and drop the rest without a word."""
MOST_OF_A_FENCE = 1_000
MOST_CHARACTERS = 4_000
WORD = re.compile(r"\w+|[^\w\s]")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(`*\[]*[A-Z0-9])")


class Passage(Struct, frozen=True):
    """Some lines of a document, with the headings above them."""

    headings: tuple[str, ...]
    text: str
    first_line: int  # from 1
    last_line: int
    operation_id: str | None = None
    anchor: str | None = None

    @property
    def searched(self) -> str:
        """What is searched and encoded: the headings count as much as the text."""
        return " > ".join(self.headings) + "\n" + self.text if self.headings else self.text


class Piece(Struct, frozen=True):
    """Consecutive lines that belong together: a paragraph, a list entry, a fence."""

    text: str
    first_line: int
    last_line: int

    @property
    def size(self) -> int:
        return pieces(self.text)


def pieces(text: str) -> int:
    """About how many word pieces an encoder would make of a text; needs no vocabulary, so that passages depend on none.

    >>> pieces("Sales of a store.")
    5
    """
    return sum(1 + (len(word) - 1) // 6 for word in WORD.findall(text))


def packed(parts: Sequence[Piece]) -> Iterator[Piece]:
    """Parts joined to passages of up to TARGET pieces; none of them is cut."""
    held: list[Piece] = []
    size = 0
    for part in parts:
        if held and size + part.size > TARGET:
            yield _joined(held)
            held, size = [], 0
        held.append(part)
        size += part.size
    if held:
        yield _joined(held)


def cut(part: Piece, *, most: int = TARGET) -> Iterator[Piece]:
    """A part in pieces of at most `most` and MOST_CHARACTERS: by lines, then by sentences, then by words, then anywhere."""
    if part.size <= most and len(part.text) <= MOST_CHARACTERS:
        yield part
        return
    lines = part.text.split("\n")
    if len(lines) > 1:
        found = [Piece(line, part.first_line + n, part.first_line + n) for n, line in enumerate(lines)]
        yield from _gathered([small for line in found for small in cut(line, most=most)], most)
        return
    for by in (SENTENCE_END, re.compile(r"\s+")):
        texts = by.split(part.text)
        if len(texts) > 1:
            found = [Piece(text, part.first_line, part.last_line) for text in texts if text]
            yield from _gathered([small for each in found for small in cut(each, most=most)], most, glue=" ")
            return
    step = min(MOST_CHARACTERS, most)  # one long word: no piece has less than a character
    for start in range(0, len(part.text), step):
        yield Piece(part.text[start : start + step], part.first_line, part.last_line)


def _gathered(parts: Sequence[Piece], most: int, glue: str = "\n") -> Iterator[Piece]:
    held: list[Piece] = []
    size = characters = 0
    for part in parts:
        if held and (size + part.size > most or characters + len(part.text) + 1 > MOST_CHARACTERS):
            yield _joined(held, glue)
            held, size, characters = [], 0, 0
        held.append(part)
        size += part.size
        characters += len(part.text) + 1
    if held:
        yield _joined(held, glue)


def _joined(parts: Sequence[Piece], glue: str = "\n\n") -> Piece:
    return Piece(glue.join(part.text for part in parts), parts[0].first_line, parts[-1].last_line)
