"""The body of a request that brings data in: read within a limit of size, and which of the three formats it is.

Nothing is unpacked and nothing is written to disk here.
"""

import re
import unicodedata
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.types import HTTPDisconnectEvent, HTTPRequestEvent
from msgspec import Struct

from assets_config.contract.landing import SUFFIXES
from serving.problems import BadRequest, PayloadTooLarge, UnsupportedMediaType, Validation, invalid

CSV, JSON, PARQUET = SUFFIXES
MULTIPART = "multipart/form-data"
MEDIA_TYPES = (*SUFFIXES, MULTIPART)
PARQUET_MAGIC = b"PAR1"
COMPRESSED = {
    b"PK\x03\x04": "a zip archive (or an .xlsx workbook)",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PARE": "an encrypted Parquet file",
}
MOST_PARTS = 16
MOST_HEADER_BYTES = 8_192
DIGITS = re.compile(r"[0-9]{1,18}")
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
PARAMETER = r';\s*%s=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'
FIELD_NAME, FILE_NAME = (re.compile((PARAMETER % name).encode(), re.IGNORECASE) for name in ("name", "filename"))
EXTENDED_FILE_NAME = re.compile(rb";\s*filename\*=[\w-]*'[\w-]*'([^\s;]+)", re.IGNORECASE)


class Upload(Struct, frozen=True):
    """What was sent: one file. The name is a label, never a path."""

    name: str
    media_type: str  # one of SUFFIXES
    content: bytes


async def read_upload(request: Request[Any, Any, Any], *, kind: str, most: int) -> Upload:
    """The file in a request's body.

    Raises UnsupportedMediaType, PayloadTooLarge for more than `most` bytes, and Validation for an empty body or a form
    that has not exactly one file.
    """
    media_type = _media_type(request)
    body = await _body(request, most)
    if not body:
        raise invalid("body", None, "is empty; send rows", code="missing")
    if media_type == MULTIPART:
        name, said, body = _only_file(body, request.headers["content-type"])
        media_type = _file_type(name, said, body)
    else:
        name = ""
    _refuse_compressed(body)
    if media_type == "application/octet-stream":
        if not body.startswith(PARQUET_MAGIC):
            raise UnsupportedMediaType(f"application/octet-stream must be Parquet here. Say what it is: {', '.join(SUFFIXES)}.")
        media_type = PARQUET
    return Upload(label(name, f"{kind}{SUFFIXES[media_type]}", media_type), media_type, body)


def label(name: str, otherwise: str, media_type: str) -> str:
    """A file name without folders and control characters, at most 200 characters.

    >>> label("../../etc/passwd", "stores.csv", "text/csv")
    'passwd'
    """
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").strip()
    if shown.strip(".") == "":
        return otherwise
    if media_type != PARQUET and shown.lower().endswith(".parquet"):  # the landing zone goes by this ending
        shown = shown[:190] + SUFFIXES[media_type]
    return shown[:200]


def _media_type(request: Request[Any, Any, Any]) -> str:
    said = request.headers.getall("content-type", [])
    encodings = [each.strip().lower() for text in request.headers.getall("content-encoding", []) for each in text.split(",")]
    if set(encodings) - {"identity"}:
        raise UnsupportedMediaType(f"Content-Encoding {encodings[0][:40]!r} is not accepted: send the body as it is.")
    media_type = said[0].partition(";")[0].strip().lower() if len(said) == 1 else ""
    if media_type not in (*MEDIA_TYPES, "application/octet-stream"):
        named = f"Content-Type {media_type[:80]!r} is not accepted" if media_type else "One header Content-Type is needed"
        raise UnsupportedMediaType(f"{named}; use one of {', '.join(MEDIA_TYPES)}.")
    return media_type


