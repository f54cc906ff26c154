"""The buckets of all worker processes, in one file that each of them maps: a client has one bucket, whichever worker answers.

A lock of the OS is held for the look at one client. It ends with the process that holds it, and what a process took stays taken.
"""

import fcntl
import mmap
import os
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from struct import Struct

from serving.layers.buckets import MOST_CLIENTS, draw

SLOTS = 16  # places that one client may have; of those who share them, the one that was idle longest makes room
ROW = Struct("<" + "Qd" * SLOTS)  # a client's number, and the time at which its bucket is full [s]
ENTRY = Struct("<Qd")
ROWS = 1 << (4 * MOST_CLIENTS // SLOTS).bit_length()


class SharedBuckets:
    """As Buckets, over processes. The times are those of the machine's monotonic clock, which all of them read alike."""

    def __init__(self, path: Path, rate: float, burst: float) -> None:
        """The file is made where it is not there; it has 1 MiB and is sparse."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, ROWS * ROW.size)  # the same size for everyone, so that nothing is lost
        self._rows = mmap.mmap(self._file, ROWS * ROW.size)
        self._secret = path.as_posix().encode()[-64:]  # has the random name of the folder: nobody outside can choose a row
        self.hold_by(rate, burst)

    def hold_by(self, rate: float, burst: float) -> None:
        """Have this rate hold from now on; buckets stay as full as they are, and none is emptier than this rate lets it be."""
        self._interval = 1 / rate if rate else 0.0
        self._slack = max(burst - 1, 0) * self._interval

    def take(self, client: str, now: float) -> float:
        """Take one token at a time that never goes back [s]. Gives 0 where there was one, else the seconds until there is."""
        if not self._interval:
            return 0.0
        number = _number(client, self._secret)
        place = (number % ROWS) * ROW.size
        fcntl.lockf(self._file, fcntl.LOCK_EX, ROW.size, place)
        try:
            row = ROW.unpack_from(self._rows, place)
            numbers, times = row[::2], row[1::2]
            slot = numbers.index(number) if number in numbers else times.index(min(times))
            full_at = times[slot] if numbers[slot] == number else now
            full_at, wait = draw(full_at, now, self._slack, self._interval)
            ENTRY.pack_into(self._rows, place + slot * ENTRY.size, number, full_at)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, ROW.size, place)
        return wait


@lru_cache(maxsize=MOST_CLIENTS)
def _number(client: str, secret: bytes) -> int:
    """A client as a number that differs from those of others; never 0, which is an empty place."""
    return int.from_bytes(blake2b(client.encode(), digest_size=8, key=secret).digest()) or 1
