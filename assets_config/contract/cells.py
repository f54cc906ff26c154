"""What a cell of the data that is brought in may hold, said beside the type of its column and read back from there.

    quantity: Annotated[int, number("Units sold.", 3)]

A column is required where its type does not allow None.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from msgspec import Meta, Struct

MOST = 10**12
"""No quantity and no amount may be larger: what is, is a mistake."""

FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2100, 12, 31)
"""No day may lie outside."""


def text(about: str, example: str, *, most: int = 200, aliases: tuple[str, ...] = ()) -> Meta:
    """A text of 1 to `most` characters; surrounding blanks are cut off, an empty one is missing."""
    return Meta(description=about, examples=[example], max_length=most, extra={"aliases": aliases})


def number(about: str, example: float, *, least: float | None = 0, most: float | None = MOST, scale: int = 0) -> Meta:
    """A number within bounds; `scale` decimal places are kept, more are a mistake where 0 are allowed."""
    return Meta(description=about, examples=[example], extra={"ge": least, "le": most, "scale": scale})


def day(about: str, example: str) -> Meta:
    """A calendar day, ISO 8601."""
    return Meta(description=about, examples=[example], extra={"ge": FIRST_DAY, "le": LAST_DAY})


def flag(about: str, example: bool) -> Meta:
    """Yes or no: true, false, 1, 0."""
    return Meta(description=about, examples=[example])


class Column(Struct, frozen=True):
    """One column of a kind, as it is checked and as it is told."""

    name: str
    type: str  # text, day, integer, decimal, number or flag
    required: bool
    description: str
    example: Any
    aliases: tuple[str, ...]
    least: Any = None
    most: Any = None
    scale: int = 0
    max_length: int | None = None


TYPES: Mapping[type, str] = {str: "text", date: "day", int: "integer", Decimal: "decimal", float: "number", bool: "flag"}


def columns(rows: type[Struct]) -> list[Column]:
    """The columns of a row Struct.

    >>> from assets_config.contract.kinds import WeeklySales
    >>> [each.name for each in columns(WeeklySales)]
    ['store_id', 'week_number', 'units_sold']
    """
    return list(_columns(rows))


def _columns(rows: type[Struct]) -> Iterator[Column]:
    for name, hint in get_type_hints(rows, include_extras=True).items():
        kind, meta = get_args(hint)[0], hint.__metadata__[0]
        options = [each for each in get_args(kind) or (kind,) if each is not type(None)]
        extra = meta.extra or {}
        yield Column(
            name=name,
            type=TYPES[options[0]],
            required=options == [kind],
            description=meta.description,
            example=meta.examples[0],
            aliases=extra.get("aliases", ()),
            least=extra.get("ge"),
            most=extra.get("le"),
            scale=extra.get("scale", 0),
            max_length=meta.max_length,
        )
