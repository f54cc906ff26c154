"""What do the documents say? Search in the knowledge base."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from assets_config.contract.knowledge import (
    KNOWLEDGE,
    RagChunk,
    RagKind,
    RagMode,
    RagSource,
)
from serving.knowledge import Hit, Knowledge, Wanted, knowledge_of
from serving.problems import Conflict, NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot

READER = {"role": "reader"}
Query = Annotated[str, Meta(min_length=1, max_length=2000, description="What is looked for, in words; 1 to 2,000 characters.")]
Name = Annotated[str, Meta(max_length=500)]


class Filters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which chunks may be found: those that match one of each list. An empty list lets every one through."""

    kind: Annotated[tuple[RagKind, ...], Meta(max_length=10, description="Kinds of documents.")] = ()
    source: Annotated[tuple[Name, ...], Meta(max_length=50, description="Documents, by source_id or path.")] = ()
    tag: Annotated[tuple[Name, ...], Meta(max_length=50, description="Tags of documents.")] = ()


class RetrieveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A search."""

    query: Query
    top_k: Annotated[int, Meta(ge=1, le=50, description="Most chunks to give, 1 to 50.")] = 5
    mode: Annotated[
        RagMode | None,
        Meta(description="hybrid, semantic or keyword; null: the best that the index has, as its evaluation found."),
    ] = None
    filters: Annotated[Filters, Meta(description="Which documents are searched.")] = Filters()
    min_keyword: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Least BM25 score for a chunk to be found by its words.")
    ] = None
    min_semantic: Annotated[
        Annotated[float, Meta(ge=-1, le=1)] | None, Meta(description="Least cosine for a chunk to be found by its meaning.")
    ] = None
    per_source: Annotated[
        Annotated[int, Meta(ge=1, le=50)] | None,
        Meta(description="Most chunks of one document; 1 gives as many documents as chunks."),
    ] = None
    neighbours: Annotated[int, Meta(ge=0, le=5, description="Chunks to give before and after each, 0 to 5.")] = 0


class Citation(Struct, frozen=True):
    """Where a passage stands."""

    path: Annotated[str, Meta(description="Path of the document.")]
    heading_path: Annotated[list[str], Meta(description="Headings above the passage, outermost first.")]
    first_line: Annotated[int, Meta(description="First line in the document, from 1.")]
    last_line: Annotated[int, Meta(description="Last line in the document.")]
    anchor: Annotated[str | None, Meta(description="JSON pointer of the operation that it tells of; null for prose.")]
    content_hash: Annotated[str, Meta(description="SHA-256 of the passage.")]
    snapshot_id: Annotated[str, Meta(description="Snapshot that it was read from; ?snapshot= reads it again.")]


class LegSaid(Struct, frozen=True):
    """What one way of searching says of a chunk."""

    score: Annotated[float, Meta(description="BM25 for words, cosine for meaning.")]
    rank: Annotated[int, Meta(description="Place among the chunks that were found this way, from 1.")]


class Result(Struct, frozen=True):
    """A chunk that was found."""

    rank: Annotated[int, Meta(description="Place, from 1.")]
    chunk_id: Annotated[str, Meta(description="The same for as long as the passage and its place stay.")]
    source_id: Annotated[str, Meta(description="Its document; see /rag/sources.")]
    kind: Annotated[RagKind, Meta(description="Kind of its document.")]
    title: Annotated[str, Meta(description="Title of its document.")]
    tags: Annotated[list[str], Meta(description="Tags of its document.")]
    text: Annotated[str, Meta(description="The passage.")]
    score: Annotated[
        float, Meta(description="Sum of 1 / (60 + rank) over the ways in which it was found; orders, and means no more.")
    ]
    keyword: Annotated[LegSaid | None, Meta(description="By its words; null where it was not found so.")]
    semantic: Annotated[LegSaid | None, Meta(description="By its meaning; null where it was not found so.")]
    citation: Annotated[Citation, Meta(description="Where it stands.")]
    before: Annotated[list[str], Meta(description="Passages right before it, where neighbours were asked for.")]
    after: Annotated[list[str], Meta(description="Passages right after it, where neighbours were asked for.")]


class RetrieveAnswer(Struct, frozen=True):
    """What was found, best first."""

    query: Annotated[str, Meta(description="What was looked for.")]
    mode: Annotated[RagMode, Meta(description="How it was searched.")]
    notice: Annotated[
        str | None, Meta(description="Why it was searched so, where that is not what was asked for; null: nothing to say.")
    ]
    results: Annotated[list[Result], Meta(description="The chunks; empty where nothing fits.")]
    searched: Annotated[int, Meta(description="Chunks of the index. [chunks]")]
    metadata: Metadata


@post("/rag/retrieve", operation_id="retrieve_passages", tags=["knowledge"], status_code=200, opt=READER)
async def retrieve_passages(lease: NamedDependency[Snapshot], data: JSONBody[RetrieveRequest]) -> RetrieveAnswer:
    """Find passages of the documentation, of the API, of model cards, KPIs and assets, with where each of them stands.

    By words and, where an encoder made vectors, by meaning, merged by rank. /rag/query answers in sentences; /agents/tools finds
    the operation to call.
    """
    base = await knowledge_base(lease)
    mode, notice = mode_of(base, data.mode)
    hits = await asyncio.to_thread(base.search, data.query, _wanted(base, data, mode))
    results = [_result(base, lease, rank, hit, data.neighbours) for rank, hit in enumerate(hits, 1)]
    return RetrieveAnswer(data.query, mode, notice, results, len(base.chunks), metadata(lease, KNOWLEDGE))


def mode_of(base: Knowledge, asked: RagMode | None) -> tuple[RagMode, str | None]:
    """How to search, and what to say of it. Raises Conflict, where meaning alone is asked for and there are no vectors."""
    if base.index.encoder is None and asked == "semantic":
        raise Conflict("This snapshot's knowledge base has no vectors, so that it is searched by words alone: use mode keyword.")
    if base.index.encoder is None:
        return "keyword", base.index.reason if asked in (None, "hybrid") else None
    return asked or base.index.mode, None if asked or base.index.mode == "hybrid" else base.index.reason


def named_sources(base: Knowledge, names: Sequence[str]) -> set[str]:
    """The ids of documents that are named by id or path; a name that none has stays, so that nothing is found by it."""
    return {source_id for source_id, each in base.sources.items() if source_id in names or each.path in names} | set(names)


def _wanted(base: Knowledge, data: RetrieveRequest, mode: RagMode) -> Wanted:
    sources = named_sources(base, data.filters.source)
    among = (data.filters.kind, sources, data.filters.tag)
    return Wanted(mode, data.top_k, *among, data.min_keyword, data.min_semantic, data.per_source)


def citation_of(lease: Snapshot, source: RagSource, chunk: RagChunk) -> Citation:
    """Where a chunk stands."""
    return Citation(
        path=source.path,
        heading_path=json.loads(chunk.heading_path),
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        anchor=chunk.anchor,
        content_hash=chunk.content_hash,
        snapshot_id=lease.id,
    )


async def knowledge_base(lease: Snapshot) -> Knowledge:
    """The knowledge base of a snapshot. Raises NotFound, where it was published without one."""
    base = await knowledge_of(lease)
    if base is None:
        raise NotFound("This snapshot has no knowledge base: materialise knowledge and publish.")
    return base


def _result(base: Knowledge, lease: Snapshot, rank: int, hit: Hit, neighbours: int) -> Result:
    before, after = base.around(hit.chunk, neighbours) if neighbours else ([], [])
    legs = [None if leg is None else LegSaid(round(leg.score, 6), leg.rank) for leg in (hit.keyword, hit.semantic)]
    return Result(
        rank=rank,
        chunk_id=hit.chunk.chunk_id,
        source_id=hit.source.source_id,
        kind=hit.source.kind,
        title=hit.source.title,
        tags=json.loads(hit.source.tags),
        text=hit.chunk.text,
        score=round(hit.score, 6),
        keyword=legs[0],
        semantic=legs[1],
        citation=citation_of(lease, hit.source, hit.chunk),
        before=[each.text for each in before],
        after=[each.text for each in after],
    )
