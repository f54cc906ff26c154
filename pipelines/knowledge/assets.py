"""Assets of the stage knowledge. Each holds the stage's lock from its first read to its last write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    Config,
    MaterializeResult,
    MetadataValue,
    asset,
    asset_check,
)
from pydantic import Field

from assets_config.contract.knowledge import RagChunk, RagDeleteParams, RagIndexParams, RagSource
from pipelines.report import GRAPH_POOL, answer, graph_of, job_of, now, table_made, upstream
from pipelines.resources import Storage, settings

if TYPE_CHECKING:
    from pipelines.knowledge.corpus import Corpus

GROUP: dict[str, Any] = {"key_prefix": "knowledge", "group_name": "knowledge", "owners": ["team:data"], "pool": GRAPH_POOL}


class KnowledgeConfig(Config):
    """What to do to the documents. Left empty: the project's own are read again, those that were posted stay."""

    rag_index: str | None = Field(default=None, description="What to index, as JSON (contract.knowledge.RagIndexParams).")
    rag_delete: str | None = Field(default=None, description="What to delete, as JSON (contract.knowledge.RagDeleteParams).")


@asset(**GROUP, kinds={"markdown"}, deps=upstream("core/sales_daily", "forecasts/model_card"))
def document(context: AssetExecutionContext, config: KnowledgeConfig, storage: Storage) -> MaterializeResult:
    """Every document of the knowledge base: the project's pages, its API, model cards, KPIs, assets, and what was posted."""
    from pipelines.knowledge import documents as kept
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    index = None if config.rag_index is None else msgspec.json.decode(config.rag_index, type=RagIndexParams)
    by, at = job_of(context), now()
    with kept.changing(warehouse):
        before = after = kept.documents(warehouse)
        scanned = None
        if index is not None:
            scanned = (index.path_prefix or "") if index.scope == "project" else None
        found = [kept.posted(warehouse, index)] if index is not None and index.scope == "document" else []
        whole = not before or (index is None and config.rag_delete is None)
        if whole or scanned is not None:
            found += kept.project_documents(kept.project_files(), prefix=scanned or None)
        if whole or scanned == "":
            found += kept.model_cards(warehouse)
            found += [kept.kpi_document(storage.declarations()), *kept.asset_documents(_described(context))]
        after = kept.changed(after, found, scanned=scanned, whole=whole or scanned == "", at=at, by=by)
        if config.rag_delete is not None:
            after = kept.without(after, msgspec.json.decode(config.rag_delete, type=RagDeleteParams))
        warehouse.write_changed(kept.DOCUMENTS, frame_of(kept.Document, after))
        summary = kept.summary(before, after)
    is_told = index is not None or config.rag_delete is not None  # else the run was asked for something else, and answers that
    said = answer(summary) if is_told else {"documents": MetadataValue.json(msgspec.to_builtins(summary))}
    return table_made(warehouse, kept.DOCUMENTS, **said)


def _described(context: AssetExecutionContext) -> dict[str, str]:
    """The description of each asset of the graph, by key, upstream first."""
    graph = graph_of(context)
    return {key.to_user_string(): graph.get(key).description or "" for key in graph.toposorted_asset_keys}


@asset(**GROUP, kinds={"markdown"}, deps=[document])
def rag_chunk(storage: Storage) -> MaterializeResult:
    """The documents cut into passages: along headings, an operation of an API each, a fence of code in one piece."""
    from pipelines.knowledge import documents as kept
    from pipelines.knowledge.chunks import chunks
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    with kept.changing(warehouse):
        warehouse.write_changed("knowledge/rag_chunk", frame_of(RagChunk, chunks(kept.documents(warehouse))))
    return table_made(warehouse, "knowledge/rag_chunk")


@asset(**GROUP, kinds={"markdown"}, deps=[document, rag_chunk])
def rag_source(storage: Storage) -> MaterializeResult:
    """Every document that can be searched, with its version and the number of its passages."""
    from pipelines.knowledge import documents as kept
    from pipelines.knowledge.chunks import read_chunks, sources
    from pipelines.shapes import frame_of

    warehouse = storage.warehouse()
    with kept.changing(warehouse):
        rows = sources(kept.documents(warehouse), read_chunks(warehouse))
        warehouse.write_changed("knowledge/rag_source", frame_of(RagSource, rows))
    return table_made(warehouse, "knowledge/rag_source")


@asset(**GROUP, kinds={"numpy"}, deps=[rag_chunk])
def vectors(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """A vector of each passage and sentence, by the encoder of knowledge.yaml; a text is encoded once. None without an encoder."""
    with _corpus(context, storage) as corpus:
        corpus.encode()
        encodes = corpus.encodes
    return MaterializeResult(metadata={"encoder": encodes.identity if encodes else "none", "encoded now": corpus.encoded})


@asset(**GROUP, kinds={"numpy"}, deps=[vectors])
def query_table(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """A vector a word piece, fitted to the passages' vectors: it encodes questions in the API, where no model is."""
    with _corpus(context, storage) as corpus:
        table = corpus.table()
    return MaterializeResult(metadata={"pieces": 0 if table is None else len(table.vocabulary)})


@asset(**GROUP, kinds={"numpy"}, deps=[query_table])
def evaluation(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """How well passages are found by headings and links that were withheld: by words, and by words and meaning together."""
    with _corpus(context, storage) as corpus:
        found = corpus.evaluation().evaluation
    return MaterializeResult(metadata={"verdict": found.verdict, "found": MetadataValue.json(msgspec.to_builtins(found))})


@asset_check(asset=evaluation, description="Searching by words and meaning together is at least as good as by words alone.")
def hybrid_is_as_good(context: AssetCheckExecutionContext, storage: Storage) -> AssetCheckResult:
    """Where it is not, the index is published as one that is searched by words, and says so."""
    with _corpus(context, storage) as corpus:
        found = corpus.evaluation().evaluation
    passed = found.hybrid is None or found.hybrid.ndcg_10 >= found.keyword.ndcg_10
    return AssetCheckResult(passed=passed, severity=AssetCheckSeverity.WARN, metadata={"verdict": found.verdict})


@asset(**GROUP, kinds={"lance"}, deps=[rag_chunk, rag_source, vectors, query_table, evaluation])
def index(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """What a search needs, in one piece: the full-text index, the vectors, the table for questions, and which way is the best."""
    from pipelines.knowledge.bundle import make

    with _corpus(context, storage) as corpus:
        made, said = make(storage.warehouse(), corpus)
    return MaterializeResult(metadata={"bundle": made.digest, "mode": said.mode, "reason": said.reason, "chunks": said.chunks})


@contextmanager
def _corpus(context: AssetExecutionContext | AssetCheckExecutionContext, storage: Storage) -> Iterator["Corpus"]:
    """The corpus as it is now, under the lock of the stage."""
    from pipelines.knowledge.corpus import Corpus
    from pipelines.knowledge.documents import changing

    warehouse = storage.warehouse()
    with changing(warehouse):
        yield Corpus(
            warehouse,
            storage.declarations().encoder,
            key=settings().embedding_key,
            told=lambda done, of: context.log.info(f"encoded {done} of {of} texts"),
        )


ASSETS = [document, rag_chunk, rag_source, vectors, query_table, evaluation, index]
CHECKS = [hybrid_is_as_good]
