"""Assets of the stage knowledge. Each holds the stage's lock from its first read to its last write."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.knowledge import RagDeleteParams, RagIndexParams
from pipelines.report import table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "knowledge", "group_name": "knowledge", "owners": ["team:data"]}


class KnowledgeConfig(Config):
    """What to do to the documents. Left empty: the project's own are read again, those that were posted stay."""

    rag_index: str | None = Field(default=None, description="What to index, as JSON (contract.knowledge.RagIndexParams).")
    rag_delete: str | None = Field(default=None, description="What to delete, as JSON (contract.knowledge.RagDeleteParams).")


@asset(**GROUP, kinds={"markdown"}, deps=upstream("forecasts/model_card"))
def document(context: AssetExecutionContext, config: KnowledgeConfig, storage: Storage) -> MaterializeResult:
    """Every document of the knowledge base: the project's pages, its API, model cards, KPIs, assets, and what was posted."""
    from pipelines.knowledge import documents as kept

    warehouse = storage.warehouse()
    index = None if config.rag_index is None else msgspec.json.decode(config.rag_index, type=RagIndexParams)
    by, now = context.run.run_id.replace("-", ""), datetime.now(UTC).replace(tzinfo=None)
    with kept.changing(warehouse):
        before = after = kept.documents(warehouse)
        scanned = None
        if index is not None:
            kept.refuse(index)
            scanned = (index.path_prefix or "") if index.scope == "project" else None
        found = [kept.posted(warehouse, index)] if index is not None and index.scope == "document" else []
        whole = not before or (index is None and config.rag_delete is None)
        if whole or scanned is not None:
            found += kept.project_documents(kept.project_files(), prefix=scanned or None)
        if whole or scanned == "":
            found += kept.model_cards(warehouse)
            found += [kept.kpi_document(storage.declarations()), *kept.asset_documents(_described(context))]
        after = kept.changed(after, found, scanned=scanned, whole=whole or scanned == "", at=now, by=by)
        if config.rag_delete is not None:
            after = kept.without(after, msgspec.json.decode(config.rag_delete, type=RagDeleteParams))
        kept.keep(warehouse, kept.DOCUMENTS, after, kept.SCHEMA)
        summary = kept.summary(before, after)
    return table_made(warehouse, kept.DOCUMENTS, **summary)


def _described(context: AssetExecutionContext) -> dict[str, str]:
    """The description of each asset of the graph, by key, upstream first."""
    is_launched = context.run.remote_job_origin is not None  # else it is of the command line, whose job holds the whole graph
    graph = context.repository_def.asset_graph if is_launched else context.job_def.asset_layer.asset_graph
    return {key.to_user_string(): graph.get(key).description or "" for key in graph.toposorted_asset_keys}


@asset(**GROUP, kinds={"markdown"}, deps=[document])
def rag_chunk(storage: Storage) -> MaterializeResult:
    """The documents cut into passages: along headings, an operation of an API each, a fence of code in one piece."""
    from pipelines.knowledge import documents as kept
    from pipelines.knowledge.chunks import CHUNK_SCHEMA, chunks

    warehouse = storage.warehouse()
    with kept.changing(warehouse):
        kept.keep(warehouse, "knowledge/rag_chunk", chunks(kept.documents(warehouse)), CHUNK_SCHEMA)
    return table_made(warehouse, "knowledge/rag_chunk")


@asset(**GROUP, kinds={"markdown"}, deps=[document, rag_chunk])
def rag_source(storage: Storage) -> MaterializeResult:
    """Every document that can be searched, with its version and the number of its passages."""
    from pipelines.knowledge import documents as kept
    from pipelines.knowledge.chunks import SOURCE_SCHEMA, read_chunks, sources

    warehouse = storage.warehouse()
    with kept.changing(warehouse):
        rows = sources(kept.documents(warehouse), read_chunks(warehouse))
        kept.keep(warehouse, "knowledge/rag_source", rows, SOURCE_SCHEMA)
    return table_made(warehouse, "knowledge/rag_source")


@asset(**GROUP, kinds={"lance"}, deps=[rag_chunk, rag_source])
def index(storage: Storage) -> MaterializeResult:
    """What a search needs, in one piece: the full-text index."""
    from pipelines.knowledge import documents as kept
    from pipelines.knowledge.bundle import make

    warehouse = storage.warehouse()
    with kept.changing(warehouse):
        made, said = make(warehouse)
    return MaterializeResult(metadata={"bundle": made.digest, "mode": said.mode, "reason": said.reason, "chunks": said.chunks})


ASSETS = [document, rag_chunk, rag_source, index]
