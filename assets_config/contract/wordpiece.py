"""Texts -> ids of word pieces, as the encoders of the BERT family read them; of the standard library alone.

Both sides use it: the pipeline to encode documents, the API to look up the pieces of a question.
"""

import unicodedata
from collections.abc import Iterator, Sequence

LONGEST_WORD = 100
CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """A vocabulary of pieces; one that goes on within a word begins with `##`."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.ids = {piece: n for n, piece in enumerate(vocabulary)}
        self.unknown = self.ids.get("[UNK]")
        self._kept: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of the pieces, without any that frame them; a word that no pieces make up is [UNK] where there is one."""
        found: list[int] = []
        for word in words(text):
            known = self._kept.get(word)
            if known is None:
                known = self._pieces(word)
                if len(self._kept) < 50_000:
                    self._kept[word] = known
            found += known
        return found

    def _pieces(self, word: str) -> list[int]:
        unknown = [] if self.unknown is None else [self.unknown]
        if len(word) > LONGEST_WORD:
            return unknown
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self.ids.get(("##" if start else "") + word[start:end])
                if number is not None:
                    break
            else:
                return unknown
            found.append(number)
            start = end
        return found


def words(text: str) -> Iterator[str]:
    """The words and marks of a text, in lower case and without accents.

    >>> list(words("Café, SKU-1"))
    ['cafe', ',', 'sku', '-', '1']
    """
    word = ""
    for letter in _plain(text):
        if letter.isspace() or _stands_alone(letter):
            if word:
                yield word
                word = ""
            if not letter.isspace():
                yield letter
        else:
            word += letter
    if word:
        yield word


def _plain(text: str) -> str:
    kept = []
    for letter in text:
        category = unicodedata.category(letter)
        if letter in "\t\n\r" or category == "Zs":
            kept.append(" ")
        elif letter not in "\0�" and category[0] != "C":
            kept.append(letter)
    lowered = unicodedata.normalize("NFD", "".join(kept).lower())
    return "".join(letter for letter in lowered if unicodedata.category(letter) != "Mn")


def _stands_alone(letter: str) -> bool:
    number = ord(letter)
    if 33 <= number <= 47 or 58 <= number <= 64 or 91 <= number <= 96 or 123 <= number <= 126:
        return True
    return unicodedata.category(letter)[0] == "P" or (number >= 0x2E80 and any(low <= number <= high for low, high in CJK))
