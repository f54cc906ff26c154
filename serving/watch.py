"""Whether the pointer was moved, asked on every request.

A publish makes `published/turn` odd, replaces the pointer and makes the turn even again (assets_config/contract/pointer.py).
Reading those eight bytes from a file that is open takes less than half the time of a look at the pointer, which was a fifth of a
kept answer's (benchmarks/pointer.py). The pointer itself is looked at once a second all the same, for who moved it by hand; and
every time while the turn is odd, or where there is none.
"""

import os
import time
from contextlib import suppress

from msgspec import Struct

from assets_config.contract.layout import Published
from assets_config.contract.pointer import TURN_BYTES

EVERY = 1.0  # seconds between two looks at the pointer itself


class Seen(Struct, frozen=True):
    """One look: what the pointer is like, and the turn before that look; empty where there is no such file."""

    turn: bytes
    pointer: tuple[int, ...]


class Watch:
    """Of one data root, for one process."""

    def __init__(self, published: Published) -> None:
        self._pointer, self._turn = str(published.pointer), str(published.turn)
        self._file = -1
        self._seen: Seen | None = None
        self._holds_until = 0.0

    def has_moved(self) -> bool:
        """Whether the pointer is another than the one that was `keep`t last."""
        now = time.monotonic()
        if now < self._holds_until and self._file >= 0 and self._seen and os.pread(self._file, TURN_BYTES, 0) == self._seen.turn:
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
            self._file = os.open(self._turn, os.O_RDONLY | os.O_CLOEXEC)
            turn = os.pread(self._file, TURN_BYTES, 0)
        try:
            found = os.stat(self._pointer)
        except OSError:
            return Seen(turn, ())
        return Seen(turn, (found.st_ino, found.st_mtime_ns, found.st_size))

    def keep(self, seen: Seen) -> None:
        """That is what is open from now on."""
        self._seen = seen
        is_still = bool(seen.turn) and seen.turn[0] % 2 == 0
        self._holds_until = time.monotonic() + EVERY if is_still else 0.0

    def close(self) -> None:
        """Let go of the file; the next look opens it again."""
        self._holds_until = 0.0
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
