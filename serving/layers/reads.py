"""What a request has read, noted while it runs: it says for which other snapshots the answer would be the same.

Whoever reads something that is not in the snapshot (Dagster, the landing zone, a folder) calls `outside`; such an answer is
never kept.
"""

from contextvars import ContextVar

from msgspec import Struct


class Reads(Struct):
    """The parts of the snapshot that were read so far, whether anything else was, and what the metadata says for the log."""

    parts: set[str] = set()
    is_outside: bool = False
    dataset_id: str | None = None
    model_version: str | None = None


_now: ContextVar[Reads | None] = ContextVar("reads", default=None)


class noting:  # noqa: N801 - a context manager, for which contextlib takes three times as long
    """Note what is read in the block, by this task and those that it starts."""

    def __enter__(self) -> Reads:
        reads = Reads()
        self._token = _now.set(reads)
        return reads

    def __exit__(self, *_: object) -> None:
        _now.reset(self._token)


def note(*parts: str) -> None:
    """These parts of the snapshot were read, or looked for."""
    if (reads := _now.get()) is not None:
        reads.parts.update(parts)


def outside() -> None:
    """Something was read that can change while the snapshot stays."""
    if (reads := _now.get()) is not None:
        reads.is_outside = True


def tell(part: str, *, dataset_id: str, model_version: str | None) -> None:
    """This part was read, and the answer's metadata names these, so that the log names them too."""
    if (reads := _now.get()) is not None:
        reads.parts.add(part)
        reads.dataset_id, reads.model_version = dataset_id, model_version
