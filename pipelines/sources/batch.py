"""One landed batch read into typed rows: a folder of Parquet pieces, a table and month each, and what became of the lines.

warehouse/sources/batch/<batch_id>/<table>.<month|all>.parquet    rows of a kind's columns, with row
                                   rejects.parquet                lines that could not be used: code, field, value, record
                                   loaded.json                    Loaded, written last: without it there is nothing

The folder comes into being in one step, so that a batch is read whole or not at all, whenever the process is killed.
"""

import hashlib
import shutil
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from assets_config.contract.durable import making_folder
from assets_config.contract.landing import POSTED, Batch, Landing
from assets_config.contract.seeds import SEED_KIND, Seed
from assets_config.declared import Declarations
from assets_config.mapping import FileSource, TableFile
from pipelines.errors import SourceError
from pipelines.sources.pieces import IDENTICAL, Piece, write_pieces
from pipelines.sources.relation import NOT_THE_FILES_FAULT, UNREADABLE, Relation, first_line, identifier, relation
from pipelines.sources.shape import shaped, weekly
from pipelines.sources.synthetic.generator import generate
from pipelines.sources.typed import typed
from pipelines.warehouse import Warehouse

READER = "3"
"""Rises when the same bytes would give other rows: every batch is then read again."""
AS_IS = TableFile(file="*")


class Loaded(msgspec.Struct, frozen=True):
    """What became of the lines of a batch: lines = rows of all pieces + rejected + skipped + merged."""

    batch_id: str
    signature: str
    lines: int
    rejected: dict[str, int]  # code -> lines
    skipped: dict[str, int]
    pieces: list[Piece]
    first_date: date | None
    last_date: date | None
    duration_ms: int
    dagster_run_id: str | None = None
    replayed: bool = False
    failure: str | None = None  # why the whole batch cannot be used
    merged: int = 0  # lines that are equal to an earlier one, where the mapping says that such lines are one
    repeated: str = "last"  # what lines of one store, product and day mean in it: last or sum


