"""What became of the data that was brought in?"""

import asyncio
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.columns import Entity
from assets_config.contract.ingest import IngestAudit
from assets_config.contract.landing import Batch, Landing
from assets_config.contract.names import BatchState
from serving.formats import table
from serving.layers.reads import outside
from serving.paging import After, Limit, Listed, Page, PageSize, page_from
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot


class BatchSaid(Struct, frozen=True):
    """One batch. Its lines are loaded + rejected + merged + skipped."""

    batch_id: str
    kind: str
    source: Annotated[str, Meta(description="Entry of sources.yaml that read it; `api`: none was named.")]
    state: Annotated[BatchState, Meta(description="`received` until a job has read it.")]
    file_name: str
    media_type: str
    bytes: Annotated[int, Meta(description="Size of all its files. [bytes]")]
    sha256: Annotated[str, Meta(description="SHA-256 of its first file.")]
    parameters: Annotated[dict[str, str], Meta(description="What was sent beside the rows, such as forecast_id.")]
    received_at: Annotated[datetime, Meta(description="UTC. Of two batches with the same row the later one holds.")]
    lines: Annotated[int, Meta(description="Rows that it has. [rows]")]
    loaded: Annotated[int, Meta(description="Rows that it gave to the tables. [rows]")]
    rejected: Annotated[int, Meta(description="Rows that could not be used; see /ingest/batches/{batch_id}/rejects. [rows]")]
    merged: Annotated[int, Meta(description="Rows that were added to, or replaced by, another row of the batch. [rows]")]
    skipped: Annotated[int, Meta(description="Rows that the mapping leaves out on purpose. [rows]")]
    first_date: date | None
    last_date: date | None
    reasons: Annotated[dict[str, int], Meta(description="Rejected rows a code.")]
    error: Annotated[str | None, Meta(description="Why the whole batch was rejected.")]
    duration_ms: Annotated[int, Meta(description="Time that reading and checking took. [ms]")]
    job_id: Annotated[str | None, Meta(description="The job that read it; null while none has.")]


class BatchAnswer(BatchSaid, frozen=True):
    """One batch, and where that was read."""

    metadata: Annotated[Metadata | None, Meta(description="Null where nothing is published yet.")]


class RejectSaid(Struct, frozen=True):
    """One row that could not be used."""

    row_index: Annotated[int, Meta(description="Number of the row in its file, from 0.")]
    file: str
    code: Annotated[str, Meta(description="Why, for example UNKNOWN_STORE or INVALID_TYPE.")]
    field: str | None
    value: str | None
    record: Annotated[Any, Meta(description="The row as it came.")]


class Trail(Struct, frozen=True):
    """Some events, in the order in which they happened."""

    items: list[IngestAudit]
    next_after: Annotated[int | None, Meta(description="Send it as `after` for the events that follow; null: these were the last.")]
    metadata: Metadata


class ExternalId(Struct, frozen=True):
    """What a source calls a store or product of ours."""

    source: Annotated[str, Meta(description="`api` for posted batches that name no source, `*` for every source.")]
    entity: Entity
    external_id: str
    code: Annotated[str, Meta(description="Our store code or SKU.")]
    internal_id: Annotated[int | None, Meta(description="Our store_id or product_id; null where nothing has that code.")]


@table("/ingest/batches", operation_id="list_batches", tags=["data"])
async def list_batches(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    kind: FromQuery[str | None] = None,
    batch_state: Annotated[BatchState | None, QueryParameter(name="state", description="Only batches in this state.")] = None,
    source: FromQuery[str | None] = None,
) -> Listed[BatchSaid]:
    """Batches that were read, newest first: how many of their rows were loaded, and how many rejected.

    /ingest/batches/{batch_id}/rejects has the rows that could not be used.
    """
    wanted = {"kind = ?": kind, "state = ?": batch_state, "source = ?": source}
    order = "received_at DESC, batch_id DESC"
    return await page_from(lease, "ingest_batch", _published, wanted, order=order, page=page, page_size=page_size)


@get("/ingest/batches/{batch_id:str}", operation_id="get_batch", tags=["data"])
async def get_batch(lease_if_any: NamedDependency[Snapshot | None], state: State, batch_id: FromPath[str]) -> BatchAnswer:
    """One batch: its state and counts. One that no job has published yet is `received`, with counts of 0."""
    said = await _batch(lease_if_any, state, batch_id)
    return BatchAnswer(**msgspec.structs.asdict(said), metadata=metadata(lease_if_any, "ingest") if lease_if_any else None)


