"""What documents say of each other: a sentence with a link tells what its target is about, in words of its own."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from markdown_it.token import Token

from assets_config.contract.knowledge import RagChunk
from pipelines.knowledge.chunks import searched
from pipelines.knowledge.documents import Document
from pipelines.knowledge.markdown import PARSER
from pipelines.knowledge.passages import SENTENCE_END

LINK = re.compile(r"\]\s*[(\[]")
MOST_OF_A_TARGET = 40
MOST_CHARACTERS = 300


def linking(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Path of the target and the sentence, without marks, of each link of a markdown document that leads to another one."""
    for token in PARSER.parse(text):
        if token.type == "inline" and token.children:
            yield from _of_block(path, token.children)


def _of_block(path: str, children: Sequence[Token]) -> Iterator[tuple[str, str]]:
    text, places = "", list[tuple[int, str]]()
    for child in children:
        href = str(child.attrGet("href") or "") if child.type == "link_open" else ""
        if href and "://" not in href and not href.startswith(("#", "/", "mailto:")):
            places.append((len(text), posixpath.normpath(posixpath.join(posixpath.dirname(path), href.partition("#")[0]))))
        text += child.content if child.type in ("text", "code_inline") else " " if child.type in ("softbreak", "hardbreak") else ""
    starts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    for first, last in pairwise(starts):
        sentence = text[first:last].strip()[:MOST_CHARACTERS]
        targets = dict.fromkeys(target for place, target in places if first <= place < last or (place == last == len(text)))
        yield from ((target, sentence) for target in targets if target != path and sentence)


def told_of(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The sentences that other documents of the same origin say of each, by source_id."""
    known = {(each.origin, each.path): each.source_id for each in documents if not each.removed}
    found: dict[str, dict[str, None]] = {}
    for each in documents:
        if each.removed or each.kind != "markdown":
            continue
        for target, sentence in linking(each.path, each.content):
            if (each.origin, target) in known:
                found.setdefault(known[each.origin, target], {})[sentence] = None
    return {source_id: list(sentences)[:MOST_OF_A_TARGET] for source_id, sentences in found.items()}


def indexed(chunks: Sequence[RagChunk], told: Mapping[str, Sequence[str]]) -> list[str]:
    """What is indexed of each chunk: what is searched of it, and of the first of a document what others say of that."""
    return ["\n".join([searched(each), *(told.get(each.source_id, ()) if each.ordinal == 0 else ())]) for each in chunks]