class Batches:
    """The typed batches of a warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.folder = warehouse.folder / "sources" / "batch"
        self.landing = Landing(warehouse.root)

    def path(self, batch_id: str) -> Path:
        return self.folder / batch_id

    def loaded(self, batch_id: str) -> Loaded | None:
        """What became of a batch; None where it was not read yet."""
        try:
            return msgspec.json.decode((self.path(batch_id) / "loaded.json").read_bytes(), type=Loaded)
        except FileNotFoundError:
            return None

    def piece(self, batch_id: str, piece: Piece) -> Path:
        return self.path(batch_id) / f"{piece.table}.{piece.month}.parquet"


def signature(batch: Batch, declarations: Declarations) -> str:
    """16 hex digits of all that decides how a batch is read; a changed mapping has it read again."""
    declared = declarations.sources.get(batch.source)
    table = declared.tables.get(batch.kind) if isinstance(declared, FileSource) else None
    said = [READER, batch.batch_id, table, declared is None and batch.source not in (POSTED, SEED_KIND)]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]


def read_batch(
    batches: Batches,
    batch: Batch,
    declarations: Declarations,
    connection: duckdb.DuckDBPyConnection,
    *,
    run_id: str | None = None,
    replay: bool = False,
) -> Loaded:
    """Read a batch into typed rows, in place of what an earlier reading gave. What is wrong with it as a whole is in `failure`."""
    began = time.monotonic()
    folder = batches.path(batch.batch_id)
    fresh = folder.with_name(f"{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    with making_folder(fresh) as beside:
        try:
            content = _generated(batches.landing, batch, beside) if batch.kind == SEED_KIND else None
            content = content or _read(batches.landing, batch, declarations, connection, beside)
        except SourceError as error:
            for path in beside.iterdir():
                path.unlink() if path.is_file() else shutil.rmtree(path)
            said = str(error).replace(str(batches.landing.path(batch.kind, batch.batch_id)) + "/", "")
            content = {"lines": 0, "rejected": {}, "skipped": {}, "pieces": [], "first_date": None, "last_date": None}
            content["failure"] = said.replace(batch.files[0].stored, batch.files[0].name)
        loaded = Loaded(
            batch_id=batch.batch_id,
            signature=signature(batch, declarations),
            duration_ms=round((time.monotonic() - began) * 1000),
            dagster_run_id=run_id,
            replayed=replay,
            **content,
        )
        (beside / "loaded.json").write_bytes(msgspec.json.format(msgspec.json.encode(loaded)))
    shutil.rmtree(folder, ignore_errors=True)  # only now: until here the earlier reading was there
    fresh.rename(folder)
    return loaded


def _read(
    landing: Landing, batch: Batch, declarations: Declarations, connection: duckdb.DuckDBPyConnection, target: Path
) -> dict[str, Any]:
    declared = _declared(batch, declarations)
    paths = landing.files(batch)
    name = f"b{batch.batch_id[:12]}"
    where = batch.files[0].name
    others = {file.name: n for n, file in enumerate(batch.files)}

    def lookup(file: str) -> Relation:
        if file not in others:
            raise SourceError(f"{where} needs {file}, which did not come with it")
        return relation(paths[others[file]], connection, name=f"{name}_{others[file]}", encoding=declared.encoding)

    connection.execute("SET TimeZone = 'UTC'")
    try:
        lines = relation(paths[0], connection, name=name, encoding=declared.encoding)
        latest = batch.received_at.date() + timedelta(days=1)  # it may be tomorrow already where the store is
        rows = typed(shaped(lines, declared, lookup, where=where), batch.kind, declared, where=where, latest=latest)
        if declared.identical == "drop":
            listed = ", ".join(identifier(each) for each in lines.types)
            first = f"(SELECT min(row_) AS row FROM {lines} GROUP BY {listed})"
            again = f"CASE WHEN f.row IS NULL AND fault_ IS NULL THEN '{IDENTICAL}' ELSE skip_ END AS skip_"
            rows = f"SELECT r.* REPLACE ({again}) FROM ({rows}) r LEFT JOIN {first} f USING (row)"
        if declared.weekly is not None:
            rows = weekly(rows, declared.weekly.shares)
        return write_pieces(rows, lines, batch, declared, connection, target) | {"repeated": declared.repeated}
    except NOT_THE_FILES_FAULT:
        raise
    except (FileNotFoundError, PermissionError, *UNREADABLE) as error:
        if "No space left" in str(error):
            raise
        raise SourceError(f"{where} cannot be read: {first_line(error)}") from error
    finally:
        connection.execute("SET preserve_insertion_order = false")
        for table in (f"{name}_csv", *(f"{name}_{n}_csv" for n in others.values())):
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _declared(batch: Batch, declarations: Declarations) -> TableFile:
    if batch.source == POSTED:
        return AS_IS
    declared = declarations.sources.get(batch.source)
    if not isinstance(declared, FileSource):
        known = ", ".join(name for name, each in declarations.sources.items() if isinstance(each, FileSource))
        raise SourceError(f"no source that reads files is called {batch.source} in sources.yaml; there are {known}")
    if batch.kind not in declared.tables:
        raise SourceError(f"source {batch.source} does not say how to read {batch.kind}; it reads {', '.join(declared.tables)}")
    return declared.tables[batch.kind]


def _generated(landing: Landing, batch: Batch, target: Path) -> dict[str, Any]:
    """The rows of a generator's batch, whose content says what to generate."""
    seed = msgspec.json.decode(landing.files(batch)[0].read_bytes(), type=Seed)
    pieces, days = [], []
    for made in generate(seed):
        piece = Piece(made.table, made.month or "all", made.frame.height)
        if not piece.rows:
            continue
        frame = made.frame.with_row_index("row", offset=1).cast({"row": int}).select(*made.frame.columns, "row")
        frame.write_parquet(target / f"{piece.table}.{piece.month}.parquet", compression="zstd")
        pieces.append(piece)
        if piece.table == "sales-daily":
            days += [made.frame["date"].min(), made.frame["date"].max()]
    lines = sum(piece.rows for piece in pieces if piece.table != "truth")
    first, last = (min(days), max(days)) if days else (None, None)  # type: ignore[type-var]
    return {"lines": lines, "rejected": {}, "skipped": {}, "pieces": pieces, "first_date": first, "last_date": last}
