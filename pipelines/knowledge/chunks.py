"""Documents -> the published chunks and sources."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence

from assets_config.contract.knowledge import RagChunk, RagSource
from pipelines.errors import PipelineError
from pipelines.knowledge import markdown, openapi
from pipelines.knowledge.documents import Document
from pipelines.knowledge.passages import CODE, Passage
from pipelines.warehouse import Warehouse

MOST_CHUNKS = 50_000


def chunks(documents: Sequence[Document]) -> list[RagChunk]:
    """The passages of all documents that are there, in the order of documents; the same documents give the same chunks.

    Raises PipelineError, when there are more than MOST_CHUNKS.
    """
    found: list[RagChunk] = []
    for document in documents:
        for ordinal, passage in enumerate(_passages(document)):
            found.append(_chunk(document, len(found), ordinal, passage))
        if len(found) > MOST_CHUNKS:
            raise PipelineError(f"{document.path}: over {MOST_CHUNKS:,} passages: delete sources that nobody searches")
    return found


def sources(documents: Sequence[Document], made: Sequence[RagChunk]) -> list[RagSource]:
    """What is published of each document that is there."""
    counts = Counter(each.source_id for each in made)
    return [
        RagSource(
            source_id=each.source_id,
            path=each.path,
            kind=each.kind,
            origin=each.origin,
            title=each.title,
            tags=each.tags,
            content_hash=each.content_hash,
            size_bytes=len(each.content.encode()),
            chunks=counts[each.source_id],
            indexed_at=each.indexed_at,
            indexed_by=each.indexed_by,
            version=each.version,
        )
        for each in documents
        if not each.removed
    ]


def read_chunks(warehouse: Warehouse) -> list[RagChunk]:
    """The chunks as they were cut last, by position. Raises PipelineError, when they never were."""
    return [RagChunk(**row) for row in warehouse.read("knowledge/rag_chunk").iter_rows(named=True)]


def searched(chunk: RagChunk) -> str:
    """What is searched and encoded of a chunk: its headings and its text."""
    headings = json.loads(chunk.heading_path)
    return Passage(tuple(headings), chunk.text, chunk.first_line, chunk.last_line).searched


def _passages(document: Document) -> Iterator[Passage]:
    if document.removed:
        return
    cut = openapi.passages(document.path, document.content) if document.kind == "openapi" else markdown.passages(document.content)
    yield from cut


def _chunk(document: Document, position: int, ordinal: int, passage: Passage) -> RagChunk:
    path = json.dumps(list(passage.headings), ensure_ascii=False)
    said = f"{CODE}\n{document.source_id}\n{path}\n{ordinal}\n{passage.text}"
    return RagChunk(
        position=position,
        chunk_id=hashlib.sha256(said.encode()).hexdigest()[:16],
        source_id=document.source_id,
        ordinal=ordinal,
        heading_path=path,
        text=passage.text,
        first_line=passage.first_line,
        last_line=passage.last_line,
        content_hash=hashlib.sha256(passage.text.encode()).hexdigest(),
        operation_id=passage.operation_id,
        anchor=passage.anchor,
    )
