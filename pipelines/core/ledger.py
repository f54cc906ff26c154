"""What became of each batch, counted from the tables: batches, rejected rows and the audit trail, as they are published."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import polars as pl

from assets_config.contract.ingest import IngestAudit, IngestBatch
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import Batch
from assets_config.contract.names import BatchState
from pipelines.core.lines import Incoming
from pipelines.core.tables import FACTS
from pipelines.partitions import Account
from pipelines.sources.audit import event
from pipelines.sources.batch import Loaded
from pipelines.sources.land import is_posted
from pipelines.sources.pieces import Piece
from pipelines.warehouse import Warehouse, quoted

FEW = 1_000
"""Rejected rows of a batch that are published; all of them stay in the warehouse."""
REJECT_TYPES = {
    **dict.fromkeys(("batch_id", "file"), "VARCHAR"),
    "row": "BIGINT",
    **dict.fromkeys(("code", "field", "value", "record"), "VARCHAR"),
}
FACT_KINDS = {kind for fact in FACTS for kind in fact.kinds}


def batches(warehouse: Warehouse, incoming: Incoming, connection: duckdb.DuckDBPyConnection) -> list[IngestBatch]:
    """Every batch of the landing zone with its counts: lines = loaded + rejected + merged + skipped."""
    accounts = _accounts(warehouse)
    active = set(incoming.loaded)
    events = incoming.ledger.audit.states()
    told = []
    for batch in incoming.ledger.landing.batches():
        loaded = incoming.ledger.batches.loaded(batch.batch_id)
        is_active = batch.batch_id in active
        last = events.get(batch.batch_id)
        if loaded is None or not is_active:
            waits = last.state != "retracted" if last else is_posted(batch)
            why = last.detail if last else (loaded and loaded.failure) or ""
            told.append(_row(batch, "received" if waits else "retracted", loaded, Account(0, 0, {}), why))
            continue
        account = _sum(accounts.get(batch.batch_id, []) + _small(incoming, batch, loaded, connection))
        rejected = Counter(loaded.rejected) + Counter(account.rejected)
        account = Account(account.loaded, account.merged + loaded.merged, dict(rejected))
        told.append(_row(batch, _state(loaded, account), loaded, account, loaded.failure or ""))
    return told


def record(incoming: Incoming, rows: list[IngestBatch], *, run_id: str | None = None) -> int:
    """Add an event for each batch whose state or counts differ from its last event; gives how many."""
    known = {batch.batch_id: batch for batch in incoming.ledger.landing.batches()}
    events, new = incoming.ledger.audit.states(), []
    for row in rows:
        last = events.get(row.batch_id)
        if last is None or row.state in ("received", "retracted") or _same(last, row):
            continue
        counts = {name: getattr(row, name) for name in ("lines", "loaded", "rejected", "merged", "skipped")}
        new.append(event(known[row.batch_id], row.state, **counts, detail=row.reasons, run_id=run_id))
    return incoming.ledger.audit.append(new)


def rejects(warehouse: Warehouse, incoming: Incoming) -> str:
    """A query over the rejected rows of all active batches, as they are published: the first of each batch."""
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in REJECT_TYPES.items())
    scans = [f"SELECT {empty} WHERE false"]
    for batch_id in incoming.loaded:
        path = incoming.ledger.batches.path(batch_id) / "rejects.parquet"
        if path.exists():
            scans.append(f"SELECT '{batch_id}', * FROM read_parquet('{quoted(path)}')")
    for fact in FACTS:
        for path in warehouse.partitioned(fact.table).rejects():
            scans.append(f"SELECT * FROM read_parquet('{quoted(path)}')")
    return (
        f"SELECT batch_id, row - 1 AS row_index, file, code, field, value, coalesce(record, '') AS record FROM "
        f"({' UNION ALL '.join(scans)}) QUALIFY row_number() OVER (PARTITION BY batch_id ORDER BY row, code) <= {FEW} ORDER BY ALL"
    )


def write_batches(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, *, run_id: str | None = None) -> int:
    """Write core/ingest_batch and add what changed to the audit trail; gives the number of added events."""
    incoming = Incoming(warehouse)
    rows = batches(warehouse, incoming, connection)
    added = record(incoming, rows, run_id=run_id)
    warehouse.write("core/ingest_batch", batch_frame(rows))
    return added


def write_rejects(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> int:
    """Write core/ingest_reject; gives its rows."""
    return warehouse.write_query("core/ingest_reject", connection, rejects(warehouse, Incoming(warehouse)))


def rejections(warehouse: Warehouse) -> list[str]:
    """A sentence a kind of data of which lines could not be used: how many of all, and how many a code, most first."""
    table = warehouse.read("core/ingest_batch").filter(pl.col("state") != "retracted")
    told = []
    for kind, lines, rejected in table.group_by("kind").agg(pl.sum("lines", "rejected")).sort("kind").iter_rows():
        if not rejected:
            continue
        codes: Counter[str] = Counter()
        for reasons in table.filter(pl.col("kind") == kind, pl.col("rejected") > 0)["reasons"]:
            codes += Counter(json.loads(reasons))
        listed = ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
        told.append(f"{rejected:,} of {lines:,} lines of {kind} were rejected: {listed}; /api/v1/ingest/batches has each")
    return told


def audit_frame(events: list[IngestAudit]) -> pl.DataFrame:
    """The audit trail as a table."""
    rows = [msgspec.structs.asdict(each) for each in events]
    schema = dict.fromkeys(("seq", "lines", "loaded", "rejected", "merged", "skipped"), pl.Int64)
    return _frame(rows, list(IngestAudit.__struct_fields__), schema | {"at": pl.Datetime("us")})


def batch_frame(rows: list[IngestBatch]) -> pl.DataFrame:
    """The batches as a table."""
    counts = ("bytes", "lines", "loaded", "rejected", "merged", "skipped", "duration_ms")
    schema = dict.fromkeys(counts, pl.Int64) | {"first_date": pl.Date, "last_date": pl.Date}
    columns = list(IngestBatch.__struct_fields__)
    return _frame([msgspec.structs.asdict(row) for row in rows], columns, schema | {"received_at": pl.Datetime("us")})


def _frame(rows: list[dict], columns: list[str], schema: dict) -> pl.DataFrame:
    return pl.DataFrame(
        {name: pl.Series([_naive(row[name]) for row in rows], dtype=schema.get(name, pl.String)) for name in columns}
    )


def _naive(value: Any) -> Any:
    """Times are kept in UTC and without a zone, as the contract has them."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _accounts(warehouse: Warehouse) -> dict[str, list[Account]]:
    found: dict[str, list[Account]] = {}
    for fact in FACTS:
        index = warehouse.partitioned(fact.table).index()
        for partition in index.partitions.values() if index else ():
            for batch_id, account in partition.accounts.items():
                found.setdefault(batch_id, []).append(account)
    return found


