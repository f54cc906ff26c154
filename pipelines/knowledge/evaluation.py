"""How well searching finds what it should, by questions that the corpus itself asks.

Headings: one says in few words what its section is about, so that a search for it should find the section. It is first taken out of
the headings of that section and of those below it. Links: a sentence that leads to another page should find that page; what stands
on its own page is no answer, what pages say of each other is not indexed, and the table for questions does not learn from it.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from msgspec import Struct

from assets_config.contract.knowledge import Evaluation, RagChunk, Scores
from assets_config.contract.ranking import DEPTH, merged
from pipelines.knowledge.documents import Document
from pipelines.knowledge.fulltext import search_fulltext, write_fulltext
from pipelines.knowledge.links import linking
from pipelines.knowledge.passages import Passage

FEWEST = 20
MOST = 300
LEAST_WORDS = 3
LEAST_WORDS_OF_A_LINK = 6


class Question(Struct, frozen=True):
    """A question and the chunks that answer it."""

    text: str
    answers: frozenset[int]  # positions
    excluded: frozenset[int] = frozenset()  # positions that may not answer, since the question stands in them


class Ranks(Struct, frozen=True):
    """The place of the first right chunk for each question, from 1; 0 where it is not among the first DEPTH."""

    keyword: list[int]
    semantic: list[int]
    hybrid: list[int]
    best_cosines: list[float]


def heading_questions(chunks: Sequence[RagChunk], *, most: int = MOST) -> list[tuple[str, tuple[str, ...], str]]:
    """Source, heading path and heading of sections whose heading has three words or more and occurs once.

    The same chunks give the same ones.
    """
    sections = {(each.source_id, tuple(json.loads(each.heading_path))) for each in chunks if each.operation_id is None}
    every = {(source, path[:depth]) for source, path in sections for depth in range(1, len(path) + 1)}
    counts = Counter(path[-1].lower() for _, path in every)
    asked = [
        (source, path, path[-1])
        for source, path in sections
        if len(path) > 1 and len(path[-1].split()) >= LEAST_WORDS and counts[path[-1].lower()] == 1
    ]
    asked.sort(key=lambda each: hashlib.sha256("\n".join([each[0], *each[1]]).encode()).hexdigest())
    return asked[:most]


def withheld(chunks: Sequence[RagChunk], asked: Iterable[tuple[str, tuple[str, ...], str]]) -> tuple[list[str], list[Question]]:
    """What is searched of each chunk, without the headings that are asked for; and the questions."""
    hidden = {(source, path) for source, path, _ in asked}
    answers: dict[tuple[str, tuple[str, ...]], set[int]] = {each: set() for each in hidden}
    texts = []
    for n, each in enumerate(chunks):
        path, shown = tuple(json.loads(each.heading_path)), []
        for depth in range(1, len(path) + 1):
            if (each.source_id, path[:depth]) in hidden:
                answers[each.source_id, path[:depth]].add(n)
            else:
                shown.append(path[depth - 1])
        texts.append(Passage(tuple(shown), each.text, each.first_line, each.last_line).searched)
    return texts, [Question(path[-1], frozenset(found)) for (_, path), found in sorted(answers.items()) if found]


def link_questions(documents: Sequence[Document], chunks: Sequence[RagChunk], *, most: int = MOST) -> list[Question]:
    """Sentences of six words or more that link to another page; the same documents give the same ones."""
    places: dict[str, set[int]] = {}
    for n, each in enumerate(chunks):
        places.setdefault(each.source_id, set()).add(n)
    known = {(page.origin, page.path): page.source_id for page in documents if page.source_id in places}
    asked: dict[str, tuple[str, str]] = {}
    for page in documents:
        for target, sentence in linking(page.path, page.content) if page.kind == "markdown" else ():
            if (page.origin, target) in known and len(sentence.split()) >= LEAST_WORDS_OF_A_LINK:
                asked.setdefault(sentence, (page.source_id, known[page.origin, target]))
    kept = sorted(asked.items())
    return [
        Question(text, frozenset(places[target]), frozenset(places.get(source, ())))
        for text, (source, target) in kept[:: max(len(kept) // most, 1)][:most]
    ]


def ranks(
    texts: Sequence[str], questions: Sequence[Question], *, vectors: np.ndarray | None, encoded: np.ndarray | None, scratch: Path
) -> Ranks:
    """Where each question finds its answer, by words, by meaning (of `encoded`, the questions' vectors) and by both."""
    found = Ranks([], [], [], [])
    with TemporaryDirectory(dir=scratch, prefix=".evaluation-") as folder:
        write_fulltext(Path(folder), texts)
        for n, question in enumerate(questions):
            depth = DEPTH + len(question.excluded)
            legs = [_placed((position for position, _ in search_fulltext(Path(folder), question.text, depth)), question)]
            if vectors is not None and encoded is not None:
                cosines = vectors @ encoded[n]
                cosines[list(question.excluded)] = -2
                order = np.lexsort((np.arange(len(cosines)), -cosines))[:DEPTH]
                legs.append(_placed(order.tolist(), question))
                found.best_cosines.append(float(cosines[order[0]]))
                found.semantic.append(_first(legs[1], question))
                found.hybrid.append(_first({place: rank for rank, (place, _) in enumerate(merged(legs), 1)}, question))
            found.keyword.append(_first(legs[0], question))
    return found


def scores(places: Sequence[int]) -> Scores:
    """nDCG@10 and the share of hits among the first five, by the place of the right section for each question; 0: not found."""
    return Scores(round(float(gains(places).mean()), 4), round(sum(0 < place <= 5 for place in places) / len(places), 4))


def gains(places: Sequence[int]) -> np.ndarray:
    """nDCG@10 of each question: 1 / log2(1 + place), and 0 past the tenth; one section is right, so that the ideal is 1."""
    return np.array([1 / math.log2(1 + place) if 0 < place <= 10 else 0.0 for place in places])


def verdict(found: Ranks) -> Evaluation:
    """What to publish. Searching by both is published where it is at least as good as by words, over enough questions."""
    count = len(found.keyword)
    keyword = scores(found.keyword) if count else Scores(0.0, 0.0)
    hybrid = scores(found.hybrid) if found.hybrid else None
    if count < FEWEST:
        return Evaluation(count, keyword, hybrid, f"too few questions to tell: {count}, and {FEWEST} are needed")
    if hybrid is None:
        return Evaluation(count, keyword, None, "no vectors")
    better = "hybrid is at least as good as keyword" if hybrid.ndcg_10 >= keyword.ndcg_10 else "keyword is better than hybrid"
    return Evaluation(count, keyword, hybrid, f"{better}: nDCG@10 {hybrid.ndcg_10:.3f} and {keyword.ndcg_10:.3f}")


def allows_hybrid(evaluation: Evaluation) -> bool:
    """Whether searching by meaning too is no worse than by words alone, on enough questions to say so."""
    return (
        evaluation.hybrid is not None and evaluation.questions >= FEWEST and evaluation.hybrid.ndcg_10 >= evaluation.keyword.ndcg_10
    )


def _placed(positions: Iterable[int], question: Question) -> dict[int, int]:
    allowed = [position for position in positions if position not in question.excluded][:DEPTH]
    return {position: rank for rank, position in enumerate(allowed, 1)}


def _first(leg: Mapping[int, int], question: Question) -> int:
    return min((leg[position] for position in question.answers if position in leg), default=0)
