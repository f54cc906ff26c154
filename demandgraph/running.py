"""Which `demandgraph up` runs on a data root: a file that it holds locked for as long as it lives."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from demandgraph.home import Home


class Running(msgspec.Struct, frozen=True):
    """Where the processes of an `up` listen, all on the loopback interface."""

    port: int
    dagster_port: int
    code_server_port: int


class AlreadyRunning(Exception):
    """Another `up` holds this data root."""


@contextmanager
def claim(home: Home, running: Running) -> Iterator[None]:
    """Hold the data root for one `up`. The lock goes when the process does, however it ends.

    Raises AlreadyRunning, when another process holds it.
    """
    with home.running.open("a+b") as file:
        if not _locked(file.fileno()):
            raise AlreadyRunning(f"Another `demandgraph up` runs on {home.folder.parent}: stop it, or take another --data.")
        file.truncate(0)
        file.write(msgspec.json.encode(running))
        file.flush()
        yield
        file.truncate(0)


def running_now(home: Home) -> Running | None:
    """The `up` that runs on this data root; None where none does."""
    try:
        with home.running.open("rb") as file:
            if _locked(file.fileno(), shared=True):
                return None
            return msgspec.json.decode(file.read(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def _locked(handle: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
