"""Files that are whole or absent, whenever the process is killed: write beside, fsync, rename, fsync the folder."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; on leaving without an error it takes the place of `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.tmp")
    try:
        yield beside
        sync(beside)
        beside.replace(path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to fill; on leaving without an error it becomes `path`, which must not exist yet."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        for folder, _, files in os.walk(beside):
            for name in files:
                sync(Path(folder, name))
            sync(Path(folder))
        beside.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of a file in one step."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_once(path: Path, content: bytes) -> bytes:
    """Write a file unless there is one; gives what is in it then, of several who write at once that of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.tmp")
    try:
        beside.write_bytes(content)
        sync(beside)
        with suppress(FileExistsError):
            os.link(beside, path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)
    return path.read_bytes()


def stamp_of(path: str | Path) -> tuple[int, ...]:
    """What differs once another file took the place of one, or it was written to; empty where there is none to look at."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an OS lock on a file; waits for another process that holds it. The OS frees it when one dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, *, older_than: float = 0, of_the_dead: bool = False) -> None:
    """Delete what killed processes left half-written in a folder.

    Where others may be writing there now: only what is some seconds old, or what a process made that is gone.
    """
    for path in folder.glob(".*.tmp"):
        if of_the_dead and _lives(path):
            continue
        if older_than and path.exists() and time.time() - path.stat().st_mtime < older_than:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _lives(path: Path) -> bool:
    """Whether the process that makes a file, whose number is in its name, still runs on this machine."""
    number = path.name.split(".")[-3]
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
