"""Whether a warehouse table is what its contract says."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import duckdb
from msgspec import Struct

from assets_config.contract.tables import TABLES
from pipelines.errors import ContractError
from pipelines.warehouse import scan

SQL_TYPES = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    str: "VARCHAR",
    date: "DATE",
    datetime: "TIMESTAMP",
    Decimal: "DECIMAL(18,2)",
}


class Field:
    """One column of a published table: its SQL type, whether it may be null, and its allowed values, if listed."""

    def __init__(self, name: str, hint: Any) -> None:
        self.name = name
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        self.nullable = False
        if get_origin(hint) in (Union, UnionType):
            members = [member for member in get_args(hint) if member is not NoneType]
            self.nullable, hint = True, members[0]
        self.allowed: tuple[str, ...] = get_args(hint) if get_origin(hint) is Literal else ()
        self.sql_type = SQL_TYPES[str if self.allowed else hint]


def fields(table: type[Struct]) -> list[Field]:
    """The columns of a contract Struct, in order."""
    hints = get_type_hints(table, include_extras=True)
    return [Field(name, hints[name]) for name in table.__struct_fields__]


def check(name: str, paths: Sequence[Path], connection: duckdb.DuckDBPyConnection) -> int:
    """Compare the Parquet files of a table with the Struct of the table `name`; gives its number of rows.

    Raises ContractError, when names, order or types differ, a column that must not be null holds nulls, a listed column
    holds another value, or a number is not finite.
    """
    expected = fields(TABLES[name])
    source = scan(paths)
    found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    if list(found) != [field.name for field in expected]:
        wanted = ", ".join(field.name for field in expected)
        raise ContractError(f"{name}: columns are {', '.join(found)}; the contract says {wanted}")
    for field in expected:
        if found[field.name] != field.sql_type:
            raise ContractError(f"{name}: {field.name} is {found[field.name]}, the contract says {field.sql_type}")
    return _check_values(name, expected, source, connection)


def _check_values(name: str, expected: list[Field], source: str, connection: duckdb.DuckDBPyConnection) -> int:
    counts = ["count(*)"]
    faults: list[str] = []
    for field in expected:
        if not field.nullable:
            counts.append(f'count(*) FILTER ("{field.name}" IS NULL)')
            faults.append(f"{field.name} is null")
        if field.allowed:
            counts.append(f'count(*) FILTER ("{field.name}" NOT IN {field.allowed!r})')
            faults.append(f"{field.name} is none of {', '.join(field.allowed)}")
        if field.sql_type == "DOUBLE":
            counts.append(f'count(*) FILTER (NOT isfinite("{field.name}"))')
            faults.append(f"{field.name} is not a finite number")
    [row] = connection.execute(f"SELECT {', '.join(counts)} FROM {source}").fetchall()
    for fault, count in zip(faults, row[1:], strict=True):
        if count:
            raise ContractError(f"{name}: in {count} of {row[0]} rows {fault}")
    return int(row[0])
