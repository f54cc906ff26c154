"""Words without their endings, and how much each of them tells."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

WORD = re.compile(r"\w+")
ENDINGS = re.compile(r"(?<=\w{3})(ing|ed|es|s)$")


def stems(text: str, *, without: Collection[str] = ()) -> set[str]:
    """The words of a text, roughly without their endings.

    >>> sorted(stems("Keys revoked, a key"))
    ['a', 'key', 'revok']
    """
    return {ENDINGS.sub("", word) for word in WORD.findall(text.lower()) if word not in without}


def rarities(texts: Sequence[str]) -> dict[str, float]:
    """How much each stem tells: the more, the fewer texts have it."""
    counts = Counter(word for text in texts for word in stems(text))
    return {word: math.log(1 + len(texts) / count) for word, count in counts.items()}
