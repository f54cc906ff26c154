"""The pointer to the snapshot that is served, moved in one step, and the turn, which tells readers that it was.

published/current.json   Pointer, replaced
published/turn           a number of eight bytes: odd while the pointer is moved, and after every move an even one that is larger;
                         who has it open need not look at the pointer
"""

import os

import msgspec

from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer

TURN_BYTES = 8


def point(published: Published, manifest: Manifest) -> None:
    """Have another snapshot be served. By one process at a time (`publishing`).

    Who is killed midway leaves an odd turn: until the next move readers look at the pointer itself.
    """
    published.root.mkdir(parents=True, exist_ok=True)
    file = os.open(published.turn, os.O_RDWR | os.O_CREAT, 0o644)  # the same file always: readers have it open
    try:
        moving = int.from_bytes(os.pread(file, TURN_BYTES, 0), "little") % (1 << 63) | 1
        os.pwrite(file, moving.to_bytes(TURN_BYTES, "little"), 0)
        write_bytes(published.pointer, msgspec.json.encode(Pointer(manifest.id, manifest.published_at)))
        os.pwrite(file, (moving + 1).to_bytes(TURN_BYTES, "little"), 0)
    finally:
        os.close(file)
