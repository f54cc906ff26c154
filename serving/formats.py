"""Tables in other media types than JSON: CSV, Arrow and Parquet, for whoever asks by Accept.

A route says `@table(path)` in place of `@get(path)`. What it answers as JSON is then also given as a table of its `items`, or of
the `field` that is named, and its metadata as headers. Without `page` and `page_size` a list is given whole, block by block into
one file, so that memory is bounded, a slow reader holds no snapshot, and every fault is still a problem.

DuckDB types the columns and writes CSV and Parquet; it hands Arrow over through the C interface, which nanoarrow makes a stream of.
nanoarrow is loaded at the first such request: 4 MB, and 3 of disk, where pyarrow takes 42 and 168 (benchmarks/formats.py).
"""

import asyncio
import inspect
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial, wraps
from pathlib import Path
from typing import IO, Any, TypeVar, get_args, get_type_hints

import duckdb
import msgspec.inspect
from litestar import Request, Response, get
from litestar.datastructures.headers import Accept
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Scope
from msgspec import Struct

from assets_config.contract.manifest import Kpi
from serving.comparison import Metrics
from serving.figures import values
from serving.problems import BadRequest, NotAcceptable
from serving.snapshot import Snapshot

JSON, CSV = "application/json", "text/csv"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
OFFERED = {JSON: "json", CSV: "csv", ARROW: "arrows", PARQUET: "parquet"}
"""Media types, the preferred first, and what a file of it is called."""
MOST_ROWS = 1_000_000
"""Rows of one answer that is no JSON."""
BLOCK = 10_000
"""Rows that are read, and held in memory, at once."""
CHUNK = 256 * 1024
MONEY, RATIO = "DECIMAL(38, 2)", "DOUBLE"
KPIS = "KPIS"  # in place of a type: as many columns as the snapshot has KPIs
TYPES: dict[type, str] = {
    msgspec.inspect.BoolType: "BOOLEAN",
    msgspec.inspect.IntType: "BIGINT",
    msgspec.inspect.FloatType: "DOUBLE",
    msgspec.inspect.StrType: "VARCHAR",
    msgspec.inspect.DateType: "DATE",
    msgspec.inspect.DateTimeType: "TIMESTAMPTZ",
    msgspec.inspect.DecimalType: MONEY,
}
IS_MONEY = re.compile(r"\[money(/unit)?\]$")  # the unit that a description ends with
REFUSED = re.compile(r";\s*q=0(\.0*)?\s*(;|$)")
Read = Callable[..., Awaitable[Any]]
Found = TypeVar("Found")


class Table(Struct, frozen=True):
    """Rows of values, and the columns in their order: name -> SQL type."""

    columns: dict[str, str]
    rows: Sequence[Sequence[Any]]


Rows = Callable[[Any, Snapshot], Table]


def table(path: str, *, field: str = "items", rows: "Rows | None" = None, **options: Any) -> Callable[[Read], HTTPRouteHandler]:
    """Like `get`, for a handler that takes `lease` and whose answer holds rows in `field`, or is one row of `rows`."""

    def decorate(read: Read) -> HTTPRouteHandler:
        signature = inspect.signature(read)
        answered = get_type_hints(read, include_extras=True)["return"]
        shape = (get_args(answered) or get_args(get_type_hints(answered, include_extras=True).get(field)) or [Struct])[0]
        make = rows or partial(_of_structs, shape, field)
        has_pages = "page_size" in signature.parameters
        has_request = "request" in signature.parameters

        @wraps(read)
        async def answer(request: Request[Any, Any, Any], **given: Any) -> Any:
            if has_request:
                given["request"] = request
            media_type = media_type_of(request.scope)
            if media_type == JSON:
                found = await read(**given)
                return bounded(found, field, request.app.state.settings.max_rows)
            is_whole = has_pages and not {"page", "page_size"} & set(request.query_params)
            return await _file(media_type, read, given, make, is_whole=is_whole)

        if not has_request:
            asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
            signature = signature.replace(parameters=[*signature.parameters.values(), asked])
        answer.__signature__ = signature  # type: ignore[attr-defined]
        answer.field = field  # type: ignore[attr-defined]
        answer.__annotations__ = {**read.__annotations__, "request": Request[Any, Any, Any]}
        return get(path, operation_class=_Operation, response_headers={"Vary": "Accept"}, **options)(answer)

    return decorate


