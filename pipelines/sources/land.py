"""What gets into the landing zone from this side: a folder's files, what was dropped into the inbox, a generator's knobs."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import POSTED, SUFFIXES, Batch, Landing
from assets_config.contract.seeds import SEED_KIND, Seed
from assets_config.mapping import FileSource, TableFile
from pipelines.errors import SourceError

MEDIA_TYPES = {suffix: media_type for media_type, suffix in SUFFIXES.items()} | {".txt": "text/csv", ".tsv": "text/csv"}
STILL = 2.0
"""Seconds that a file in the inbox must not have changed for: whoever writes it is done then."""


def land_folder(landing: Landing, declared: FileSource, folder: Path) -> list[Batch]:
    """Keep every file of a folder that the source names, a batch a kind and file; those that are kept already are found.

    Raises SourceError, when the folder or a file that must be there is missing.
    """
    check_folder(declared, folder)
    batches = []
    now = datetime.now(UTC)
    for kind, table in declared.tables.items():
        others = [_one(folder, lookup.file) for lookup in table.lookups]
        for n, path in enumerate(_paths(folder, table)):
            files: list[tuple[str, bytes | Path]] = [(each.name, each) for each in (path, *others)]
            said = dict.fromkeys(KINDS[kind].parameters, path.name.partition(".")[0])
            batch, _ = landing.receive(
                kind,
                declared.name,
                files,
                media_type=_media_type(path),
                received_at=now + timedelta(microseconds=n),  # of a kind's files that come at once the later name holds
                parameters=said,
                is_from_folder=True,
            )
            batches.append(batch)
    return batches


def check_folder(declared: FileSource, folder: Path) -> None:
    """Raises SourceError, when there is no such folder."""
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder: give the one that holds {_first_file(declared)} with --path")


def land_seed(landing: Landing, seed: Seed, source: str) -> Batch:
    """Keep a generator's knobs as a batch: the same knobs give the same rows."""
    content = msgspec.json.format(msgspec.json.encode(seed))
    files = [(f"{source}.json", content)]
    batch, _ = landing.receive(SEED_KIND, SEED_KIND, files, media_type="application/json", received_at=datetime.now(UTC))
    return batch


def is_posted(batch: Batch) -> bool:
    """Whether a batch counts by itself: what a source gave counts only from when that source is loaded."""
    return batch.kind != SEED_KIND and not batch.is_from_folder


def waiting(landing: Landing) -> list[Path]:
    """The files of the inbox that are whole: they end as a media type does and nobody wrote to them just now."""
    found = []
    for path in sorted(landing.inbox.rglob("*")):
        try:
            if path.is_file() and not path.name.startswith(".") and time.time() - path.stat().st_mtime >= STILL:
                found.append(path)
        except FileNotFoundError:
            continue  # somebody took it away meanwhile
    return found


def told(path: Path) -> str:
    """A path as text that can be written down, whatever bytes its name is made of."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def land_inbox(landing: Landing, paths: Sequence[Path]) -> tuple[list[Batch], dict[str, str]]:
    """Move files of the inbox into the landing zone; gives the batches, and file -> why for those that stay where they are.

    A file lies in inbox/<kind>/ and has our columns, or in inbox/<kind>/<source>/ and has those of that source. It is
    deleted only when its bytes are kept; a name `<plan>.<...>` gives weekly sales their plan.
    """
    batches, refused = [], {}
    for path in paths:
        kind, *source = path.relative_to(landing.inbox).parts[:-1] or ("",)
        name = told(path.relative_to(landing.inbox))
        fault = inbox_fault(landing, path)
        if fault:
            refused[name] = fault
            continue
        try:
            batch, _ = landing.receive(
                kind,
                source[0] if source else POSTED,
                [(told(Path(path.name)), path)],
                media_type=_media_type(path),
                received_at=datetime.now(UTC),
                parameters=dict.fromkeys(KINDS[kind].parameters, told(Path(path.name)).partition(".")[0]),
            )
            path.unlink()
        except OSError as error:
            refused[name] = f"it cannot be taken: {error.strerror}"
            continue
        batches.append(batch)
    return batches, refused


def inbox_fault(landing: Landing, path: Path) -> str | None:
    """Why a file of the inbox cannot be taken in; None where it can be."""
    kind, *source = path.relative_to(landing.inbox).parts[:-1] or ("",)
    if kind not in KINDS:
        return f"no kind is called {told(Path(kind or path.name))}: put the file into inbox/<kind>/, one of {', '.join(KINDS)}"
    if len(source) > 1:
        return "put the file into inbox/<kind>/ or inbox/<kind>/<source>/, no deeper"
    if path.suffix.lower() not in MEDIA_TYPES:
        return f"{path.suffix or 'no ending'} is none of {', '.join(MEDIA_TYPES)}"
    return None


def _paths(folder: Path, table: TableFile) -> list[Path]:
    paths = sorted(path for path in folder.glob(table.file) if path.is_file())
    if not paths and not table.optional:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise SourceError(f"{folder} holds no {table.file}; it holds {found}")
    return paths


def _one(folder: Path, file: str) -> Path:
    path = folder / file
    if not path.is_file():
        raise SourceError(f"{folder} holds no {file}, which another file is looked up in")
    return path


def _first_file(declared: FileSource) -> str:
    return next(iter(declared.tables.values())).file


def _media_type(path: Path) -> str:
    return MEDIA_TYPES.get(path.suffix.lower(), "text/csv")
