"""The audit trail: what happened to each batch, a line an event, appended and never changed, each chained to the one before.

A batch is active from its first event on, until a `retracted` event; another event makes it active again.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from assets_config.contract.ingest import IngestAudit
from assets_config.contract.landing import Batch
from assets_config.contract.names import BatchState
from pipelines.errors import SourceError

FIRST = "0" * 64


class Audit:
    """The audit file of one landing zone. Appending holds a lock; a half-written last line is no line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[IngestAudit]:
        """Every event, oldest first. Raises SourceError, when a line cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        try:
            return [msgspec.json.decode(line, type=IngestAudit) for line in lines]
        except msgspec.MsgspecError as error:
            raise SourceError(f"{self.path} holds a line that is no event: {error}") from error

    def states(self) -> dict[str, IngestAudit]:
        """The newest event of each batch."""
        return {event.batch_id: event for event in self.events()}

    def append(self, entries: Iterable[IngestAudit]) -> int:
        """Write events with the next numbers and hashes; gives how many. On disk when it returns."""
        waiting = list(entries)
        if not waiting:
            return 0
        with self._locked() as handle:
            size = os.fstat(handle).st_size
            content = os.pread(handle, size, 0)
            whole = content.rfind(b"\n") + 1
            if whole < size:
                os.ftruncate(handle, whole)  # a process was killed while it wrote
            lines = content[:whole].splitlines()
            last = msgspec.json.decode(lines[-1], type=IngestAudit) if lines else None
            seq, previous = (last.seq, last.hash) if last else (0, FIRST)
            written = bytearray()
            for entry in waiting:
                seq += 1
                numbered = msgspec.structs.replace(entry, seq=seq, previous=previous, hash="")
                previous = _hash(numbered)
                written += msgspec.json.encode(msgspec.structs.replace(numbered, hash=previous)) + b"\n"
            while written:
                done = os.pwrite(handle, written, whole)
                written, whole = written[done:], whole + done
            os.fsync(handle)
        return len(waiting)

    def fault(self) -> str | None:
        """The first event whose chain does not hold, in words; None where all do."""
        previous = FIRST
        for n, event in enumerate(self.events(), start=1):
            if event.seq != n or event.previous != previous or event.hash != _hash(msgspec.structs.replace(event, hash="")):
                return f"event {n} of {self.path.name} was altered, or one before it was taken out"
            previous = event.hash
        return None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


def event(
    batch: Batch,
    state: BatchState,
    *,
    lines: int = 0,
    loaded: int = 0,
    rejected: int = 0,
    merged: int = 0,
    skipped: int = 0,
    detail: str = "",
    run_id: str | None = None,
) -> IngestAudit:
    """An event of now, not numbered yet."""
    counts = {"lines": lines, "loaded": loaded, "rejected": rejected, "merged": merged, "skipped": skipped}
    return IngestAudit(
        seq=0,
        at=datetime.now(UTC),
        batch_id=batch.batch_id,
        kind=batch.kind,
        state=state,
        **counts,
        detail=detail,
        dagster_run_id=run_id,
        previous="",
        hash="",
    )


def _hash(unsigned: IngestAudit) -> str:
    return hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest()
