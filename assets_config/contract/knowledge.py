"""The published knowledge base: its sources, their chunks, what is said of its index, and the commands that change it.

Beside its tables the part `knowledge` holds index.json (Index), `chunks.lance` with the full-text index, and where an encoder
made vectors: vectors.npy, and words.npy, scales.npy, weights.npy and vocab.txt, the table that encodes a question.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.columns import column

KNOWLEDGE = "knowledge"
"""The part of the knowledge base. Its documents belong to no source of sales."""

RagKind = Literal["markdown", "openapi", "card", "kpi", "asset"]
RagOrigin = Literal["project", "upload"]
RagMode = Literal["hybrid", "semantic", "keyword"]
DocumentType = Literal["markdown", "openapi"]

MOST_TAGS = 20
MOST_CHARACTERS = 500_000
SOURCE_PATH = r"^(?![/~]|[A-Za-z]:)(?!(.*/)?\.\.(/|$))[^\x00-\x1f\x7f\\]{1,500}(?!\n)$"
"""A relative path without `..`."""
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
SourceId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$", description="A source of /rag/sources.")]
SourceTag = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,49}(?!\n)$")]
SourceTags = Annotated[list[SourceTag], Meta(max_length=MOST_TAGS, description="Words to filter by; they replace earlier ones.")]


class RagSource(Struct, frozen=True):
    """One document that can be searched."""

    source_id: Annotated[str, column("16 hex digits: hash of origin and path, the same for every version of a document.")]
    path: Annotated[str, column("Path of the document, or the name that it was posted under.")]
    kind: Annotated[RagKind, column("What it is: markdown, openapi, a model card, KPI definitions, or assets of a stage.")]
    origin: Annotated[RagOrigin, column("`project`: of this installation; `upload`: it was posted.")]
    title: Annotated[str, column("First heading, or the path where there is none.")]
    tags: Annotated[str, column("Words to filter by, as a JSON list.")]
    content_hash: Annotated[str, column("SHA-256 of the document.")]
    size_bytes: Annotated[int, column("Size of the document.", unit="bytes")]
    chunks: Annotated[int, column("Chunks that it was cut into.", unit="chunks")]
    indexed_at: Annotated[datetime, column("When this version was first indexed, UTC.")]
    indexed_by: Annotated[str, column("Job that indexed it; read it at /jobs/{job_id}.")]
    version: Annotated[int, column("Versions of the document that were indexed so far: 1 is its first.")]


class RagChunk(Struct, frozen=True):
    """A passage of a document, the unit that is found and cited."""

    position: Annotated[int, column("Row of the chunk in the index, from 0.")]
    chunk_id: Annotated[str, column("16 hex digits: hash of source, headings, place and text.")]
    source_id: Annotated[str, column("Its document; see rag_source.")]
    ordinal: Annotated[int, column("Place within its document, from 0.")]
    heading_path: Annotated[str, column("Headings above it, outermost first, as a JSON list.")]
    text: Annotated[str, column("The passage as it stands in the document.")]
    first_line: Annotated[int, column("First line in the document, from 1; of an operation, of the document's text.")]
    last_line: Annotated[int, column("Last line in the document.")]
    content_hash: Annotated[str, column("SHA-256 of the passage.")]
    operation_id: Annotated[str | None, column("Operation of an API that it tells of; null for other passages.")]
    anchor: Annotated[str | None, column("JSON pointer of that operation within its document; null for other passages.")]


class Scores(Struct, frozen=True):
    """How well one way of searching found what it should, over the questions of the evaluation."""

    ndcg_10: float
    hits_5: float


class Evaluation(Struct, frozen=True):
    """What the last evaluation found: questions are headings and links of the corpus itself, withheld."""

    questions: int
    keyword: Scores
    hybrid: Scores | None  # None: there are no vectors
    verdict: str


class Index(Struct, frozen=True):
    """The content of index.json: how the chunks were indexed."""

    mode: RagMode  # the best way of searching that this index has
    reason: str  # why it is that one
    encoder: str | None  # what made the vectors
    dimensions: int
    chunks: int
    cosines: dict[str, float]  # percentiles of the best cosine of the evaluation's questions: what a minimum can be set by
    evaluation: Evaluation | None = None


class RagIndexParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Index one document that was posted, or read the project's own documents again."""

    scope: Annotated[
        Literal["document", "project"], Meta(description="`document`: what was posted as `sha256`; `project`: the own documents.")
    ] = "document"
    source_path: Annotated[
        Annotated[str, Meta(pattern=SOURCE_PATH)] | None, Meta(description="Name of the document; the same name replaces it.")
    ] = None
    source_type: Annotated[DocumentType, Meta(description="How it is cut: by headings, or an operation each.")] = "markdown"
    sha256: Annotated[Sha256 | None, Meta(description="The bytes, as POST /rag/index kept them.")] = None
    tags: SourceTags = []
    path_prefix: Annotated[
        Annotated[str, Meta(pattern=SOURCE_PATH)] | None, Meta(description="Only own documents below this path, such as docs/adr.")
    ] = None

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as a fault of the parameters, where they name no document or lead elsewhere."""
        why = why_not_index(self)
        if why is not None:
            raise ValueError(why)


class DocumentsChanged(Struct, frozen=True):
    """What became of the documents, and the snapshot that has them."""

    snapshot_id: Annotated[str, Meta(description="Pin reads to it with ?snapshot=.")]
    indexed: Annotated[int, Meta(description="Documents that are new. [documents]")]
    updated: Annotated[int, Meta(description="Documents with other content than before. [documents]")]
    unchanged: Annotated[int, Meta(description="Documents with the same content. [documents]")]
    removed: Annotated[int, Meta(description="Documents that are there no more. [documents]")]
    documents: Annotated[
        dict[str, Literal["indexed", "updated", "unchanged", "removed"]], Meta(description="What became of each, by its path.")
    ]


class RagDeleteParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a document and its chunks out of the next snapshot; earlier ones keep them."""

    source_id: SourceId


def why_not_path(path: str) -> str | None:
    """Why a path may not name a document, as a sentence; None where it may. It is never opened on disk as it was given.

    >>> why_not_path("docs/../../etc/passwd")
    'use a relative path without `..`, such as docs/models.md'
    """
    steps = path.split("/")
    if path.startswith("/") or ".." in steps or "\\" in path or re.match(r"^[A-Za-z]:|^~", path):
        return "use a relative path without `..`, such as docs/models.md"
    return None


def why_not_index(params: RagIndexParams) -> str | None:
    """Why a document may not be indexed so, as a sentence; None where it may."""
    if params.scope == "project":
        return why_not_path(params.path_prefix) if params.path_prefix else None
    if not params.source_path or not params.sha256:
        return "scope document needs source_path and sha256; POST /rag/index keeps the document and gives both"
    return why_not_path(params.source_path)