def kpi_columns(kpis: Sequence[Kpi], name: str = "{}") -> dict[str, str]:
    """A column a KPI: money with two places, counts whole where the formula keeps them whole."""
    return {name.format(each.name): _kpi_type(each) for each in kpis}


def _kpi_type(kpi: Kpi) -> str:
    if kpi.unit == "money":
        return MONEY
    return "BIGINT" if kpi.unit == "count" and not set("/.") & set(kpi.expression) else "DOUBLE"


def media_type_of(scope: Scope) -> str:
    """The media type to answer in. Raises NotAcceptable."""
    said = ",".join([value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"])
    found = _negotiated(said) if said else JSON
    if found is None:
        raise NotAcceptable(f"Nothing of '{said[:200]}' is offered here: accept {', '.join(OFFERED)}.")
    return found


@lru_cache(maxsize=256)
def _negotiated(accept: str) -> str | None:
    said = [each.strip() for each in accept.split(",") if each.strip()]
    refused = {each.partition(";")[0].strip() for each in said if REFUSED.search(each)}
    wanted = [each for each in said if not REFUSED.search(each)]
    return Accept(",".join(wanted)).best_match([each for each in OFFERED if each not in refused]) if wanted else None


def bounded(answer: Found, field: str, most: int) -> Found:
    """An answer that goes out as JSON. Raises BadRequest, when it has more rows than that may have."""
    rows = len(getattr(answer, field, ()))
    if rows > most:
        others = ", ".join(list(OFFERED)[1:])
        raise BadRequest(f"The answer has {rows:,} rows; JSON holds at most {most:,}: ask for less, or accept {others}.")
    return answer


async def _file(media_type: str, read: Read, given: dict[str, Any], make: Rows, *, is_whole: bool) -> Response[Any]:
    """The answer as a file; a whole list is read block by block."""
    lease: Snapshot = given["lease"]
    if is_whole:
        given |= {"page": 1, "page_size": BLOCK}
    found = await read(**given)
    if is_whole and found.total > MOST_ROWS:
        raise BadRequest(f"There are {found.total:,} rows; an answer holds at most {MOST_ROWS:,}: filter, or read page by page.")

    def write(block: Any) -> None:
        writer.add(make(block, lease))

    with tempfile.TemporaryDirectory(prefix="demandgraph-") as folder:
        writer = await asyncio.to_thread(_Writer, media_type, Path(folder))
        try:
            await asyncio.to_thread(write, found)
            for page in range(2, -(-found.total // BLOCK) + 1) if is_whole else ():
                await asyncio.to_thread(write, await read(**{**given, "page": page}))
            file = await asyncio.to_thread(writer.finish)
        finally:
            writer.close()
    return _sent(file, media_type, _headers(found, media_type, read.__name__))


class _Writer:
    """Collects the rows of an answer in a temporary table and writes them as one file."""

    def __init__(self, media_type: str, folder: Path) -> None:
        self._media_type, self._path = media_type, folder / "answer"
        self._cursor = _engine().cursor()
        self._columns: dict[str, str] = {}

    def add(self, rows: Table) -> None:
        if not self._columns:
            self._columns = rows.columns
            declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in rows.columns.items())
            self._cursor.execute("SET TimeZone = 'UTC'").execute(f"CREATE TEMP TABLE answer ({declared})")
        if rows.rows:
            lists = ", ".join(f"unnest(?::{kind}[])" for kind in rows.columns.values())
            self._cursor.execute(f"INSERT INTO answer SELECT {lists}", [list(each) for each in zip(*rows.rows, strict=True)])

    def finish(self) -> IO[bytes]:
        """The file, open; its name is gone with the folder that it was written in."""
        if self._media_type == ARROW:
            self._write_arrow()
        else:
            how = "FORMAT parquet, COMPRESSION zstd"
            if self._media_type == CSV:
                how = "FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'"
            columns = ", ".join(self._column(name, kind) for name, kind in self._columns.items())
            self._cursor.execute(f"COPY (SELECT {columns} FROM answer) TO '{self._path}' ({how})")  # noqa: S608
        return self._path.open("rb")

    def _column(self, name: str, kind: str) -> str:
        """A text that a spreadsheet would take for a formula gets an apostrophe before it, in CSV only: docs/kpis.md."""
        column = _quoted(name)
        if self._media_type != CSV or kind != "VARCHAR":
            return column
        return f"CASE WHEN regexp_matches({column}, '^[=+@\\t\\r-]') THEN '''' || {column} ELSE {column} END AS {column}"

    def _write_arrow(self) -> None:
        from nanoarrow import c_array_stream
        from nanoarrow.ipc import StreamWriter

        with self._path.open("wb") as file, StreamWriter.from_writable(file) as writer:
            writer.serialize_stream(c_array_stream(self._cursor.sql("FROM answer")))

    def close(self) -> None:
        with suppress(duckdb.Error):  # where the client hung up, a thread may still write with it; it ends by itself
            self._cursor.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass
class _Operation(Operation):
    """The description of a table read: what it gives as JSON, it gives in the other media types too."""

    def __post_init__(self) -> None:
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse) and answer.content:
            for media_type in list(OFFERED)[1:]:
                answer.content[media_type] = OpenAPIMediaType(schema=Schema(description="The rows, as a table."))


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "256MB", "temp_directory": tempfile.gettempdir()})


