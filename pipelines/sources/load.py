"""One raw table of a declared source, written to the warehouse with its rejects."""

from pathlib import Path

import duckdb

from assets_config.declared import Declarations, FileSource, Generator, Source
from pipelines.errors import SourceError
from pipelines.sources.columns import PLACE, RAW
from pipelines.sources.files import read
from pipelines.sources.generator import generate
from pipelines.warehouse import Origin, Warehouse

DEFAULT_SOURCE = "demo_minimal"
KINDS = {"raw_stores": "stores", "raw_products": "products", "raw_calendar": "calendar", "raw_sales": "sales"}


def choose(warehouse: Warehouse, declarations: Declarations, *, name: str | None, path: str | None) -> Origin:
    """Decide which source the next load reads: the one asked for, else the last one, else the demo.

    Raises SourceError, when no source has that name, or a path is missing or not wanted.
    """
    if name is None:
        if path is not None:
            raise SourceError(f"a path ({path}) needs the name of the source that says how to read it")
        origin = warehouse.origin() or Origin(DEFAULT_SOURCE, None)
        source(declarations, origin)
        return origin
    origin = Origin(name, str(Path(path).absolute()) if path else None)
    declared = source(declarations, origin)
    if isinstance(declared, FileSource) and origin.path is None:
        raise SourceError(f"source {name} reads files: give their folder with --path")
    if isinstance(declared, Generator) and origin.path is not None:
        raise SourceError(f"source {name} generates its rows and reads no path ({origin.path})")
    return origin


def source(declarations: Declarations, origin: Origin) -> Source:
    """The declaration of a source. Raises SourceError, naming those that exist."""
    if origin.name not in declarations.sources:
        known = ", ".join(declarations.sources)
        raise SourceError(f"no source is called {origin.name} in sources.yaml; there are {known}")
    return declarations.sources[origin.name]


def load(warehouse: Warehouse, declared: Source, origin: Origin, table: str, connection: duckdb.DuckDBPyConnection) -> int:
    """Write `sources/<table>` and `sources/<table>_rejects`; gives the number of rejected rows.

    Raises SourceError, when a file cannot be read as declared or not one row of it can be typed; nothing is replaced.
    """
    rows, rejects = _queries(declared, origin, table, connection)
    [(kept,)] = connection.execute(f"SELECT count(*) FROM ({rows})").fetchall()
    rejected = warehouse.write_query(f"sources/{table}_rejects", connection, f"FROM ({rejects}) ORDER BY file, row")
    if rejected and not kept:
        first = connection.execute(f"FROM ({rejects}) ORDER BY file, row LIMIT 1").fetchall()[0]
        file, row, code, field, value, _ = first
        raise SourceError(
            f"not one of {rejected} rows of {file} is usable; the first, row {row}: {code} in {field or 'the line'} "
            f"(value {value!r})"
        )
    warehouse.write_query(f"sources/{table}", connection, rows)
    return rejected


def _queries(declared: Source, origin: Origin, table: str, connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    columns = RAW[table]
    empty = "SELECT " + ", ".join(f"NULL::{column.sql_type} AS {column.name}" for column in (*columns, *PLACE))
    no_rejects = (
        "SELECT NULL::VARCHAR AS file, NULL::BIGINT AS row, NULL::VARCHAR AS code, NULL::VARCHAR AS field, "
        "NULL::VARCHAR AS value, NULL::VARCHAR AS record WHERE false"
    )
    if isinstance(declared, Generator):
        connection.register("generated", getattr(generate(declared), table).to_arrow())
        place = f"'{declared.name}' AS file, row_number() OVER () AS row"
        return f"SELECT *, {place} FROM generated", no_rejects
    declared_file = getattr(declared, KINDS[table])
    typed = read(Path(origin.path or ""), declared_file, columns, connection) if declared_file else None
    return (typed.rows, typed.rejects) if typed else (f"{empty} WHERE false", no_rejects)
