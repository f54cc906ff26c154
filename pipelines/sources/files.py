"""Reads one declared table from CSV or Parquet files: our columns, typed; what cannot be typed is rejected, not lost.

Everything is DuckDB SQL over the files, so that a source of any size streams through.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import msgspec

from assets_config.declared import TableFile
from pipelines.errors import SourceError
from pipelines.sources.columns import Column
from pipelines.warehouse import quoted


class Typed(msgspec.Struct, frozen=True):
    """Two queries over the same files: the rows that could be typed, and one line for each that could not."""

    rows: str
    rejects: str


def read(folder: Path, declared: TableFile, columns: Sequence[Column], connection: duckdb.DuckDBPyConnection) -> Typed | None:
    """The queries that read the files of one declared table; None where an optional file is not there.

    `rows` gives `columns`, file and row. `rejects` gives file, row, code, field, value and record (JSON of the row).

    Raises SourceError, naming the file, when it is missing, empty, unreadable or lacks a required column.
    """
    paths = _paths(folder, declared)
    if not paths:
        return None
    scans = [_read_file(n, path, declared, columns, connection) for n, path in enumerate(paths)]
    return Typed(" UNION ALL ".join(scan.rows for scan in scans), " UNION ALL ".join(scan.rejects for scan in scans))


def _paths(folder: Path, declared: TableFile) -> list[Path]:
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder: give the one that holds {declared.file} with --path")
    paths = sorted(path for path in folder.glob(declared.file) if path.is_file())
    if not paths and not declared.optional:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise SourceError(f"{folder} holds no {declared.file}; it holds {found}")
    return paths


class _Scan(msgspec.Struct, frozen=True):
    """A file as a relation: its columns' types, row_ (number of the data row, from 1), and its malformed lines."""

    relation: str
    types: dict[str, str]
    malformed: str | None = None  # relation of row_, csv_line


def _read_file(n: int, path: Path, declared: TableFile, columns: Sequence[Column], connection: duckdb.DuckDBPyConnection) -> Typed:
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes)")
    try:
        scan = _parquet(path, connection) if path.suffix == ".parquet" else _csv(n, path, connection)
        mapping = _mapping(path, declared, columns, list(scan.types))
        count = connection.execute(f"SELECT count(*) FROM {scan.relation}").fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {_first_line(error)}") from error
    if count == [(0,)]:
        raise SourceError(f"{path} has no rows")
    return _typed(path, scan.relation, columns, mapping, scan)


def _parquet(path: Path, connection: duckdb.DuckDBPyConnection) -> _Scan:
    scan = f"read_parquet('{quoted(path)}', file_row_number = true)"
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()
    relation = f"(SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS row_ FROM {scan})"
    return _Scan(relation, {row[0]: row[1] for row in described})


