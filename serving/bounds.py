"""What a file must keep to before it is kept: cheap bounds, so that a hostile or mistaken one costs little.

Whether its rows make sense is checked by the job that reads them.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from assets_config.contract.landing import POSTED
from serving.problems import Validation, invalid
from serving.uploads import CSV, JSON, PARQUET_MAGIC, Upload

MOST_DEPTH = 8
MOST_ROWS = 10_000
MOST_MEMBERS = 200
MOST_CHARACTERS = 10_000
MOST_NAME = 200
MOST_HEADER = 64 * 1024
MOST_COLUMNS = 500
MOST_LINES = 1_000_000
BLOCK = 1 << 18
FLAT_OBJECT = re.compile(rb"\{,*\}")
NOT_SHAPE = bytes(each for each in range(256) if each not in b"[]{},")
Row = dict[str, bool | int | float | str | None]


class Records(Struct, frozen=True, forbid_unknown_fields=True):
    """The object form of JSON rows."""

    records: list[Raw]


def check_upload(upload: Upload, source: str) -> None:
    """Raises Validation, naming what is wrong with the file and where."""
    if upload.media_type == JSON:
        check_json(upload.content)
    elif upload.media_type == CSV:
        check_csv(upload.content, is_ours=source == POSTED)
    else:
        check_parquet(upload.content)


def check_csv(content: bytes, *, is_ours: bool) -> None:
    """`is_ours`: our columns in UTF-8. Another source's mapping says how its header and encoding are read."""
    nul = content.find(b"\0")
    if nul >= 0:
        raise _wrong(f"byte {nul:,} is NUL, which no CSV has (UTF-16 is not accepted: save the file as UTF-8)")
    if is_ours:
        _check_utf8(content)
    text = content.removeprefix(codecs.BOM_UTF8)
    newline = b"\n" if b"\n" in text else b"\r"
    header, _, rest = text.partition(newline)
    if len(header) > MOST_HEADER:
        raise _wrong(f"the header line has {len(header):,} bytes; at most {MOST_HEADER:,} are accepted")
    if is_ours:
        _check_header(header.decode().strip("\r\n"))
    if not rest.strip():
        raise _wrong("there is no line below the header")
    lines = rest.count(newline) + (not rest.endswith(newline))
    if lines > MOST_LINES:
        raise _wrong(f"there are {lines:,} lines; at most {MOST_LINES:,} are accepted. Send them in parts, or as Parquet")


def _check_header(header: str) -> None:
    delimiter = max(",;\t|", key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        raise _wrong(f"the header line cannot be read: {error}") from error
    if len(names) > MOST_COLUMNS:
        raise _wrong(f"there are {len(names):,} columns; at most {MOST_COLUMNS} are accepted")
    if not names or "" in names:
        raise _wrong(
            f"column {names.index('') + 1 if names else 1} has no name in the first line, which must hold the column names"
        )
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        raise _wrong(f"two columns are called {twice[:60]!r}")


def check_json(content: bytes) -> None:
    """A list of flat objects, or {"records": [...]} with such a list."""
    _check_utf8(content)
    _check_shape(content)
    count = 0
    for n, raw in enumerate(_raw_rows(content)):
        count += 1
        row: Row = _decoded(raw, Row, f"row {n}: ")
        if not row or len(row) > MOST_MEMBERS:
            raise _wrong(f"row {n} has {len(row)} members; 1 to {MOST_MEMBERS} are accepted")
        for name, value in row.items():
            if len(name) > MOST_NAME:
                raise _wrong(f"row {n}: a member's name has {len(name):,} characters; at most {MOST_NAME} are accepted")
            if isinstance(value, str) and len(value) > MOST_CHARACTERS:
                raise _wrong(f"row {n}: {name[:60]} has {len(value):,} characters; at most {MOST_CHARACTERS:,} are accepted")
    if not count:
        raise _wrong("there are no rows")


def _check_shape(content: bytes) -> None:
    """Bounds of nesting, rows and members without parsing, by the brackets and commas that stand outside of texts.

    What is no JSON is left to the parser, which stops where that begins and so reads nothing that was not counted here.
    """
    shape = _outside_texts(content)
    if shape.count(b"{") + shape.count(b"[") > MOST_ROWS + 2:
        raise _wrong(f"there are more than {MOST_ROWS:,} rows, or rows that are not flat; send them in parts")
    if b"{" + b"," * MOST_MEMBERS in shape:
        raise _wrong(f"a row has more than {MOST_MEMBERS} members")
    if FLAT_OBJECT.sub(b"", shape).count(b",") > MOST_ROWS:
        raise _wrong(f"there are more than {MOST_ROWS:,} rows; send them in parts")
    brackets = shape.replace(b",", b"").replace(b"{", b"[").replace(b"}", b"]")
    for _ in range(MOST_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise _wrong(f"brackets are nested more than {MOST_DEPTH} deep, or do not pair")


def _outside_texts(content: bytes) -> bytes:
    """The brackets and commas outside of texts; block by block, so that it takes little memory and lets others run."""
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")  # what quotes are left begin or end a text
    found, is_text = [], 0
    for start in range(0, len(plain), BLOCK):
        pieces = plain[start : start + BLOCK].split(b'"')
        found.append(b"".join(pieces[is_text::2]).translate(None, NOT_SHAPE))
        is_text ^= (len(pieces) - 1) % 2
    return b"".join(found)


def _raw_rows(content: bytes) -> Iterator[Raw]:
    is_object = content.lstrip(b" \t\r\n")[:1] == b"{"
    rows: list[Raw] = _decoded(content, Records).records if is_object else _decoded(content, list[Raw])
    if len(rows) > MOST_ROWS:
        raise _wrong(f"there are {len(rows):,} rows; at most {MOST_ROWS:,} are accepted")
    return iter(rows)


def _decoded(content: bytes | Raw, shape: Any, where: str = "") -> Any:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        said = str(error).replace("`$", "`row" if where else "`body")
        raise _wrong(
            f'{where}{said}. Send a list of flat objects, or {{"records": [...]}}; NaN and Infinity are no JSON'
        ) from error


def check_parquet(content: bytes) -> None:
    """The marks of a whole Parquet file; its rows are read by the job."""
    if not content.startswith(PARQUET_MAGIC):
        raise _wrong("the file does not begin with PAR1: it is not Parquet")
    if len(content) < 12 or not content.endswith(PARQUET_MAGIC):
        raise _wrong("the file does not end with PAR1: it is cut off")
    footer = int.from_bytes(content[-8:-4], "little")
    if not 0 < footer <= len(content) - 12:
        raise _wrong(f"the file has {len(content):,} bytes and states a footer of {footer:,}: it is damaged")


def _check_utf8(content: bytes) -> None:
    """In blocks: decoded at once, a file may take four times its size."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), BLOCK):
        block = content[start : start + BLOCK]
        try:
            decoder.decode(block, final=start + BLOCK >= len(content))
        except UnicodeDecodeError as error:
            at = start + max(error.start, 0)
            raise _wrong(
                f"it is not UTF-8 near byte {at:,}. Save it as UTF-8, or name a source whose mapping has the encoding"
            ) from error


def _wrong(what: str) -> Validation:
    return invalid("body", None, what)
