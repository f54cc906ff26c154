"""Markdown -> passages: along its headings, a fence of code in one piece."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import Struct

from pipelines.knowledge.passages import MOST_OF_A_FENCE, TARGET, Passage, Piece, cut, packed

FRONT_MATTER = re.compile(r"\A---\n.*?\n(---|\.\.\.)\n", re.DOTALL)
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
LINE_END = re.compile(r"\r\n?")
FENCES = ("fence", "code_block")


class Section(Struct, frozen=True):
    """A heading with what stands below it, up to the next one; what stands before the first has level 0."""

    level: int
    heading: Piece
    blocks: list[Piece]


def title_of(text: str) -> str | None:
    """The first heading; None where there is none."""
    return next((each.heading.text for each in sections(text) if each.heading.text), None)


def passages(text: str) -> list[Passage]:
    """A document cut along its headings into passages of about TARGET pieces.

    Front matter and comments are left out. Lists, tables and paragraphs that are longer than a passage are cut at their
    lines and sentences. A heading without text of its own stands above those below it; it is a passage where there are none.
    """
    found: list[Passage] = []
    path: list[Section] = []
    listed = sections(text)
    for each, following in zip(listed, [*listed[1:], None], strict=False):
        path = [above for above in path if above.level < each.level] + ([each] if each.level else [])
        headings = tuple(above.heading.text for above in path)
        found += [Passage(headings, part.text, part.first_line, part.last_line) for part in packed(each.blocks)]
        if each.level and not each.blocks and (following is None or following.level <= each.level):
            found.append(Passage(headings[:-1], each.heading.text, each.heading.first_line, each.heading.last_line))
    return found


def sections(text: str) -> list[Section]:
    """The sections of a document, in order."""
    found = [Section(0, Piece("", 1, 1), [])]
    text = LINE_END.sub("\n", text)
    lines, tokens = text.split("\n"), _tokens(text)
    for token, inline in zip(tokens, [*tokens[1:], None], strict=False):
        if token.level or token.map is None:
            continue
        first, last = token.map
        if token.type == "heading_open":
            found.append(Section(int(token.tag[1:]), Piece(_plain(inline), first + 1, last), []))
        elif token.type != "hr" and not (token.type == "html_block" and token.content.lstrip().startswith("<!--")):
            found[-1].blocks.extend(_parts(lines, first, last, most=MOST_OF_A_FENCE if token.type in FENCES else TARGET))
    return found if found[0].blocks else found[1:]


def _parts(lines: list[str], first: int, last: int, *, most: int) -> Iterator[Piece]:
    while last > first and not lines[last - 1].strip():
        last -= 1
    if last > first:
        yield from (part for part in cut(Piece("\n".join(lines[first:last]), first + 1, last), most=most) if part.text.strip())


def _tokens(text: str) -> list[Token]:
    """The blocks of a document. Its front matter is blanked, so that lines keep their numbers."""
    front = FRONT_MATTER.match(text)
    if front:
        text = "\n" * front.group().count("\n") + text[front.end() :]
    return PARSER.parse(text)


def _plain(inline: Token | None) -> str:
    """A heading without its marks, on one line."""
    texts = [child.content if child.content else " " for child in (inline and inline.children) or []]
    return " ".join("".join(texts).split()) or "(untitled)"
