"""What is the answer, and which operation gives it? Sentences with their citations, and the tools of an agent."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.knowledge import KNOWLEDGE, RagChunk, RagMode
from serving.extracts import extracts
from serving.formats import table
from serving.knowledge import Knowledge, Wanted
from serving.paging import Listed, Page, PageSize, page_of
from serving.reply import Metadata, metadata
from serving.routes.rag import READER, Citation, Filters, Query, citation_of, knowledge_base, mode_of, named_sources
from serving.snapshot import Snapshot

MOST_FOUND = 50


class QuestionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A question."""

    query: Query
    top_k: Annotated[int, Meta(ge=1, le=50, description="Passages that sentences are taken from, 1 to 50.")] = 5
    max_sentences: Annotated[int, Meta(ge=1, le=10, description="Most sentences of the answer, 1 to 10.")] = 3
    mode: Annotated[RagMode | None, Meta(description="hybrid, semantic or keyword; null: the best that the index has.")] = None
    filters: Annotated[Filters, Meta(description="Which documents are searched.")] = Filters()


class SentenceSaid(Struct, frozen=True):
    """A sentence of the answer, as it stands in a document."""

    text: Annotated[str, Meta(description="The sentence.")]
    score: Annotated[float, Meta(description="How well it fits the question, 0 to 1.")]
    chunk_id: Annotated[str, Meta(description="Passage that it was taken from.")]
    citation: Annotated[Citation, Meta(description="Where that stands.")]


class QuestionAnswer(Struct, frozen=True):
    """An answer in sentences of the documents. Nothing is written anew."""

    query: Annotated[str, Meta(description="The question.")]
    answer: Annotated[str | None, Meta(description="The sentences, one after the other; null where none fits well enough.")]
    sentences: Annotated[list[SentenceSaid], Meta(description="The same with their citations, the best first.")]
    mode: Annotated[RagMode, Meta(description="How passages were searched.")]
    notice: Annotated[str | None, Meta(description="Why there is no answer, or why it was searched so; null: nothing to say.")]
    metadata: Metadata


class ToolSaid(Struct, frozen=True):
    """An operation of this API."""

    operation_id: Annotated[str | None, Meta(description="The operation in /openapi.json; null where that names none.")]
    method: Annotated[str, Meta(description="HTTP method.")]
    path: Annotated[str, Meta(description="Path, with parameters in braces.")]
    summary: Annotated[str, Meta(description="What it is for.")]
    rank: Annotated[int | None, Meta(description="Place among those that fit the query; null where none was given.")]
    score: Annotated[float | None, Meta(description="How well it fits, as in /rag/retrieve; null without a query.")]
    anchor: Annotated[str | None, Meta(description="JSON pointer within /openapi.json to parameters, body and answers.")]


@post("/rag/query", operation_id="answer_question", tags=["knowledge"], status_code=200, opt=READER)
async def answer_question(lease: NamedDependency[Snapshot], data: JSONBody[QuestionRequest]) -> QuestionAnswer:
    """Answer a question in sentences of the documentation, each with where it stands; no model writes them.

    /rag/retrieve gives the passages whole.
    """
    base = await knowledge_base(lease)
    mode, notice = mode_of(base, data.mode)
    sources = named_sources(base, data.filters.source)
    wanted = Wanted(mode, data.top_k, data.filters.kind, sources, data.filters.tag)
    said = await asyncio.to_thread(_answered, base, lease, data, wanted)
    whole = " ".join(each.text for each in said) or None
    why = notice if whole else "No sentence of the documents fits the question well enough; /rag/retrieve gives what comes near."
    return QuestionAnswer(data.query, whole, said, mode, why, metadata(lease, KNOWLEDGE))


@table("/agents/tools", operation_id="list_agent_tools", tags=["knowledge"])
async def list_agent_tools(
    lease: NamedDependency[Snapshot],
    wish: Annotated[
        str | None,
        QueryParameter(
            name="query", min_length=1, max_length=2000, description="What is to be done, in words; left out: every operation."
        ),
    ] = None,
    page: Page = 1,
    page_size: PageSize = 20,
) -> Listed[ToolSaid]:
    """Which operation to call for what is to be done, the best first; without a query every operation there is.

    /openapi.json has its parameters, body and answers at the anchor.
    """
    base = await knowledge_base(lease)
    own = [source_id for source_id, each in base.sources.items() if each.kind == "openapi" and each.origin == "project"]
    if wish is None:
        chunks: Sequence[RagChunk] = [each for each in base.chunks if each.source_id in own and each.anchor is not None]
        found = [_tool(each, None, None) for each in chunks]
    else:
        mode, _ = mode_of(base, None)
        wanted = Wanted(mode, MOST_FOUND, sources=own)
        hits = await asyncio.to_thread(base.search, wish, wanted) if own else []
        operations = [each for each in hits if each.chunk.anchor is not None]
        found = [_tool(each.chunk, rank, round(each.score, 6)) for rank, each in enumerate(operations, 1)]
    return page_of(found, page, page_size, metadata(lease, KNOWLEDGE))


def _answered(base: Knowledge, lease: Snapshot, data: QuestionRequest, wanted: Wanted) -> list[SentenceSaid]:
    found = extracts(base, data.query, base.search(data.query, wanted), data.max_sentences)
    return [
        SentenceSaid(each.text, round(each.score, 6), each.hit.chunk.chunk_id, citation_of(lease, each.hit.source, each.hit.chunk))
        for each in found
    ]


def _tool(chunk: RagChunk, rank: int | None, score: float | None) -> ToolSaid:
    method, _, path = json.loads(chunk.heading_path)[-1].partition(" ")
    return ToolSaid(chunk.operation_id, method, path, chunk.text.partition("\n")[0], rank, score, chunk.anchor)
