"""The log: one JSON object a line, on standard error. A request is one line; a fault is one more, with its traceback."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

ACCESS = "serving.access"


class JsonLines(logging.Formatter):
    """Turns a record into a line. Those of requests are JSON already."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS:
            return record.getMessage()
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
