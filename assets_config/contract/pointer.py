"""The pointer to the snapshot that is served, moved in one step, and the turn, which tells readers that it was.

published/current.json   Pointer, replaced
published/turn           eight bytes that are others after every move; who has it open need not look at the pointer
"""

import os

import msgspec

from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer

TURN_BYTES = 8


def point(published: Published, manifest: Manifest) -> None:
    """Have another snapshot be served. By one process at a time (`publishing`).

    Who is killed before the turn is written has moved the pointer all the same; readers see it within a second then.
    """
    write_bytes(published.pointer, msgspec.json.encode(Pointer(manifest.id, manifest.published_at)))
    file = os.open(published.turn, os.O_RDWR | os.O_CREAT, 0o644)  # the same file always: readers have it open
    try:
        turn = int.from_bytes(os.pread(file, TURN_BYTES, 0), "little")
        os.pwrite(file, ((turn + 1) % (1 << 8 * TURN_BYTES)).to_bytes(TURN_BYTES, "little"), 0)
    finally:
        os.close(file)
