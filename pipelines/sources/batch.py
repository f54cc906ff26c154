"""One landed batch read into typed rows: a folder of Parquet pieces, a table and month each, and what became of the lines.

warehouse/sources/batch/<batch_id>/<table>.<month|all>.parquet    rows of a kind's columns, with row
                                   rejects.parquet                lines that could not be used: code, field, value, record
                                   loaded.json                    Loaded, written last: without it there is nothing

The folder comes into being in one step, so that a batch is read whole or not at all, whenever the process is killed.
"""

import hashlib
import shutil
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from assets_config.contract.cells import columns
from assets_config.contract.durable import making_folder
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import POSTED, Batch, Landing
from assets_config.contract.seeds import SEED_KIND, Seed
from assets_config.declared import Declarations
from assets_config.mapping import FileSource, TableFile
from pipelines.errors import SourceError
from pipelines.sources.relation import NOT_THE_FILES_FAULT, UNREADABLE, Relation, first_line, identifier, literal, relation
from pipelines.sources.shape import shaped, weekly
from pipelines.sources.synthetic.generator import generate
from pipelines.sources.typed import typed
from pipelines.warehouse import Warehouse, quoted

READER = "2"
"""Rises when the same bytes would give other rows: every batch is then read again."""
AS_IS = TableFile(file="*")
IDENTICAL = "IDENTICAL"
"""Why a line is left out that is equal to an earlier one in every column, where the mapping says that such lines are one."""
RETURNED = 1_000_000


class Piece(msgspec.Struct, frozen=True):
    """One Parquet file of a batch."""

    table: str  # a kind, or truth
    month: str  # 2024-01, or `all` for kinds that are not kept by month
    rows: int


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
        return _written(rows, lines, batch, declared, connection, target) | {"repeated": declared.repeated}
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


def _written(
    rows: str, lines: Relation, batch: Batch, declared: TableFile, connection: duckdb.DuckDBPyConnection, target: Path
) -> dict[str, Any]:
    """Write the sound rows, parted by table and month, then those that cannot be used, if there are any."""
    kind = KINDS[batch.kind]
    ours = ", ".join(column.name for column in columns(kind.rows))
    skips = [*declared.skip, IDENTICAL]
    # Parts are numbered, since that is twice as fast as naming them: a month as 202401, 0 for `all`, returns 1000000 higher.
    month = f"(year({kind.by_month}) * 100 + month({kind.by_month}))" if kind.by_month else "0"
    part = (
        f"(CASE WHEN skip_ IS NOT NULL THEN -2 - list_position({skips}, skip_) WHEN fault_ IS NOT NULL THEN -1 "
        f"WHEN is_return_ THEN {RETURNED} + {month} ELSE {month} END)::INTEGER AS part_"
    )
    parted = target / "parted"
    [(kept,)] = connection.execute(
        f"COPY (SELECT {ours}, row, {part} FROM ({rows}) WHERE skip_ IS NULL AND fault_ IS NULL) "
        f"TO '{quoted(parted)}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (part_))"
    ).fetchall()
    pieces = []
    for folder in sorted(parted.iterdir()) if kept else []:
        table, month_name = _part_name(int(folder.name.partition("=")[2]), batch.kind)
        found = f"read_parquet('{quoted(folder)}/*.parquet')"
        [(count,)] = connection.execute(f"SELECT count(*) FROM {found}").fetchall()
        pieces.append(Piece(table, month_name, count))
        files, out = list(folder.iterdir()), target / f"{table}.{month_name}.parquet"
        if len(files) == 1 and table == batch.kind:
            files[0].rename(out)
        else:
            select = f"SELECT {_columns_of(table, batch.kind)} FROM {found} ORDER BY row"
            connection.execute(f"COPY ({select}) TO '{quoted(out)}' (FORMAT parquet, COMPRESSION zstd)")
    shutil.rmtree(parted, ignore_errors=True)
    others: dict[int, int] = {}
    is_plain = declared.wide is None and declared.weekly is None
    if not is_plain or connection.execute(f"SELECT count(*) FROM {lines}").fetchall() != [(kept,)]:
        unusable = f"SELECT {part} FROM ({rows}) WHERE skip_ IS NOT NULL OR fault_ IS NOT NULL"
        others = dict(connection.execute(f"SELECT part_, count(*) FROM ({unusable}) GROUP BY 1").fetchall())
    rejected = _rejected(rows, lines, batch, connection, target, is_any=-1 in others)
    skipped = {skips[-number - 3]: count for number, count in sorted(others.items()) if number < -1}
    merged = skipped.pop(IDENTICAL, 0)
    total = kept + sum(rejected.values()) + sum(skipped.values()) + merged
    if total == 0:
        raise SourceError(f"{batch.files[0].name} has no rows")
    _write_codes(batch, pieces, connection, target)
    first, last = _range(batch, pieces, connection, target)
    return {
        "lines": total,
        "rejected": rejected,
        "skipped": skipped,
        "merged": merged,
        "pieces": pieces,
        "first_date": first,
        "last_date": last,
    }