@table("/ingest/batches/{batch_id:str}/rejects", operation_id="list_rejects", tags=["data"])
async def list_rejects(
    lease: NamedDependency[Snapshot],
    state: State,
    batch_id: FromPath[str],
    page: Page = 1,
    page_size: PageSize = 20,
    code: FromQuery[str | None] = None,
) -> Listed[RejectSaid]:
    """The rows of a batch that could not be used, each with the reason and as it came; at most the first 1,000."""
    await _batch(lease, state, batch_id)
    wanted = {"batch_id = ?": batch_id, "code = ?": code}
    order = "file, row_index, code"
    return await page_from(lease, "ingest_reject", _rejected, wanted, order=order, page=page, page_size=page_size)


@get("/ingest/audit", operation_id="list_ingest_events", tags=["data"])
async def list_ingest_events(
    lease: NamedDependency[Snapshot],
    after: After = 0,
    limit: Limit = 100,
    batch_id: FromQuery[str | None] = None,
) -> Trail:
    """What happened to the batches, in order; nothing is ever taken out. Each event holds the hash of the one before."""
    wanted = {"seq > ?": after, "batch_id = ?": batch_id}
    rows, total = await lease.page("ingest", "ingest_audit", wanted, order="seq", page=1, page_size=limit)
    items = [IngestAudit(**{**row, "at": _utc(row["at"])}) for row in rows]
    return Trail(items, items[-1].seq if total > len(items) else None, metadata(lease, "ingest"))


@table("/ingest/external-ids", operation_id="list_external_ids", tags=["data"])
async def list_external_ids(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    source: FromQuery[str | None] = None,
    entity: FromQuery[Entity | None] = None,
    external_id: FromQuery[str | None] = None,
) -> Listed[ExternalId]:
    """Which of our stores and products the ids of other systems stand for.

    Such an id is taken wherever store_id or product_id is asked; batches of kind external-ids add some.
    """
    wanted = {"source = ?": source, "entity = ?": entity, "external_id = ?": external_id}
    order = "source, entity, external_id"
    return await page_from(lease, "id_map", ExternalId, wanted, order=order, page=page, page_size=page_size)


async def _batch(lease: Snapshot | None, state: State, batch_id: str) -> BatchSaid:
    for row in await lease.rows("ingest", "ingest_batch", "batch_id = ?", [batch_id]) if lease else []:
        return _published(**row)
    outside()
    landed = await asyncio.to_thread(Landing(state.settings.data).find, batch_id)
    if landed is None:
        raise NotFound(f"No batch has the id '{batch_id[:60]}'; /api/v1/ingest/batches lists them.")
    return _landed(landed)


def _published(*, reasons: str, dagster_run_id: str | None, parameters: str, received_at: datetime, **others: Any) -> BatchSaid:
    why = _decoded(reasons)
    return BatchSaid(
        **others,
        parameters=_decoded(parameters) or {},
        received_at=_utc(received_at),
        reasons=why if isinstance(why, dict) else {},
        error=str(why) if why and not isinstance(why, dict) else None,
        job_id=dagster_run_id.replace("-", "") if dagster_run_id else None,
    )


def _rejected(*, batch_id: str, record: str, **others: Any) -> RejectSaid:  # noqa: ARG001 - the path says which batch
    return RejectSaid(**others, record=_decoded(record))


def _landed(batch: Batch) -> BatchSaid:
    return BatchSaid(
        batch_id=batch.batch_id,
        kind=batch.kind,
        source=batch.source,
        state="received",
        file_name=batch.files[0].name,
        media_type=batch.media_type,
        bytes=batch.bytes,
        sha256=batch.files[0].sha256,
        parameters=batch.parameters,
        received_at=batch.received_at,
        lines=0,
        loaded=0,
        rejected=0,
        merged=0,
        skipped=0,
        first_date=None,
        last_date=None,
        reasons={},
        error=None,
        duration_ms=0,
        job_id=None,
    )


def _decoded(text: str) -> Any:
    """The value of a JSON text; the text where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