def _sent(file: IO[bytes], media_type: str, headers: dict[str, str]) -> Response[Any]:
    size = file.seek(0, 2)
    file.seek(0)
    if size <= CHUNK:
        with file:
            return Response(file.read(), media_type=media_type, headers=headers)
    return _Streamed(_chunks(file), media_type=media_type, headers={**headers, "Content-Length": str(size)})


class _Streamed(Stream):
    """Of its own media type: Litestar lets that of the route go before it in a stream, not in other answers (2.25)."""

    def to_asgi_response(self, *args: Any, **given: Any) -> ASGIResponse:
        return super().to_asgi_response(*args, **{**given, "media_type": self.media_type})


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def _headers(found: Any, media_type: str, name: str) -> dict[str, str]:
    said = {"Content-Disposition": f'attachment; filename="{name}.{OFFERED[media_type]}"'}
    for key, value in msgspec.to_builtins(found.metadata).items():
        if value is not None:
            said[f"X-{key.replace('_', '-').title()}"] = str(value).lower() if isinstance(value, bool) else str(value)
    total = getattr(found, "total", getattr(found, "total_items", None))
    return said if total is None else {**said, "X-Total-Count": str(total)}


def _of_structs(shape: type[Struct], field: str, answer: Any, lease: Snapshot) -> Table:
    """A column a field; the KPIs of a row a column each, what else is nested as JSON."""
    kinds = _kinds(shape)
    columns: dict[str, str] = {}
    for name, kind in kinds.items():
        columns |= kpi_columns(lease.manifest.kpis) if kind == KPIS else {name: kind or "VARCHAR"}
    rows = [[value for name, kind in kinds.items() for value in _values(row, name, kind)] for row in getattr(answer, field)]
    return Table(columns, rows)


def _values(row: Struct, name: str, kind: str | None) -> Sequence[Any]:
    value = getattr(row, name)
    if kind == KPIS:
        return values(value)
    return [msgspec.json.encode(value).decode() if kind is None and value is not None else value]


@cache
def _kinds(shape: type[Struct]) -> dict[str, str | None]:
    """The SQL type of each field; KPIS for the KPIs of a row, None for what else is nested."""
    described, hints = msgspec.inspect.type_info(shape), get_type_hints(shape, include_extras=True)
    assert isinstance(described, msgspec.inspect.StructType)
    return {field.name: KPIS if hints[field.name] == Metrics else _sql_type(field.type) for field in described.fields}


def _sql_type(described: Any, about: str = "") -> str | None:
    match described:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=schema):
            return _sql_type(inner, str((schema or {}).get("description", "")))
        case msgspec.inspect.UnionType(types=[inner, msgspec.inspect.NoneType()]):
            return _sql_type(inner, about)
        case msgspec.inspect.FloatType() if IS_MONEY.search(about):
            return MONEY
        case msgspec.inspect.LiteralType(values=[str(), *_]):
            return "VARCHAR"
    return TYPES.get(type(described))
