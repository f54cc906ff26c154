"""A file as a relation of text columns, with the number of each line; what is no line of the file's form is kept apart.

CSV, JSON and Parquet alike. Everything is DuckDB SQL, so that a file of any size streams through.
"""

import codecs
import csv
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import duckdb
import msgspec
import polars as pl

from pipelines.errors import SourceError
from pipelines.warehouse import quoted

UNREADABLE = (duckdb.Error, pl.exceptions.PolarsError, msgspec.MsgspecError, csv.Error, ValueError, RecursionError)
"""What libraries raise over a file that is not what it should be."""
NOT_THE_FILES_FAULT = (duckdb.InterruptException, duckdb.OutOfMemoryException)
"""What DuckDB raises where a run is cancelled, or this machine is too small: no batch is rejected for that."""
PYTHON_ENCODINGS = {"utf-8": "utf-8-sig", "latin-1": "latin-1", "windows-1252": "cp1252", "utf-16": "utf-16"}
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip"}  # how such files begin, workbooks too
LONGEST_REJECT = 10_000  # characters of a malformed line that DuckDB keeps
LONGEST_HEADER = 1_000_000  # characters
NUMBER = "row_"
"""Our column with the number of the line: no file's column may be called so."""


class Relation(msgspec.Struct, frozen=True):
    """Something to select from: the file's columns with their SQL types, and row_, the number of the line from 1."""

    sql: str
    types: dict[str, str]
    malformed: str | None = None  # relation of row_, csv_line

    def __str__(self) -> str:
        return self.sql


def relation(path: Path, connection: duckdb.DuckDBPyConnection, *, name: str, encoding: str = "utf-8") -> Relation:
    """Open one file; `name` labels the tables that are made for it in the connection.

    Raises SourceError, naming the file, when it is empty, unreadable or has no usable header.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes)")
    with path.open("rb") as file:
        start = file.read(4)
    for magic, packer in PACKED.items():
        if start.startswith(magic):
            raise SourceError(f"{path} is packed with {packer}, whatever its name says: give what is in it")
    try:
        if path.suffix == ".parquet":
            return _parquet(path, connection)
        if path.suffix == ".json":
            return _json(path, connection, name=name)
        return _csv(path, connection, name=name, encoding=encoding)
    except NOT_THE_FILES_FAULT:
        raise
    except UNREADABLE as error:
        hint = "; it may be in windows-1252" if "not latin-1 encoded" in str(error) else ""
        raise SourceError(f"{path} cannot be read: {first_line(error)}{hint}") from error


def first_line(error: Exception) -> str:
    """What an error says, without the rest."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def identifier(name: str) -> str:
    """A column's name as SQL, whatever it is called."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def trimmed(column: str) -> str:
    """SQL of a column as text without blanks around."""
    return f"trim({column}::VARCHAR, ' \t\r\n\u00a0')"


def _parquet(path: Path, connection: duckdb.DuckDBPyConnection) -> Relation:
    scan = f"read_parquet('{quoted(path)}', file_row_number = true)"
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()
    _check_names(path, [row[0] for row in described])
    return Relation(
        f"(SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS row_ FROM {scan})", {row[0]: row[1] for row in described}
    )


def _json(path: Path, connection: duckdb.DuckDBPyConnection, *, name: str) -> Relation:
    """`{"records": [...]}` or a list of objects. Every value becomes text, so that it is checked as a CSV's would be."""
    content = msgspec.json.decode(path.read_bytes())
    records = content.get("records") if isinstance(content, dict) else content
    if not isinstance(records, list) or not records or not all(isinstance(each, dict) for each in records):
        raise SourceError(f"{path} must hold a list of objects, or one object whose `records` is such a list")
    keys = list(dict.fromkeys(key for each in records for key in each))
    _check_names(path, keys)
    frame = pl.DataFrame(
        {key: pl.Series([_text(each.get(key)) for each in records], dtype=pl.String) for key in keys},
    ).with_row_index("row_", offset=1)
    connection.register(f"{name}_json", frame.to_arrow())
    return Relation(f"{name}_json", dict.fromkeys(keys, "VARCHAR"))


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _csv(path: Path, connection: duckdb.DuckDBPyConnection, *, name: str, encoding: str) -> Relation:
    """Every column is read as text; the delimiter is the commonest of , ; tab | in the header."""
    header, delimiter = _header(path, encoding)
    with _known_to_duckdb(path, encoding) as (readable, known_as):
        _scan(readable, connection, header, name=name, delimiter=delimiter, encoding=known_as)
    types = dict.fromkeys(header, "VARCHAR")
    if connection.execute(f"SELECT count(*) FROM {name}_rejects").fetchall() == [(0,)]:
        return Relation(f"{name}_csv", types)
    bad = _malformed(path, connection, f"{name}_rejects")
    # Rows were numbered without the malformed lines: the i-th of those, at row r, shifts all from r - i on.
    numbered = f"SELECT row_, row_number() OVER (ORDER BY row_) AS i FROM {bad}"
    shifts = f"SELECT max(i) AS i, at_ FROM (SELECT i, row_ - i AS at_ FROM ({numbered})) GROUP BY at_"
    shifted = (
        f"(SELECT t.* EXCLUDE (row_), (t.row_ + coalesce(b.i, 0))::BIGINT AS row_ "
        f"FROM {name}_csv t ASOF LEFT JOIN ({shifts}) b ON t.row_ > b.at_)"
    )
    return Relation(shifted, types, bad)


