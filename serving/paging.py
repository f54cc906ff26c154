"""Lists, once: which page is wanted, how it is sorted, and the shape in which it is answered."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from litestar.params import QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.tables import PARTS
from serving.reply import Metadata, metadata, rounded
from serving.snapshot import Snapshot

T = TypeVar("T")
MAX_PAGE_SIZE = 100
PART_OF = {table: part for part, tables in PARTS.items() for table in tables}

Page = Annotated[int, QueryParameter(ge=1, le=1_000_000, description="Page to read, from 1. One past the end is empty.")]
PageSize = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE_SIZE, description="Entries a page, 1 to 100.")]
Search = Annotated[str | None, QueryParameter(min_length=2, max_length=100, description="Part of the code or name, any case.")]
Order = Annotated[Literal["asc", "desc"], QueryParameter(description="Smallest first (asc) or largest first (desc).")]
After = Annotated[int, QueryParameter(ge=0, le=2**53, description="Events after this seq; 0: from the first on.")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Most events to give, 1 to 500.")]


class Listed(Struct, Generic[T], frozen=True):
    """One page of a list."""

    items: Annotated[list[T], Meta(description="The entries of this page; empty where nothing matches.")]
    page: Annotated[int, Meta(description="The page that was asked for, from 1.")]
    page_size: Annotated[int, Meta(description="Most entries on a page.")]
    total: Annotated[int, Meta(description="Entries on all pages.")]
    metadata: Annotated[Metadata | None, Meta(description="Where the list was read from; null where that is no snapshot.")] = None


def page_of(items: list[T], page: int, page_size: int, said: Metadata | None) -> Listed[T]:
    """The page of a list that is in memory; past the end it is empty."""
    first = (page - 1) * page_size
    return Listed(items[first : first + page_size], page, page_size, len(items), said)


async def page_from(
    lease: Snapshot,
    table: str,
    say: Callable[..., T],
    wanted: Mapping[str, Any],
    *,
    order: str,
    page: int,
    page_size: int,
    model_version: str | None = None,
) -> Listed[T]:
    """One page of a published table, each row as `say(**row)`; empty where the snapshot came without the table.

    Numbers with a fraction are told to six places. `wanted` and `order` are those of Snapshot.page.
    """
    part = PART_OF[table]
    rows, total = await lease.page(part, table, wanted, order=order, page=page, page_size=page_size)
    said = metadata(lease, part, model_version=model_version)
    return Listed([say(**{name: rounded(value) for name, value in row.items()}) for row in rows], page, page_size, total, said)


def ordered(items: Iterable[T], by: str, order: str, *, tie: str) -> list[T]:
    """Sorted by one field and, where that is equal, by another one, ascending; nulls come first in ascending order."""
    found = sorted(items, key=lambda each: getattr(each, tie))

    def place(each: T) -> tuple[bool, Any]:
        value = getattr(each, by)
        return value is not None, value

    return sorted(found, key=place, reverse=order == "desc")


def matches(search: str | None, *texts: str) -> bool:
    """Whether one of the texts has the searched one in it, whatever the case; any does where nothing is searched."""
    return search is None or any(search.lower() in text.lower() for text in texts)
