"""Sentences that answer a question, taken as they stand from the passages that a search found. Nothing is written anew."""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from assets_config.contract.ranking import FILLERS
from serving.knowledge import Hit, Knowledge
from serving.stems import stems

SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[\"'(`*\[]*[A-Z0-9])")
BLANK_LINE = re.compile(r"\n\s*\n")
LIST_MARK = re.compile(r"^\s*([-*+]|\d+[.)])\s+", re.MULTILINE)
FENCE = re.compile(r"^\s*(?:```|~~~).*?$(.*?)^\s*(?:```|~~~)\s*$", re.MULTILINE | re.DOTALL)
TABLE_RULE = re.compile(r"^[\s|:-]+$")
LEAST = 0.3
"""How much of a question, by the weight of its words, a sentence must have for it to be said."""
MOST_SENTENCES_OF_A_PASSAGE = 40
CODE = 0.5
"""What a line of code counts: an example often has the words of a question, and says less than the sentence before it."""
LATER = 0.08
"""How much less a sentence counts for each place further back that its passage was found."""


class Extract(Struct, frozen=True):
    """A sentence with where it stands and how well it fits, 0 to 1."""

    text: str
    hit: Hit
    score: float


def extracts(base: Knowledge, question: str, hits: Sequence[Hit], most: int) -> list[Extract]:
    """The sentences that have most of a question, best first, each once; none where no sentence has enough of it."""
    likeness, asked = _likeness(base, question), " ".join(question.lower().split())
    found: dict[str, Extract] = {}
    for place, hit in enumerate(hits):
        above = " ".join(hit.source.title.split())
        prose = hit.chunk.text if hit.chunk.anchor is None else hit.chunk.text.partition("\n\n")[0]  # not its parameters
        code = {line.strip() for fenced in FENCE.findall(prose) for line in fenced.splitlines()}
        for text in list(sentences(prose))[:MOST_SENTENCES_OF_A_PASSAGE]:
            score = likeness(text, f"{above} {hit.chunk.heading_path}") / (1 + LATER * place) * (CODE if text in code else 1.0)
            asks = len(asked.split()) > 3 and asked in text.lower()  # it has the question, not the answer
            if score >= LEAST and not asks and (text not in found or score > found[text].score):
                found[text] = Extract(text, hit, score)
    return sorted(found.values(), key=lambda each: (-each.score, each.hit.chunk.position, each.text))[:most]


def sentences(passage: str) -> Iterator[str]:
    """The sentences of a passage; each entry of a list, row of a table and line of code counts as one at least."""
    for block in BLANK_LINE.split(passage):
        lines = block.strip("\n").split("\n")
        if lines[0].lstrip().startswith(("```", "~~~")) or lines[-1].lstrip().startswith(("```", "~~~")):
            yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("```", "~~~")))
        elif lines[0].lstrip().startswith("|"):
            yield from (line.strip().strip("|").strip() for line in lines if not TABLE_RULE.match(line))
        else:
            for entry in LIST_MARK.sub("\0", block).split("\0"):
                for each in re.split(r"\0|\n\n", entry):
                    yield from (said for said in SENTENCE_END.split(" ".join(each.split())) if said)


def _likeness(base: Knowledge, question: str) -> Callable[[str, str], float]:
    """How well a sentence fits a question, 0 to 1: the share of its words, by how rare they are, and its
    meaning, where it is encoded.

    Words of the headings count half: a sentence need not say again what it stands under.
    """
    weights = {word: base.rarity(word) for word in stems(question, without=FILLERS)}
    whole = sum(weights.values()) or 1.0
    meant = base.encode(question)

    def likeness(text: str, headings: str) -> float:
        said, above = stems(text), stems(headings)
        share = sum(weight * (1.0 if word in said else 0.5 if word in above else 0.0) for word, weight in weights.items()) / whole
        if not said & weights.keys():
            share /= 2
        vector = None if meant is None else base.encode(text)
        return share if meant is None or vector is None else (share + max(float(np.einsum("i,i->", meant, vector)), 0.0)) / 2

    return likeness
