"""The typed lines of the active batches, as the core tables read them."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import POSTED, Batch
from pipelines.errors import PipelineError
from pipelines.sources.batch import Loaded
from pipelines.sources.load import Ledger
from pipelines.sources.relation import literal
from pipelines.sources.typed import sql_type
from pipelines.warehouse import Warehouse, scan

EVERY_SOURCE = "*"
"""What batches that name no source say holds for all of them."""


class Lines(msgspec.Struct, frozen=True):
    """The lines of one kind that one batch has for one month."""

    kind: str
    month: str
    path: Path
    rank: int  # of two lines for the same thing the higher rank holds: by time of receipt, then id
    batch: Batch
    loaded: Loaded


def label(batch: Batch) -> str:
    """The source whose ids a batch uses."""
    return EVERY_SOURCE if batch.source == POSTED else batch.source


class Incoming:
    """All lines of the active batches, by kind."""

    def __init__(self, warehouse: Warehouse) -> None:
        ledger = Ledger(warehouse)
        self.ledger = ledger
        self.batches = ledger.active()
        self._by_kind: dict[str, list[Lines]] = {}
        self.loaded: dict[str, Loaded] = {}
        for rank, batch in enumerate(self.batches):
            loaded = ledger.batches.loaded(batch.batch_id)
            if loaded is None:  # a process was killed while it read the batch: its rows must not be left out
                raise PipelineError(f"batch {batch.batch_id} is not read yet: materialise sources/batches first")
            self.loaded[batch.batch_id] = loaded
            for piece in loaded.pieces:
                path = ledger.batches.piece(batch.batch_id, piece)
                self._by_kind.setdefault(piece.table, []).append(Lines(piece.table, piece.month, path, rank, batch, loaded))

    def of(self, *kinds: str) -> list[Lines]:
        """The lines of some kinds, lowest rank first."""
        return sorted((each for kind in kinds for each in self._by_kind.get(kind, [])), key=lambda each: each.rank)

    def frame(self, kind: str, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
        """All lines of a small kind: its columns, row, rank, source and received_on."""
        listed = columns(KINDS[kind].rows)
        empty = [f"NULL::{sql_type(column)} AS {column.name}" for column in listed]
        empty += ["NULL::BIGINT AS row", "NULL::BIGINT AS rank", "NULL::VARCHAR AS source", "NULL::DATE AS received_on"]
        queries = [f"SELECT {', '.join(empty)} WHERE false"]
        if self.of(kind):
            names = ", ".join(column.name for column in listed)
            queries.append(f"SELECT {names}, row, rank, source, received_on FROM {tagged(self.of(kind), connection)}")
        return connection.sql(" UNION ALL ".join(queries)).pl()

    def codes(self, entity: str, *, until: Sequence[str] = ()) -> pl.DataFrame:
        """What the sales call stores, products or categories: code, rank and received_on.

        Only sales count that came in before the first batch of the kinds `until`.
        """
        first = min((each.batch.received_at for each in self.of(*until)), default=None)
        frames = [pl.DataFrame(schema={"code": pl.String, "rank": pl.Int64, "received_on": pl.Date})]
        for rank, batch in enumerate(self.batches):
            path = self.ledger.batches.path(batch.batch_id) / "codes.parquet"
            if path.exists() and (first is None or batch.received_at < first):
                found = pl.read_parquet(path).filter(pl.col("entity") == entity).select("code")
                frames.append(found.with_columns(rank=pl.lit(rank, pl.Int64), received_on=pl.lit(batch.received_at.date())))
        return pl.concat(frames)


def tagged(lines: Sequence[Lines], connection: duckdb.DuckDBPyConnection) -> str:
    """Lines of one kind as SQL to select from, each with what is known of its batch.

    rank, source, received_on, adds_up (whether lines of one grain are a sum), and the parameters of the kind. One scan with a
    look-up by file, however many batches there are: a UNION of thousands is slow to plan.
    """
    kind = KINDS[lines[0].kind]
    if len(lines) == 1:
        [one] = lines
        named = "".join(f", {literal(one.batch.parameters.get(name, ''))} AS {name}" for name in kind.parameters)
        told = (
            f"{one.rank}::BIGINT AS rank, {literal(label(one.batch))} AS source, {one.loaded.repeated == 'sum'} AS adds_up{named}"
        )
        return f"(SELECT *, {told}, DATE '{one.batch.received_at.date()}' AS received_on FROM {scan([one.path])})"
    rows = [
        [
            str(each.path),
            each.rank,
            label(each.batch),
            each.batch.received_at.date(),
            each.loaded.repeated == "sum",
            *(each.batch.parameters.get(name) for name in kind.parameters),
        ]
        for each in lines
    ]
    columns_ = ("path", "rank", "source", "received_on", "adds_up", *kind.parameters)
    types = {"rank": pl.Int64, "received_on": pl.Date, "adds_up": pl.Boolean}
    frame = pl.DataFrame(rows, schema={name: types.get(name, pl.String) for name in columns_}, orient="row")
    table = f"files_{lines[0].kind.replace('-', '_')}"
    connection.register("files_given", frame.to_arrow())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM files_given")
    listed = ", ".join(literal(str(each.path)) for each in lines)
    found = f"read_parquet([{listed}], filename = true, union_by_name = true)"
    return f"(SELECT * EXCLUDE (path, filename) FROM {found} JOIN {table} ON filename = path)"


def signature_of(lines: Sequence[Lines]) -> list[tuple[str, str]]:
    """What the lines are, and in which order they hold."""
    return [(each.batch.batch_id, each.loaded.signature) for each in sorted(lines, key=lambda each: each.rank)]
