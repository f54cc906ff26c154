"""The typed rows of a batch written as Parquet pieces, a table and month each, and what became of the other lines."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import Batch
from assets_config.mapping import TableFile
from pipelines.errors import SourceError
from pipelines.sources.relation import Relation, literal
from pipelines.warehouse import quoted

IDENTICAL = "IDENTICAL"
"""Why a line is left out that is equal to an earlier one in every column, where the mapping says that such lines are one."""

RETURNED = 1_000_000  # what the number of a part is higher by, where it has returns that came among sales


class Piece(msgspec.Struct, frozen=True):
    """One Parquet file of a batch."""

    table: str  # a kind, or truth
    month: str  # 2024-01, or `all` for kinds that are not kept by month
    rows: int


def write_pieces(
    rows: str, lines: Relation, batch: Batch, declared: TableFile, connection: duckdb.DuckDBPyConnection, target: Path
) -> dict[str, Any]:
    """Write the sound rows, parted by table and month, then those that cannot be used, if there are any.

    Takes    `rows`: a SELECT of typed rows, with skip_, fault_ and is_return_ beside the columns of their kind (typed.py).
    Gives    lines, rejected, skipped, merged, pieces, first_date and last_date of Loaded (batch.py).
    Raises   SourceError, when there are no rows at all.
    """
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
