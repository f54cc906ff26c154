"""How documents are cut: along headings, without loss, and never too long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.knowledge.markdown import passages, title_of
from pipelines.knowledge.passages import MOST_CHARACTERS, MOST_OF_A_FENCE, TARGET, pieces

PAGE = """---
title: left out
---
Before.

# Stores

<!-- a note to ourselves -->
What a store is.

## Their `codes`

```sh
# not a heading
list stores
```

## Empty

### Inner

Text.
"""


def test_a_page_is_cut_along_its_headings() -> None:
    assert [(each.headings, each.text, each.first_line, each.last_line) for each in passages(PAGE)] == [
        ((), "Before.", 4, 4),
        (("Stores",), "What a store is.", 9, 9),
        (("Stores", "Their codes"), "```sh\n# not a heading\nlist stores\n```", 13, 16),
        (("Stores", "Empty", "Inner"), "Text.", 22, 22),
    ]
    assert title_of(PAGE) == "Stores"


def test_a_heading_with_nothing_below_it_is_found_all_the_same() -> None:
    assert [(each.headings, each.text) for each in passages("# A\n\n## Last words\n")] == [(("A",), "Last words")]


def test_a_fence_stays_in_one_piece() -> None:
    fence = "```\n" + "\n".join(f"run step {n} of many" for n in range(150)) + "\n```"

    [passage] = passages(f"# Steps\n\n{fence}")

    assert passage.text == fence
    assert pieces(fence) > TARGET


@pytest.mark.parametrize(
    "text", ["x" * 30_000, "word " * 5_000, "A sentence of some words. " * 1_000, "- an entry of a list\n" * 1_000]
)
def test_no_passage_is_too_long(text: str) -> None:
    found = passages(f"# A\n\n{text}\n\n```\n{text}\n```")

    assert all(len(each.text) <= MOST_CHARACTERS for each in found)
    assert all(pieces(each.text) <= MOST_OF_A_FENCE for each in found)
    said, given = ("".join("".join(each).split()) for each in ([each.text for each in found], [text, "``````", text]))
    assert said == given or said.replace("```", "") == given.replace("```", "")


LINES = st.sampled_from(
    ["# One", "## Two", "### Three two", "", "", "plain words here", "- an entry", "  more of it", "| a | b |", "| --- | --- |",
     "| 1 | 2 |", "```", "    code", "> said", "1. first", "Setext\n======", "***", "<div>", "[link](a.md) text", "é", "\t tab"]
)  # fmt: skip


@given(st.lists(LINES, max_size=30))
def test_nothing_is_lost_and_lines_are_those_of_the_document(chosen: list[str]) -> None:
    text = "\n".join(chosen)
    lines = text.split("\n")

    found = passages(text)

    said = " ".join([*(each.text for each in found), *(heading for each in found for heading in each.headings)])
    for word in set(re.findall(r"\b(?:plain|entry|more|code|said|first|Setext|link|tab|Three)\b", text)):
        assert word in said, f"{word} of {text!r} is lost"
    for each in found:
        assert 1 <= each.first_line <= each.last_line <= len(lines)
        first = each.text.split("\n")[0].strip()
        assert first in " ".join(lines[each.first_line - 1].split()) or first in lines[each.first_line - 1] or "Setext" in first


def test_lines_are_told_apart_however_they_end() -> None:
    assert passages("# A\r\rone\r\n\r\n## B\rtwo\n") == passages("# A\n\none\n\n## B\ntwo\n")


@given(st.text(max_size=400))
def test_any_text_is_cut(text: str) -> None:
    assert all(each.text.strip() for each in passages(text))
