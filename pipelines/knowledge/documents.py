"""What the knowledge base holds: the project's own documents as they are now, and those that were posted.

Own documents are read anew by every run; posted ones are changed by jobs only. A document that was deleted is remembered,
without its text, until its path is indexed again.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from assets_config.contract.documents import Documents
from assets_config.contract.durable import locked
from assets_config.contract.knowledge import MOST_CHARACTERS, RagDeleteParams, RagIndexParams, RagKind, RagOrigin
from assets_config.declared import Declarations
from pipelines.errors import PipelineError
from pipelines.knowledge import markdown, openapi
from pipelines.warehouse import Warehouse

DOCUMENTS = "knowledge/document"
CARDS = "forecasts/model_card"
MOST_DOCUMENTS = 5_000
ROOT = Path(__file__).parents[2]
INSTALLED = Path(sys.prefix) / "share" / "demandgraph"
PAGES = ("*.md", "docs/**/*.md")
API = "tests/serving/openapi.json"


class Document(Struct, frozen=True):
    """One document, whole."""

    source_id: str
    path: str
    kind: RagKind
    origin: RagOrigin
    title: str
    tags: str  # a JSON list
    content: str
    content_hash: str
    indexed_at: datetime
    indexed_by: str
    version: int
    removed: bool = False


class Found(Struct, frozen=True):
    """A document as it was found or posted."""

    path: str
    kind: RagKind
    origin: RagOrigin
    content: str
    tags: tuple[str, ...] = ()

    @property
    def source_id(self) -> str:
        return hashlib.sha256(f"{self.origin}\n{self.path}".encode()).hexdigest()[:16]

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def title(self) -> str:
        if self.kind == "openapi":
            return openapi.passages(self.path, self.content)[0].headings[0]
        return markdown.title_of(self.content) or self.path


def changing(warehouse: Warehouse) -> AbstractContextManager[None]:
    """Hold the lock of the knowledge base; each of its assets reads and writes under it, so that none undoes a later one's work."""
    return locked(warehouse.folder / "knowledge" / "knowledge.lock")


def documents(warehouse: Warehouse) -> list[Document]:
    """Every document, those that were removed too, by path."""
    if not warehouse.path(DOCUMENTS).exists():
        return []
    return [Document(**row) for row in warehouse.read(DOCUMENTS).iter_rows(named=True)]


def project_files() -> Path:
    """Where the project's own pages lie: the checkout, or what the install put beside Python."""
    return ROOT if (ROOT / "docs" / "index.md").is_file() else INSTALLED


def project_documents(folder: Path, *, prefix: str | None = None) -> list[Found]:
    """The project's pages and the description of its API; with a prefix only those whose path is it or lies below it."""
    pages = sorted({path for pattern in PAGES for path in folder.glob(pattern) if path.is_file()})
    found: list[tuple[str, Path, RagKind]] = [(path.relative_to(folder).as_posix(), path, "markdown") for path in pages]
    api = next((path for path in (folder / API, folder / "openapi.json") if path.is_file()), None)
    found += [("openapi.json", api, "openapi")] if api else []
    return [
        Found(path, kind, "project", file.read_text(encoding="utf-8", errors="replace"))
        for path, file, kind in found
        if _is_below(path, prefix)
    ]


def model_cards(warehouse: Warehouse) -> list[Found]:
    """The cards of the models, where they are of the source that is loaded."""
    if not warehouse.path(CARDS).exists() or warehouse.stamp(CARDS).lineage != warehouse.stamp("core/sales_daily").lineage:
        return []
    rows = warehouse.read(CARDS).select("model_type", "markdown").iter_rows()
    return [Found(f"cards/{model_type}.md", "card", "project", text, (model_type,)) for model_type, text in rows]


def kpi_document(declared: Declarations) -> Found:
    """What is measured, and how: a heading a measure and a KPI."""
    lines = ["# Definitions of KPIs and measures"]
    for kpi in declared.kpis:
        said = f"KPI {kpi.name}, as {kpi.expression}. Unit: {kpi.unit}. Good direction: {kpi.direction}."
        lines += [f"## {kpi.name}", f"{kpi.meaning}\n\n{said}"]
    for measure in declared.measures:
        said = f"Measure {measure.name}: {measure.expression} over core/sales_daily, summed. Unit: {measure.unit}."
        lines += [f"## {measure.name}", f"{measure.meaning}\n\n{said}"]
    return Found("kpis.md", "kpi", "project", "\n\n".join(lines) + "\n")


