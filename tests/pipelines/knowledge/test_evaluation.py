"""What the evaluation asks, what it must not see, and what it lets be published."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assets_config.contract.ranking import CONSTANT, merged
from pipelines.knowledge.chunks import chunks
from pipelines.knowledge.documents import changed
from pipelines.knowledge.evaluation import (
    FEWEST,
    Question,
    Ranks,
    allows_hybrid,
    gains,
    heading_questions,
    link_questions,
    ranks,
    verdict,
    withheld,
)
from pipelines.knowledge.links import indexed, linking, told_of
from pipelines.knowledge.query_table import fitted, sentences, vocabulary_of
from tests.knowledge import AT, JOB, found

PAGES = {
    "a.md": """# Stores

Words.

## How stores are opened

A key turns.

### On cold days

Warm it.

## Short

Text.

## Twice the same one

x
""",
    "b.md": """# Stock

## What a count says

Three. See [stores](a.md) where keys turn.

## Twice the same one

y
""",
}


def test_headings_are_asked_for_and_withheld_from_what_lies_below_them() -> None:
    cut = chunks(changed([], found(PAGES), at=AT, by=JOB))

    asked = heading_questions(cut)
    texts, questions = withheld(cut, asked)

    assert sorted(heading for *_, heading in asked) == ["How stores are opened", "On cold days", "What a count says"]
    assert heading_questions(cut) == asked
    by_text = {each.text: each.answers for each in questions}
    for text, answers in by_text.items():
        assert all(text not in texts[n] for n in answers)
    assert {cut[n].text for n in by_text["How stores are opened"]} == {"A key turns.", "Warm it."}
    assert texts[[each.text for each in cut].index("Warm it.")] == "Stores\nWarm it."


def test_a_sentence_that_links_asks_for_its_page() -> None:
    documents = changed(
        [], found({**PAGES, "c.md": "Short [stores](a.md). More of this is said where [stock](b.md) is told of."}), at=AT, by=JOB
    )
    cut = chunks(documents)

    [question] = link_questions(documents, cut)

    assert question.text == "More of this is said where stock is told of."
    paths = {each.source_id: each.path for each in documents}
    assert {paths[cut[n].source_id] for n in question.answers} == {"b.md"}
    assert {paths[cut[n].source_id] for n in question.excluded} == {"c.md"}


def test_gains_are_those_of_the_formula() -> None:
    assert gains([1, 2, 3, 10, 11, 0]).tolist() == pytest.approx([1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0, 0])


def test_ways_are_merged_by_rank_and_ties_by_place() -> None:
    found = merged([{5: 1, 9: 2, 1: 3}, {9: 1, 7: 2}])

    assert [position for position, _ in found] == [9, 5, 7, 1]
    assert dict(found)[9] == pytest.approx(1 / (CONSTANT + 2) + 1 / (CONSTANT + 1))
    assert [position for position, _ in merged([{4: 1}, {2: 1}])] == [2, 4]


def test_places_are_those_of_the_first_right_chunk(tmp_path: Path) -> None:
    texts = ["red apples", "green pears", "red pears", "blue plums"]
    asked = [
        Question("red apples", frozenset({0})),
        Question("pears", frozenset({2}), frozenset({1})),
        Question("kiwi", frozenset({3})),
    ]
    vectors = np.eye(4, dtype=np.float32)

    places = ranks(texts, asked, vectors=vectors, encoded=vectors[[2, 1, 3]], scratch=tmp_path)

    assert places.keyword == [1, 1, 0]
    assert places.semantic == [2, 2, 1]  # ties in the order of the index
    assert places.hybrid == [1, 1, 1]
    assert places.best_cosines == [1.0, 0.0, 1.0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("keyword", "hybrid", "allowed"),
    [
        ([1] * FEWEST, [1] * FEWEST, True),
        ([2] * FEWEST, [1] * FEWEST, True),
        ([1] * FEWEST, [2] * FEWEST, False),
        ([2] * 3, [1] * 3, False),
    ],
)
def test_both_ways_are_published_only_where_they_are_as_good(keyword: list[int], hybrid: list[int], allowed: bool) -> None:
    assert allows_hybrid(verdict(Ranks(keyword, [], hybrid, []))) is allowed


class Sums:
    """An encoder that a table can be: the sum of a fixed vector for each word."""

    identity, dimensions, vocabulary, words = "sums", 8, None, None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array(
            [sum(np.random.default_rng(abs(hash(word)) % 2**32).normal(size=8) for word in text.split()) for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_table_learns_what_a_table_can_say() -> None:
    rng = np.random.default_rng(1)
    known = [f"w{n}" for n in range(60)]
    texts = [" ".join(rng.choice(known, 6, replace=False)) for _ in range(600)]
    encodes = Sums()

    table = fitted(encodes, texts, encodes.encode(texts), chunks=len(texts))
    unseen = [" ".join(rng.choice(known, 3, replace=False)) for _ in range(50)]

    likeness = (table.encode(unseen) * encodes.encode(unseen)).sum(1)
    assert likeness.min() > 0.9
    assert table.rows.dtype == np.int8
    assert not table.encode(["漢字"]).any()


def test_words_that_are_not_in_the_vocabulary_are_spelled() -> None:
    assert {"[UNK]", "stores", "s", "##s"} <= set(vocabulary_of(["stores"]))


def test_sentences_are_prose_and_each_once() -> None:
    text = "```\ncode that is long enough to count\n```\n\nA sentence that is long enough. Another one that is, too.\n\n| a | b |"

    assert sentences([text, text]) == ["A sentence that is long enough.", "Another one that is, too."]


def test_a_page_is_found_by_what_others_say_of_it() -> None:
    documents = changed([], found(PAGES), at=AT, by=JOB)
    cut = chunks(documents)

    texts = indexed(cut, told_of(documents))

    assert list(linking("b.md", PAGES["b.md"])) == [("a.md", "See stores where keys turn.")]
    first = next(n for n, each in enumerate(cut) if json.loads(each.heading_path) == ["Stores"])
    assert texts[first] == "Stores\nWords.\nSee stores where keys turn."
    assert sum("keys turn" in text for text in texts) == 2  # where it stands, and where it leads


@pytest.mark.parametrize("link", ["https://x.org/a.md", "#here", "mailto:a@b", "/a.md", "missing.md", ""])
def test_links_that_lead_out_of_the_corpus_tell_nothing(link: str) -> None:
    pages = {"a.md": "# A", "b.md": f"Some [words]({link}) here."}

    assert told_of(changed([], found(pages), at=AT, by=JOB)) == {}
