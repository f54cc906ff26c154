"""Frames of the contract's Structs: its columns, in its order and with its types, whether or not there are rows."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import polars as pl
from msgspec import Struct, structs

TYPES: dict[Any, Any] = {
    bool: pl.Boolean,
    int: pl.Int64,
    float: pl.Float64,
    str: pl.String,
    date: pl.Date,
    datetime: pl.Datetime("us"),
    Decimal: pl.Decimal(18, 2),
}


def schema(shape: type[Struct]) -> dict[str, Any]:
    """The columns of a Struct with the types that frames have for them."""
    hints = get_type_hints(shape, include_extras=True)
    return {name: TYPES[_plain(hints[name])] for name in shape.__struct_fields__}


def frame_of(shape: type[Struct], rows: Sequence[Struct]) -> pl.DataFrame:
    """Rows as a frame, in their order."""
    return pl.DataFrame([structs.asdict(row) for row in rows], schema=schema(shape))


def empty(shape: type[Struct]) -> pl.DataFrame:
    """A table without a row."""
    return pl.DataFrame(schema=schema(shape))


def _plain(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not NoneType)
    return str if get_origin(hint) is Literal else hint
