"""Batches, and what became of their rows: the published tables, and what jobs that read batches are told."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from assets_config.contract.columns import CalendarDay, column
from assets_config.contract.names import BatchState


class IngestBatch(Struct, frozen=True):
    """One batch of the landing zone: what it is, and what became of its rows. Lines in = loaded + rejected + merged + skipped."""

    batch_id: Annotated[str, column("32 hex digits: hash of kind, source, parameters and content.")]
    kind: Annotated[str, column("Kind of data, one of /ingest/kinds.")]
    source: Annotated[str, column("Entry of sources.yaml that says how to read it; `api` for posted batches that name none.")]
    state: Annotated[BatchState, column("received, validating, loaded, partially_loaded, rejected, replayed or retracted.")]
    file_name: Annotated[str, column("What the sender called the file.")]
    media_type: Annotated[str, column("Media type of the file.")]
    bytes: Annotated[int, column("Size of all files of the batch.", unit="bytes")]
    sha256: Annotated[str, column("SHA-256 of the first file, 64 hex digits.")]
    parameters: Annotated[str, column("What was sent beside the rows, such as forecast_id, as JSON.")]
    received_at: Annotated[datetime, column("When it came in, UTC. Of two batches with the same row the later one holds.")]
    lines: Annotated[int, column("Rows that the batch has.", unit="rows")]
    loaded: Annotated[int, column("Rows that the batch gave to the tables.", unit="rows")]
    rejected: Annotated[int, column("Rows that could not be used; see /ingest/batches/{id}/rejects.", unit="rows")]
    merged: Annotated[int, column("Rows that were added to, or replaced by, another row of the batch.", unit="rows")]
    skipped: Annotated[int, column("Rows that the mapping leaves out on purpose.", unit="rows")]
    first_date: Annotated[CalendarDay | None, column("First day that its rows speak of.")]
    last_date: Annotated[CalendarDay | None, column("Last day that its rows speak of.")]
    reasons: Annotated[str, column("Number of rejected rows a code, as JSON; or why the whole batch was rejected.")]
    duration_ms: Annotated[int, column("Time that reading and checking it took.", unit="ms")]
    dagster_run_id: Annotated[str | None, column("Run that read it; the job of that id without dashes.")]


class IngestReject(Struct, frozen=True):
    """One row that could not be used, as it came. At most the first 1,000 of a batch are published; all are in the warehouse."""

    batch_id: Annotated[str, column("The batch.")]
    row_index: Annotated[int, column("Number of the row in its file, from 0.")]
    file: Annotated[str, column("Name of the file.")]
    code: Annotated[str, column("Why, for example UNKNOWN_STORE or INVALID_TYPE; docs/sources.md has all.")]
    field: Annotated[str | None, column("Column at fault.")]
    value: Annotated[str | None, column("What stood there.")]
    record: Annotated[str, column("The whole row as JSON.")]


class IngestAudit(Struct, frozen=True):
    """One event in the life of a batch. Each line holds the hash of the one before, so that none can be altered unseen."""

    seq: Annotated[int, column("Number of the event, from 1.")]
    at: Annotated[datetime, column("When it happened, UTC.")]
    batch_id: Annotated[str, column("The batch.")]
    kind: Annotated[str, column("Kind of data.")]
    state: Annotated[BatchState, column("State that the batch is in from then on.")]
    lines: Annotated[int, column("Rows that the batch has.", unit="rows")]
    loaded: Annotated[int, column("Rows loaded.", unit="rows")]
    rejected: Annotated[int, column("Rows rejected.", unit="rows")]
    merged: Annotated[int, column("Rows merged.", unit="rows")]
    skipped: Annotated[int, column("Rows left out on purpose.", unit="rows")]
    detail: Annotated[str, column("Why, where there is more to say.")]
    dagster_run_id: Annotated[str | None, column("Run in which it happened.")]
    previous: Annotated[str, column("Hash of the event before, 64 hex digits; zeros for the first.")]
    hash: Annotated[str, column("SHA-256 over previous and this event.")]


class IngestParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Read every batch that waits in the landing zone, whichever job is told of it, and publish."""

    batch_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="The batch that the job was started for.")]


class ReplayParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Read the kept bytes of a batch again; the tables come out as they were."""

    batch_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="A batch of /ingest/batches.")]
