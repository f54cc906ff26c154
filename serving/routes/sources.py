"""Which documents are in the knowledge base? Put one in, read the project's own again, take one out."""

import asyncio
import json
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
    RagDeleteParams,
    RagIndexParams,
    RagKind,
    RagOrigin,
    SourceTags,
    why_not_path,
)
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_from
from serving.problems import NotFound, invalid
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot


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


def _source(*, tags: str, indexed_at: datetime, **others: Any) -> SourceSaid:
    return SourceSaid(**others, tags=json.loads(tags), indexed_at=indexed_at.replace(tzinfo=UTC))


def _refuse_path(field: str, path: str) -> None:
    why = why_not_path(path)
    if why is not None:
        raise invalid(field, path, why)
