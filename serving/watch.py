"""Whether the pointer was moved, asked on every request.

A publish makes `published/turn` odd, replaces the pointer and makes the turn even again (assets_config/contract/pointer.py).
Reading those eight bytes from a file that is open takes less than half the time of a look at the pointer, which was a fifth of a
kept answer's (benchmarks/pointer.py), and is done without letting go of the interpreter's lock (docs/adr/0027). The pointer itself
is looked at once a second all the same, for who moved it by hand; and every time while the turn is odd, or where there is none.
"""

import ctypes
import os
import time
from contextlib import suppress

from msgspec import Struct

from assets_config.contract.durable import stamp_of
from assets_config.contract.layout import Published
from assets_config.contract.pointer import TURN_BYTES

EVERY = 1.0  # seconds between two looks at the pointer itself
_pread = ctypes.PyDLL(None).pread  # which keeps the lock, as os.pread does not
_pread.restype = ctypes.c_ssize_t


class Turn:
    """The file with the turn, open."""

    def __init__(self, path: str) -> None:
        """Raises OSError, where there is none."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._now = bytearray(TURN_BYTES)
        into = (ctypes.c_char * TURN_BYTES).from_buffer(self._now)
        self._arguments = (ctypes.c_int(self._file), into, ctypes.c_size_t(TURN_BYTES), ctypes.c_int64(0))

    def read(self) -> bytearray:
        """What it is now, the same object each time; empty where it cannot be read whole."""
        return self._now if _pread(*self._arguments) == TURN_BYTES else bytearray()

    def close(self) -> None:
        os.close(self._file)


class Seen(Struct, frozen=True):
    """One look: what the pointer is like, and the turn before that look; empty where there is no such file."""

    turn: bytes
    pointer: tuple[int, ...]


class Watch:
    """Of one data root, for one process."""

    def __init__(self, published: Published) -> None:
        self._pointer, self._path = str(published.pointer), str(published.turn)
        self._turn: Turn | None = None
        self._seen: Seen | None = None
        self._holds_until = 0.0

    def has_moved(self) -> bool:
        """Whether the pointer is another than the one that was `keep`t last."""
        now = time.monotonic()
        if now < self._holds_until and self._turn and self._seen and self._turn.read() == self._seen.turn:
            return False
        found = self.look()
        if self._seen is None or found.pointer != self._seen.pointer:
            return True
        self.keep(found)
        return False

    def look(self) -> Seen:
        """What there is now. The turn is read first: a publish between the two is then seen again, and never missed."""
        self.close()
        turn = b""
        with suppress(OSError):
            self._turn = Turn(self._path)
            turn = bytes(self._turn.read())
        return Seen(turn, stamp_of(self._pointer))

    def keep(self, seen: Seen) -> None:
        """That is what is open from now on."""
        self._seen = seen
        is_still = bool(seen.turn) and seen.turn[0] % 2 == 0
        self._holds_until = time.monotonic() + EVERY if is_still else 0.0

    def close(self) -> None:
        """Let go of the file; the next look opens it again."""
        self._holds_until = 0.0
        if self._turn is not None:
            self._turn.close()
            self._turn = None