def _part_name(number: int, kind: str) -> tuple[str, str]:
    """Table and month of a numbered part."""
    table, month = ("returns", number - RETURNED) if number >= RETURNED else (kind, number)
    return table, f"{month // 100}-{month % 100:02}" if month else "all"


def _columns_of(table: str, kind: str) -> str:
    """The columns of a piece, from lines of another kind where returns come among sales."""
    amount = "coalesce(total_amount, (quantity::DECIMAL(18,0) * unit_price)::DECIMAL(18,2)) AS total_amount"
    told = {"total_amount": amount} if table != kind else {}  # returns have no price of a unit
    have = {column.name for column in columns(KINDS[kind].rows)}
    wanted = [column.name for column in columns(KINDS[table].rows)]
    return ", ".join(told.get(name, name) if name in have else f"NULL::VARCHAR AS {name}" for name in wanted) + ", row"


def _rejected(
    rows: str, lines: Relation, batch: Batch, connection: duckdb.DuckDBPyConnection, target: Path, *, is_any: bool
) -> dict[str, int]:
    """Write the lines that cannot be used; gives their number a code."""
    scans = []
    file = literal(batch.files[0].name)
    if is_any:
        fault = "fault_.code AS code, fault_.field AS field, fault_.value AS value, record"
        scans.append(f"SELECT {file} AS file, row, {fault} FROM ({rows}) WHERE skip_ IS NULL AND fault_ IS NOT NULL")
    if lines.malformed:
        nothing = "NULL::VARCHAR AS field, NULL::VARCHAR AS value"
        scans.append(
            f"SELECT {file} AS file, row_ AS row, 'MALFORMED_LINE' AS code, {nothing}, csv_line AS record FROM {lines.malformed}"
        )
    if not scans:
        return {}
    path = quoted(target / "rejects.parquet")
    connection.execute(f"COPY (FROM ({' UNION ALL '.join(scans)}) ORDER BY row) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return dict(connection.execute(f"SELECT code, count(*) FROM read_parquet('{path}') GROUP BY 1 ORDER BY 1").fetchall())


NAMES: Mapping[str, tuple[str, str]] = {
    "sales-daily": ("store_code", "sku"),
    "historical-sales": ("store_id", "category"),
}


def _write_codes(batch: Batch, pieces: list[Piece], connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """The stores and products that sales name: they stand in for files of stores and products where there are none."""
    if batch.kind not in NAMES or not pieces:
        return
    store, product = NAMES[batch.kind]
    found = _pieces(pieces, target)
    entity = "category" if batch.kind == "historical-sales" else "product"
    named = (
        f"SELECT DISTINCT 'store' AS entity, {store} AS code FROM {found} "
        f"UNION ALL SELECT DISTINCT '{entity}', {product} FROM {found}"
    )
    connection.execute(f"COPY ({named} ORDER BY ALL) TO '{quoted(target / 'codes.parquet')}' (FORMAT parquet)")


def _pieces(pieces: list[Piece], target: Path) -> str:
    paths = ", ".join(f"'{quoted(target / f'{each.table}.{each.month}.parquet')}'" for each in pieces)
    return f"read_parquet([{paths}], union_by_name = true)"


def _range(
    batch: Batch, pieces: list[Piece], connection: duckdb.DuckDBPyConnection, target: Path
) -> tuple[date | None, date | None]:
    if KINDS[batch.kind].by_month is None or not pieces:
        return None, None
    found = _pieces(pieces, target)
    [row] = connection.execute(f"SELECT min(date), max(date) FROM {found}").fetchall()
    return row[0], row[1]


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