def _scan(
    path: Path, connection: duckdb.DuckDBPyConnection, header: Sequence[str], *, name: str, delimiter: str, encoding: str
) -> None:
    """Make the tables <name>_csv, of the lines that have the file's form, and <name>_rejects, of the others."""
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
    scan = (
        f"read_csv('{quoted(path)}', auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"', "
        f"encoding = '{encoding}', columns = {{{columns}}}, store_rejects = true, rejects_table = '{name}_rejects', "
        f"rejects_scan = '{name}_scans')"
    )
    connection.execute("SET preserve_insertion_order = true")  # lines are numbered as they stand in the file
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name}_csv AS SELECT *, row_number() OVER () AS row_ FROM {scan}")


@contextmanager
def _known_to_duckdb(path: Path, encoding: str) -> Iterator[tuple[Path, str]]:
    """A file and the encoding by which DuckDB reads it: itself, or a copy in UTF-8 for as long as it is read."""
    with path.open("rb") as raw:
        is_big_endian = raw.read(2) == codecs.BOM_UTF16_BE
    if encoding != "windows-1252" and not (encoding == "utf-16" and is_big_endian):
        yield path, encoding
        return
    with (
        path.open(encoding=PYTHON_ENCODINGS[encoding], newline="", errors="surrogateescape") as file,
        NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="", errors="surrogateescape") as copy,
    ):
        shutil.copyfileobj(file, copy, 1 << 20)  # bytes that mean nothing stay as they are: they spoil their line alone
        copy.flush()
        yield Path(copy.name), "utf-8"


def _malformed(path: Path, connection: duckdb.DuckDBPyConnection, rejects: str) -> str:
    """The malformed lines as a relation of row_, csv_line.

    A quote that is not closed takes what follows with it, up to the next quote: each of those lines is malformed by itself.
    """
    is_open = "error_type = 'UNQUOTED VALUE' AND csv_line LIKE '%\n_%'"
    cut = f"SELECT min(line) FROM {rejects} WHERE {is_open} AND length(csv_line) >= {LONGEST_REJECT}"
    [(line,)] = connection.execute(cut).fetchall()
    if line is not None:
        raise SourceError(
            f"{path}: a quote that opens in line {line} is not closed: close it, or write it twice if the value has it"
        )
    each = r"list_filter(string_split(any_value(csv_line), chr(10)), lambda part: trim(part, chr(13)) <> '')"
    parts = f"CASE WHEN bool_or({is_open}) THEN {each} ELSE [any_value(csv_line)] END"
    records = f"SELECT line, {parts} AS parts FROM {rejects} GROUP BY line"
    lines = f"SELECT line, unnest(range(len(parts))) AS part, unnest(parts) AS csv_line FROM ({records})"
    row = "line - 1 + row_number() OVER (ORDER BY line, part) - dense_rank() OVER (ORDER BY line)"
    return f"(SELECT ({row})::BIGINT AS row_, csv_line FROM ({lines}))"


def _header(path: Path, encoding: str) -> tuple[Sequence[str], str]:
    with path.open(encoding=PYTHON_ENCODINGS[encoding], newline="", errors="surrogateescape") as file:
        line = file.readline(LONGEST_HEADER)
    try:
        line.encode()  # only the header must be sound; what else is read ahead is judged line by line
    except UnicodeEncodeError as error:
        others = ", ".join(name for name in PYTHON_ENCODINGS if name != encoding)
        said = f"{path} cannot be read: its header is not in {encoding}"
        raise SourceError(f"{said}; save it so, or set `encoding` in sources.yaml to one of {others}") from error
    if not line.strip():
        raise SourceError(f"{path} has no header: its first line is blank")
    delimiter = max(",;\t|", key=line.count)
    header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    _check_names(path, header)
    return header, delimiter


def _check_names(path: Path, names: Sequence[str]) -> None:
    folded = [name.lower() for name in names]
    if len(set(folded)) < len(names) or not all(names):
        raise SourceError(f"{path}: column names must be there and differ; the header is {', '.join(names)[:500]}")
    if NUMBER in folded:
        raise SourceError(f"{path}: no column may be called {NUMBER}, which is ours; the header is {', '.join(names)[:500]}")