def _small(incoming: Incoming, batch: Batch, loaded: Loaded, connection: duckdb.DuckDBPyConnection) -> list[Account]:
    """The accounts of kinds that become no fact: a row a grain is loaded, the others are merged with it."""
    found = []
    for piece in loaded.pieces:
        if piece.table in FACT_KINDS or piece.table not in KINDS:
            continue
        found.append(_grains(incoming, batch, piece, connection))
    return found


def _grains(incoming: Incoming, batch: Batch, piece: Piece, connection: duckdb.DuckDBPyConnection) -> Account:
    path = incoming.ledger.batches.piece(batch.batch_id, piece)
    grain = ", ".join(KINDS[piece.table].grain)
    [(rows,)] = connection.execute(f"SELECT count(*) FROM (SELECT DISTINCT {grain} FROM read_parquet('{quoted(path)}'))").fetchall()
    return Account(rows, piece.rows - rows, {})


def _sum(accounts: list[Account]) -> Account:
    rejected: Counter[str] = Counter()
    for each in accounts:
        rejected.update(each.rejected)
    return Account(sum(each.loaded for each in accounts), sum(each.merged for each in accounts), dict(rejected))


def _state(loaded: Loaded, account: Account) -> BatchState:
    if account.loaded == 0 and (loaded.failure or account.rejected):
        return "rejected"
    if loaded.replayed:
        return "replayed"
    return "partially_loaded" if account.rejected else "loaded"


def _row(batch: Batch, state: BatchState, loaded: Loaded | None, account: Account, why: str) -> IngestBatch:
    return IngestBatch(
        batch_id=batch.batch_id,
        kind=batch.kind,
        source=batch.source,
        state=state,
        file_name=batch.files[0].name,
        media_type=batch.media_type,
        bytes=batch.bytes,
        sha256=batch.files[0].sha256,
        parameters=json.dumps(batch.parameters, sort_keys=True),
        received_at=batch.received_at,
        lines=loaded.lines if loaded else 0,
        loaded=account.loaded,
        rejected=sum(account.rejected.values()),
        merged=account.merged,
        skipped=sum(loaded.skipped.values()) if loaded else 0,
        first_date=loaded.first_date if loaded else None,
        last_date=loaded.last_date if loaded else None,
        reasons=why or json.dumps({**account.rejected, **(loaded.skipped if loaded else {})}, sort_keys=True),
        duration_ms=loaded.duration_ms if loaded else 0,
        dagster_run_id=loaded.dagster_run_id if loaded else None,
    )


def _same(last: IngestAudit, row: IngestBatch) -> bool:
    counts = ("state", "lines", "loaded", "rejected", "merged", "skipped")
    return all(getattr(last, name) == getattr(row, name) for name in counts)
