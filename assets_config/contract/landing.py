"""The landing zone: every batch as it came in, byte for byte, for both sides.

landing/<kind>/<batch_id>/manifest.json      Batch: what it is and when it came, written once
landing/<kind>/<batch_id>/0.csv, 1.csv ...   its files, never changed: a replay reads them again
landing/inbox/<kind>/[<source>/]<file>       where people and systems drop files; they are moved from here
landing/audit.jsonl                          what happened to the batches, a line an event, chained by hashes

A batch's id is a hash of kind, source, parameters and content, so that the same bytes twice are one batch.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from assets_config.contract.durable import making_folder

SUFFIXES = {
    "text/csv": ".csv",
    "application/json": ".json",
    "application/vnd.apache.parquet": ".parquet",
}
"""The media types that are taken, and how their files end."""

POSTED = "api"
"""Source of batches that name none: our column names, our codes."""


class LandedFile(Struct, frozen=True):
    """One file of a batch. `name` is what the sender called it and is never used as a path."""

    name: str
    stored: str
    bytes: int
    sha256: str


class Batch(Struct, frozen=True):
    """What is known of a batch from the moment of its receipt on."""

    batch_id: str  # 32 hex digits
    kind: str
    source: str  # the entry of sources.yaml that says how to read it, or POSTED
    media_type: str
    received_at: datetime
    files: list[LandedFile]
    parameters: dict[str, str] = {}  # such as forecast_id
    is_from_folder: bool = False  # kept while a source was asked for: it counts when that is loaded, not before

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Landing:
    """The landing zone of one data root."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "landing"
        self.inbox = self.folder / "inbox"
        self.audit = self.folder / "audit.jsonl"

    def path(self, kind: str, batch_id: str) -> Path:
        return self.folder / kind / batch_id

    def receive(
        self,
        kind: str,
        source: str,
        files: Sequence[tuple[str, bytes | Path]],
        *,
        media_type: str,
        received_at: datetime,
        parameters: Mapping[str, str] | None = None,
        is_from_folder: bool = False,
    ) -> tuple[Batch, bool]:
        """Keep a batch; gives it and whether it is new. Whole or not at all, also when the process is killed."""
        given = dict(sorted((parameters or {}).items()))
        landed = [
            LandedFile(Path(name).name[:200], f"{n}{_suffix(name, media_type)}", _size(content), _sha256(content))
            for n, (name, content) in enumerate(files)
        ]
        batch_id = _identity(kind, source, given, [file.sha256 for file in landed])
        folder = self.path(kind, batch_id)
        if folder.exists():
            return self.read(kind, batch_id), False
        batch = Batch(batch_id, kind, source, media_type, received_at, landed, given, is_from_folder)
        try:
            with making_folder(folder) as beside:
                for file, (_, content) in zip(landed, files, strict=True):
                    if isinstance(content, Path):
                        shutil.copyfile(content, beside / file.stored)
                    else:
                        (beside / file.stored).write_bytes(content)
                (beside / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(batch)))
        except OSError:
            if not folder.exists():
                raise
            return self.read(kind, batch_id), False  # another process received the same bytes meanwhile
        return batch, True

    def read(self, kind: str, batch_id: str) -> Batch:
        """Raises FileNotFoundError, when there is no such batch."""
        return msgspec.json.decode((self.path(kind, batch_id) / "manifest.json").read_bytes(), type=Batch)

    def find(self, batch_id: str) -> Batch | None:
        """The batch with this id, of whatever kind; None where there is none."""
        if len(batch_id) != 32 or not set(batch_id) <= set("0123456789abcdef"):
            return None
        for path in self.folder.glob(f"*/{batch_id}/manifest.json"):
            return msgspec.json.decode(path.read_bytes(), type=Batch)
        return None

    def batches(self) -> list[Batch]:
        """Every batch, in the order that decides which of two rows holds: by time of receipt, then id."""
        paths = [
            path
            for path in self.folder.glob("*/*/manifest.json")
            if not path.parent.name.startswith(".") and path.parent.parent != self.inbox  # people may drop a file of that name
        ]
        found = [msgspec.json.decode(path.read_bytes(), type=Batch) for path in paths]
        return sorted(found, key=lambda batch: (batch.received_at, batch.batch_id))

    def files(self, batch: Batch) -> list[Path]:
        folder = self.path(batch.kind, batch.batch_id)
        return [folder / file.stored for file in batch.files]


def identity(kind: str, source: str, contents: Sequence[bytes], parameters: Mapping[str, str]) -> str:
    """The id that `receive` gives a batch, without keeping it."""
    return _identity(kind, source, dict(sorted(parameters.items())), [_sha256(content) for content in contents])


def _identity(kind: str, source: str, parameters: dict[str, str], checksums: list[str]) -> str:
    return hashlib.sha256(msgspec.json.encode([kind, source, parameters, checksums])).hexdigest()[:32]


def _suffix(name: str, media_type: str) -> str:
    return ".parquet" if name.lower().endswith(".parquet") else SUFFIXES[media_type]


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
