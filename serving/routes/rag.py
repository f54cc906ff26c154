"""What do the documents say? Search in the knowledge base, and what is in it."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from assets_config.contract.documents import Documents
from assets_config.contract.knowledge import (
    KNOWLEDGE,
    MOST_CHARACTERS,
    SOURCE_PATH,
    DocumentType,
    RagChunk,
    RagDeleteParams,
    RagIndexParams,
    RagKind,
    RagMode,
    RagOrigin,
    RagSource,
    SourceTags,
    why_not_path,
)
from serving.formats import table
from serving.knowledge import Hit, Knowledge, Wanted, knowledge_of
from serving.layers.rules import OPERATOR
from serving.orchestrator.jobs import Job
from serving.paging import Listed, Page, PageSize, page_from
from serving.problems import Conflict, NotFound, invalid
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

READER = {"role": "reader"}
Query = Annotated[str, Meta(min_length=1, max_length=2000, description="What is looked for, in words; 1 to 2,000 characters.")]
Name = Annotated[str, Meta(max_length=500)]


class SourceSaid(Struct, frozen=True):
    """One document that can be searched."""

    source_id: Annotated[str, Meta(description="Use it in filters of /rag/retrieve, and in DELETE /rag/sources/{source_id}.")]
    path: Annotated[str, Meta(description="Path of the document, or the name that it was posted under.")]
    kind: Annotated[RagKind, Meta(description="What it is: markdown, openapi, a model card, KPI definitions, assets of a stage.")]
    origin: Annotated[RagOrigin, Meta(description="`project`: of this installation; `upload`: it was posted.")]
    title: Annotated[str, Meta(description="First heading, or the path where there is none.")]
    tags: Annotated[list[str], Meta(description="Words to filter by.")]
    content_hash: Annotated[str, Meta(description="SHA-256 of the document.")]
    size_bytes: Annotated[int, Meta(description="Size of the document. [bytes]")]
    chunks: Annotated[int, Meta(description="Passages that it was cut into. [chunks]")]
    indexed_at: Annotated[datetime, Meta(description="When this version was first indexed, UTC.")]
    indexed_by: Annotated[str, Meta(description="Job that indexed this version; read it at /jobs/{job_id}.")]
    version: Annotated[int, Meta(description="Versions of it that were indexed so far; 1: it was never updated.")]


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


class IndexRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A document to index."""

    source_path: Annotated[
        Annotated[str, Meta(pattern=SOURCE_PATH)],
        Meta(description="Name of the document, a relative path; the same name replaces it."),
    ]
    content: Annotated[str, Meta(min_length=1, max_length=MOST_CHARACTERS, description="The document.")]
    source_type: Annotated[DocumentType, Meta(description="markdown, or an OpenAPI document in JSON or YAML.")] = "markdown"
    tags: SourceTags = []


class ProjectRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the project's own documents to read again."""

    path_prefix: Annotated[
        Annotated[str, Meta(pattern=SOURCE_PATH)] | None,
        Meta(description="Only those below this path: docs/adr; null: all."),
    ] = None


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


@table("/rag/sources", operation_id="list_sources", tags=["knowledge"])
async def list_sources(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[SourceSaid]:
    """The documents that can be searched, by path: what each is, its version, and the job that indexed it."""
    return await page_from(lease, "rag_source", _source, {}, order="path, source_id", page=page, page_size=page_size)


@post("/rag/index", operation_id="index_document", tags=["knowledge"], status_code=202, opt=OPERATOR)
async def index_document(
    request: Request[Any, Any, Any], state: State, data: JSONBody[IndexRequest], idempotency_key: IdempotencyKey = None
) -> Response[Job]:
    """Index a document of markdown or OpenAPI, or replace the one of that name. The same content again changes nothing.

    It is found in the snapshot that the job publishes; /rag/sources then tells its version.
    """
    _refuse_path("source_path", data.source_path)
    try:
        content = data.content.encode()
    except UnicodeEncodeError:
        raise invalid("content", None, "a lone surrogate is no character: send it as UTF-8") from None
    documents: Documents = state.documents
    digest = await asyncio.to_thread(documents.keep, content)
    params = RagIndexParams("document", data.source_path, data.source_type, digest, list(dict.fromkeys(data.tags)))
    return await start(request, state, "rag_index", params, idempotency_key)


@post("/rag/index/project-docs", operation_id="index_project_documents", tags=["knowledge"], status_code=202, opt=OPERATOR)
async def index_project_documents(
    request: Request[Any, Any, Any], state: State, data: JSONBody[ProjectRequest], idempotency_key: IdempotencyKey = None
) -> Response[Job]:
    """Read the project's own documents again, also those that were deleted; only passages that changed are encoded anew."""
    if data.path_prefix is not None:
        _refuse_path("path_prefix", data.path_prefix)
    return await start(request, state, "rag_index", RagIndexParams("project", path_prefix=data.path_prefix), idempotency_key)


@delete("/rag/sources/{source_id:str}", operation_id="delete_source", tags=["knowledge"], status_code=202, opt=OPERATOR)
async def delete_source(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    source_id: Annotated[str, PathParameter(description="source_id of a document; see /rag/sources.")],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Take a document and all its chunks out of the next snapshot; earlier ones keep them. 404 for one that is not there."""
    params = RagDeleteParams(source_id)
    if not state.jobs.is_repeated("rag_delete", params, idempotency_key):
        found = await lease.rows(KNOWLEDGE, "rag_source", "source_id = ?", [source_id])
        if not found:
            raise NotFound(f"No source has the id '{source_id[:100]}'; /api/v1/rag/sources lists them.")
    return await start(request, state, "rag_delete", params, idempotency_key)


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


def _source(*, tags: str, indexed_at: datetime, **others: Any) -> SourceSaid:
    return SourceSaid(**others, tags=json.loads(tags), indexed_at=indexed_at.replace(tzinfo=UTC))


def _refuse_path(field: str, path: str) -> None:
    why = why_not_path(path)
    if why is not None:
        raise invalid(field, path, why)