async def _body(request: Request[Any, Any, Any], most: int) -> bytes:
    """Not `request.body()`: that has a limit of its own, and calls a client that hangs up an internal error."""
    for length in request.headers.getall("content-length", []):
        if not DIGITS.fullmatch(length):
            raise invalid("Content-Length", length[:40], "is not a number of bytes")
        if int(length) > most:
            raise _too_large(f"{int(length):,} bytes", most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = cast("HTTPRequestEvent | HTTPDisconnectEvent", await request.receive())
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended within the body; send it again.")
        chunk = message["body"]
        size += len(chunk)
        if size > most:
            raise _too_large(f"more than {most:,} bytes", most)
        chunks.append(chunk)
        if not message["more_body"]:
            return b"".join(chunks)


def _too_large(size: str, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The body has {size}; at most {most:,} are accepted (DEMANDGRAPH_MAX_UPLOAD_MB). Send it in parts: each is a batch."
    )


def _refuse_compressed(content: bytes) -> None:
    for magic, what in COMPRESSED.items():
        if content.startswith(magic):
            raise UnsupportedMediaType(f"The file is {what}; send it unpacked, as CSV, JSON or Parquet.")


def _file_type(name: str, said: str, content: bytes) -> str:
    """By what the part says, else by the file's ending, else by the first bytes."""
    if said in SUFFIXES:
        return said
    for media_type, suffix in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return media_type
    _refuse_compressed(content)
    if content.startswith(PARQUET_MAGIC):
        return PARQUET
    if content.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        return JSON
    raise UnsupportedMediaType(
        f"The file part is {(said or 'of no stated type')[:80]!r} and its name does not end in {', '.join(SUFFIXES.values())}: "
        "name the file so, or give the part one of these types: " + ", ".join(SUFFIXES) + "."
    )


def _only_file(body: bytes, content_type: str) -> tuple[str, str, bytes]:
    """Name, media type and content of the one file of a form. Raises Validation."""
    found = BOUNDARY.search(content_type)
    if found is None:
        raise invalid("Content-Type", content_type[:80], "multipart/form-data needs a boundary")
    delimiter = b"\r\n--" + (found.group(1) or found.group(2)).encode("utf-8", "replace")
    first, *sections = (b"\r\n" + body).split(delimiter, MOST_PARTS + 1)
    if not sections or first.strip():
        raise _broken("does not begin with the boundary that Content-Type names")
    *parts, end = sections
    if len(parts) > MOST_PARTS or not end.startswith(b"--"):
        raise _broken(f"does not end with the closing boundary, or has more than {MOST_PARTS} parts")
    files: list[tuple[str, str, bytes]] = []
    for part in parts:
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator or len(head) > MOST_HEADER_BYTES:
            raise _broken("has a part without headers")
        name, file_name, media_type = _headers(head)
        if file_name is None:
            raise invalid(f"form field {name!r}", None, "is not a file; the form takes one file only, the rest goes into the query")
        files.append((file_name, media_type, content))
    if len(files) != 1:
        raise invalid("body", None, f"the form has {len(files)} files; send exactly one")
    if not files[0][2]:
        raise invalid("body", None, "the file is empty; send rows", code="missing")
    return files[0]


def _headers(head: bytes) -> tuple[str, str | None, str]:
    """Field name, file name (None for a plain field) and media type of a part."""
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        headers[key.strip().lower()] = value.strip()
    disposition = headers.get(b"content-disposition", b"")
    extended = EXTENDED_FILE_NAME.search(disposition)
    plain, field = FILE_NAME.search(disposition), FIELD_NAME.search(disposition)
    name: str | None = None
    if extended is not None:
        name = unquote_to_bytes(extended.group(1)).decode("utf-8", "replace")
    elif plain is not None:
        name = (plain.group(1) or plain.group(2) or b"").decode("utf-8", "replace")
    named = (field.group(1) or field.group(2) or b"").decode("utf-8", "replace")[:60] if field else ""
    said = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return named, name, said.decode("latin-1")


def _broken(what: str) -> Validation:
    return invalid("body", None, f"the form {what}")
