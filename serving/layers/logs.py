"""The log: one JSON object a line, on standard error. A request is one line; a fault is one more, with its traceback."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

log = logging.getLogger("serving.logs")
encoder = msgspec.json.Encoder()


class AccessLog:
    """The lines of requests. Those of requests that end together are written together, before the loop turns again.

    Not through `logging`, which takes longer for a line than a kept answer takes to be given (benchmarks/access.py).
    """

    def __init__(self) -> None:
        self.is_open = False
        self._stream: BinaryIO | None = None
        self._lines: list[Struct] = []

    def open(self, stream: BinaryIO) -> None:
        """Write to a stream from now on."""
        self._stream, self.is_open = stream, True

    def close(self) -> None:
        """Write what waits, and nothing more."""
        self._flush()
        self._stream, self.is_open = None, False

    def write(self, line: Struct) -> None:
        """One line; within an event loop."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(line)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if not lines or self._stream is None:
            return
        try:
            said = encoder.encode_lines(lines)
        except UnicodeEncodeError:  # one of them, which the others do not answer for
            said = b"".join(map(_encoded, lines))
        self._stream.write(said)
        self._stream.flush()


def _encoded(line: Struct) -> bytes:
    """A line by itself; nothing of one that is no text."""
    try:
        return encoder.encode(line) + b"\n"
    except UnicodeEncodeError:
        log.error("a request cannot be written down: %a", line)
        return b""


access = AccessLog()


class JsonLines(logging.Formatter):
    """Turns a record into a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr() -> None:
    """Send what this package logs to standard error. For the server process; tests and tools have handlers of their own."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("serving")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    access.open(sys.stderr.buffer)
