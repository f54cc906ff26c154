"""How the files of a source become rows of our kinds: declared in sources.yaml, one entry a source.

A table is read in this order: the file's columns as text (wide columns turned to rows, other files looked up), then each of
our columns from one of theirs, then the rules: which lines are returns, which are left out, what repeated lines mean.
"""

from typing import Annotated, Literal
from zoneinfo import available_timezones

from msgspec import Meta, Struct

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Zone = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$", max_length=60)]
Code = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=40)]


class ZoneBy(Struct, frozen=True, forbid_unknown_fields=True):
    """A time zone that depends on a column of the line."""

    column: str
    zones: dict[str, Zone]
    otherwise: Zone = "UTC"


class From(Struct, frozen=True, forbid_unknown_fields=True):
    """Where one of our columns comes from, where its name alone does not say it."""

    column: str | None = None  # theirs; ours of the same name where it is not given
    value: str | None = None  # a constant instead of a column
    formats: list[str] = []  # of a day or time, strptime, tried in order; ISO 8601 where there are none
    zone: Zone | ZoneBy | None = None  # zone of times without an offset
    day_in: Zone | ZoneBy | None = None  # zone whose calendar day counts; `zone` where it is not given
    case: Literal["upper", "lower"] | None = None  # ids that the source writes now so, now so
    times: Annotated[float, Meta(gt=0)] | None = None  # units: 12 where the source counts dozens


class Wide(Struct, frozen=True, forbid_unknown_fields=True):
    """Columns that are rows in truth: one line a product with a column a day."""

    columns: str  # a pattern such as d_*
    name: str  # the new column that holds their names
    value: str  # the new column that holds their cells


class Lookup(Struct, frozen=True, forbid_unknown_fields=True):
    """Columns taken from another file of the source."""

    file: str
    by: dict[str, str]  # column of the line -> column of the other file
    take: list[str]


class Cancelled(Struct, frozen=True, forbid_unknown_fields=True):
    """Lines that take an earlier sale back, known by how a column begins."""

    column: str
    prefix: str


class Weekly(Struct, frozen=True, forbid_unknown_fields=True):
    """A line speaks of the week that begins on its date: it is spread over seven days, keeping the total."""

    shares: Annotated[tuple[float, ...], Meta(min_length=7, max_length=7)] = (1.0,) * 7


class TableFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file, or a pattern of files with the same columns, and how its lines are read."""

    file: str
    columns: dict[str, str | From] = {}  # our column -> theirs; ours of the same name need no line
    optional: bool = False  # whether the source may come without this file
    encoding: Literal["utf-8", "latin-1", "windows-1252", "utf-16"] = "utf-8"
    decimal: Literal[".", ","] = "."
    wide: Wide | None = None
    lookups: list[Lookup] = []
    repeated: Literal["last", "sum"] = "last"  # lines of one store, product and day: the last holds, or they add up
    identical: Literal["keep", "drop"] = "keep"  # lines that are equal in every column
    negative: Literal["reject", "return"] = "reject"  # what a negative quantity means
    cancelled: Cancelled | None = None
    weekly: Weekly | None = None
    skip: dict[Code, str] = {}  # why -> SQL condition over the line's columns: lines that are left out on purpose


def _zones(where: From) -> list[str]:
    """Every time zone that a column names."""
    named: list[str] = []
    for zone in (where.zone, where.day_in):
        if isinstance(zone, ZoneBy):
            named += [*zone.zones.values(), zone.otherwise]
        elif zone is not None:
            named.append(zone)
    return named


class FileSource(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="files"):
    """A folder of files, or the same export sent in batches."""

    name: Name
    about: str
    tables: dict[str, TableFile]  # kind -> file

    def fault(self) -> str | None:
        """What is wrong with the entry beyond its form, field first; None where nothing is."""
        for kind, table in self.tables.items():
            if kind not in KINDS:
                return f"tables: no kind is called {kind}; there are {', '.join(KINDS)}"
            ours = [column.name for column in columns(KINDS[kind].rows)]
            for name, where in table.columns.items():
                if name not in ours:
                    return f"tables.{kind}.columns: {name} is none of ours: {', '.join(ours)}"
                if isinstance(where, From) and where.column is not None and where.value is not None:
                    return f"tables.{kind}.columns.{name}: give column or value, not both"
                for zone in _zones(where) if isinstance(where, From) else ():
                    if zone not in available_timezones():
                        return f"tables.{kind}.columns.{name}: no time zone is called {zone}"
            if kind != "sales-daily":
                given = [each for each in ("cancelled", "weekly") if getattr(table, each) is not None]
                if table.negative == "return":
                    given.append("negative")
                if given:
                    return f"tables.{kind}.{given[0]}: works for sales-daily only"
            if table.weekly is not None and (min(table.weekly.shares) < 0 or sum(table.weekly.shares) <= 0):
                return f"tables.{kind}.weekly.shares: they must not be negative nor sum to 0"
        return None