def _csv(n: int, path: Path, connection: duckdb.DuckDBPyConnection) -> _Scan:
    """Every column is read as text; the delimiter is the commonest of , ; tab | in the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline()
        delimiter = max(",;\t|", key=line.count)
        header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    if len(set(header)) < len(header) or not all(header):
        raise SourceError(f"{path}: column names must be there and differ; the header is {', '.join(header)}")
    types = dict.fromkeys(header, "VARCHAR")
    columns = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for name in header)
    scan = (
        f"read_csv('{quoted(path)}', auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', "
        f"escape = '\"', columns = {{{columns}}}, store_rejects = true, rejects_table = 'csv_rejects_{n}', "
        f"rejects_scan = 'csv_scans_{n}')"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE csv_{n} AS SELECT *, row_number() OVER () AS row_ FROM {scan}")
    bad = f"(SELECT line - 1 AS row_, any_value(csv_line) AS csv_line FROM csv_rejects_{n} GROUP BY line)"
    if connection.execute(f"SELECT count(*) FROM {bad}").fetchall() == [(0,)]:
        return _Scan(f"csv_{n}", types)
    # Rows were numbered without the malformed lines: the i-th of those, at row r, shifts all from r - i on.
    numbered = f"SELECT row_, row_number() OVER (ORDER BY row_) AS i FROM {bad}"
    shifts = f"SELECT max(i) AS i, at_ FROM (SELECT i, row_ - i AS at_ FROM ({numbered})) GROUP BY at_"
    relation = (
        f"(SELECT t.* EXCLUDE (row_), (t.row_ + coalesce(b.i, 0))::BIGINT AS row_ "
        f"FROM csv_{n} t ASOF LEFT JOIN ({shifts}) b ON t.row_ > b.at_)"
    )
    return _Scan(relation, types, bad)


def _mapping(path: Path, declared: TableFile, columns: Sequence[Column], found: Sequence[str]) -> Mapping[str, str | None]:
    """Our column -> theirs, None where an optional one is absent. Names are compared without regard to case."""
    by_name = {name.lower(): name for name in found}
    mapping: dict[str, str | None] = {}
    for column in columns:
        theirs = declared.columns.get(column.name, column.name)
        mapping[column.name] = by_name.get(theirs.lower())
        mapped_on_purpose = column.name in declared.columns
        if mapping[column.name] is None and (column.required or mapped_on_purpose):
            raise SourceError(f"{path} has no column {theirs} (our {column.name}); it has {', '.join(found)}")
    unknown = set(declared.columns) - {column.name for column in columns}
    if unknown:
        ours = ", ".join(column.name for column in columns)
        raise SourceError(f"columns of {declared.file}: {', '.join(sorted(unknown))} is none of ours: {ours}")
    return mapping


def _typed(path: Path, relation: str, columns: Sequence[Column], mapping: Mapping[str, str | None], scan: _Scan) -> Typed:
    """The first fault of a row, in column order, is the one it is rejected for."""
    file = f"'{quoted(Path(path.name))}'"
    values, faults = {}, []
    for column in columns:
        theirs = mapping[column.name]
        text = f"nullif(trim(\"{theirs}\"::VARCHAR), '')" if theirs else "NULL"
        values[column.name] = value = _cast(column, theirs, scan.types)
        if column.required:
            faults.append((column.name, "MISSING_VALUE", theirs, f"{value} IS NULL AND {text} IS NULL"))
        if theirs and column.sql_type != "VARCHAR":
            faults.append((column.name, "INVALID_TYPE", theirs, f"{value} IS NULL AND {text} IS NOT NULL"))
    selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
    sound = " AND ".join(f"NOT ({condition})" for *_, condition in faults)
    rows = f"SELECT {selected}, {file} AS file, row_ AS row FROM {relation} WHERE {sound}"
    record = ", ".join(f'"{name}" := "{name}"' for name in dict.fromkeys(filter(None, mapping.values())))
    cases = [
        f"WHEN {condition} THEN {{'code': '{code}', 'field': '{field}', 'value': \"{theirs}\"::VARCHAR}}"
        for field, code, theirs, condition in faults
    ]
    rejects = (
        f"SELECT {file} AS file, row_ AS row, fault.*, record FROM ("
        f"SELECT row_, CASE {' '.join(cases)} END AS fault, to_json(struct_pack({record}))::VARCHAR AS record "
        f"FROM {relation}) WHERE fault IS NOT NULL"
    )
    if scan.malformed:
        rejects += f" UNION ALL SELECT {file}, row_, 'MALFORMED_LINE', NULL, NULL, csv_line FROM {scan.malformed}"
    return Typed(rows, rejects)


def _cast(column: Column, theirs: str | None, types: Mapping[str, str]) -> str:
    """A column as our type, null where that cannot be. Text is trimmed first, an empty text is null."""
    if theirs is None:
        return f"NULL::{column.sql_type}"
    is_text = types[theirs] == "VARCHAR"
    value = f"nullif(trim(\"{theirs}\"), '')" if is_text else f'"{theirs}"'
    if column.sql_type == "BIGINT" and "INT" not in types[theirs]:  # a plain cast would round 1.5 to 2
        exact = f"try_cast({value} AS DECIMAL(38,6))"
        return f"CASE WHEN {exact} = floor({exact}) THEN try_cast({exact} AS BIGINT) END"
    return f"try_cast({value} AS {column.sql_type})"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