def asset_documents(described: Mapping[str, str]) -> list[Found]:
    """A page a stage of what its assets are, from their descriptions by key."""
    stages: dict[str, list[str]] = {}
    for key, said in described.items():
        stages.setdefault(key.split("/")[0], []).append(f"## {key}\n\n{said}\n")
    return [
        Found(f"assets/{stage}.md", "asset", "project", f"# Assets of the stage {stage}\n\n" + "\n".join(texts))
        for stage, texts in stages.items()
    ]


def posted(warehouse: Warehouse, command: RagIndexParams) -> Found:
    """The document of a command. Raises PipelineError, where its bytes are gone, no text, or not of its type."""
    path, digest = command.source_path or "", command.sha256 or ""
    content = Documents(warehouse.root).read(digest)
    if content is None:
        raise PipelineError(f"{path}: the document {digest} is not in the landing zone: post it again")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: byte {error.start} is not UTF-8; save the document as UTF-8") from error
    if len(text) > MOST_CHARACTERS:
        raise PipelineError(f"{path}: {len(text):,} characters; at most {MOST_CHARACTERS:,} are indexed. Post it in parts")
    if command.source_type == "openapi":
        openapi.read(path, text)
    return Found(path, command.source_type, "upload", text, tuple(dict.fromkeys(command.tags)))


def changed(
    known: Sequence[Document], found: Sequence[Found], *, scanned: str | None = None, whole: bool = False, at: datetime, by: str
) -> list[Document]:
    """The documents after `found` was read, by path.

    A document whose bytes are the same keeps its version, whatever else is told of it. Own documents that were not found go
    where all were read (`whole`), or those below `scanned`. Removed ones stay removed, unless they were posted again or lie
    below `scanned`. Raises PipelineError, where nothing lies or lay below `scanned`.
    """
    lay = any(each.origin == "project" and not each.removed and _is_below(each.path, scanned) for each in known)
    if scanned and not found and not lay:
        raise PipelineError(
            f"{scanned}: no page of the project is it or lies below it; GET /api/v1/rag/sources lists those there are"
        )
    after = {each.source_id: each for each in known}
    met = set()
    for each in found:
        met.add(each.source_id)
        before = after.get(each.source_id)
        if before is not None and before.removed and each.origin == "project" and scanned is None:
            continue
        tags = json.dumps(list(each.tags))
        if before is not None and before.content_hash == each.content_hash and not before.removed:
            after[each.source_id] = structs.replace(before, tags=tags, title=each.title, kind=each.kind)
            continue
        version = before.version + 1 if before else 1
        after[each.source_id] = Document(
            each.source_id, each.path, each.kind, each.origin, each.title, tags, each.content, each.content_hash, at, by, version
        )
    gone = {
        key
        for key, each in after.items()
        if each.origin == "project" and key not in met and not each.removed and _was_read(each, scanned=scanned, whole=whole)
    }
    if len(after) - len(gone) > MOST_DOCUMENTS:
        raise PipelineError(f"the knowledge base would have more than {MOST_DOCUMENTS} documents: delete some first")
    return sorted((each for key, each in after.items() if key not in gone), key=lambda each: (each.path, each.source_id))


def without(known: Sequence[Document], command: RagDeleteParams) -> list[Document]:
    """The documents without one. Raises PipelineError, where it is not there."""
    if not any(each.source_id == command.source_id and not each.removed for each in known):
        raise PipelineError(f"no source has the id {command.source_id}: it was deleted already, or never was")
    gone = {"content": "", "content_hash": "", "removed": True}
    return [structs.replace(each, **gone) if each.source_id == command.source_id else each for each in known]


def summary(before: Sequence[Document], after: Sequence[Document]) -> dict[str, Any]:
    """How many documents were indexed, updated, unchanged and removed, and the state of each by its path."""
    known = {each.source_id: each for each in before if not each.removed}
    there = {each.source_id: each for each in after if not each.removed}
    states = {}
    for key, each in there.items():
        earlier = known.get(key)
        states[key] = "indexed" if earlier is None else "unchanged" if earlier.version == each.version else "updated"
    states |= {key: "removed" for key in known if key not in there}
    counts = {state: list(states.values()).count(state) for state in ("indexed", "updated", "unchanged", "removed")}
    told = known | there
    of_project = {each.path for each in told.values() if each.origin == "project"}

    def name(each: Document) -> str:
        return f"{each.path} (upload)" if each.origin == "upload" and each.path in of_project else each.path

    return {**counts, "documents": {name(told[key]): state for key, state in states.items()}}


def _was_read(document: Document, *, scanned: str | None, whole: bool) -> bool:
    return whole or (scanned is not None and document.kind in ("markdown", "openapi") and _is_below(document.path, scanned))


def _is_below(path: str, prefix: str | None) -> bool:
    return not prefix or path == prefix.rstrip("/") or path.startswith(prefix.rstrip("/") + "/")
