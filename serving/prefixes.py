"""Prefix sums over days, in memory once however many snapshots share the parts they come from.

Published are the sums of each day; they are added up when a snapshot is opened. Arrays that pass the memory given lie in
a temporary file without a name, which is mapped: the system may take its pages back, and nobody can truncate or alter it, as
they could a published file (docs/adr/0013).
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import numpy as np

from assets_config.contract.manifest import Cubes

Array = np.ndarray[Any, np.dtype[np.int64]]
STORE_AXES = ("store", "region")


class Prefixes:
    """The arrays of all grains. Cell [..., d, m] is the sum of measure m over the first d days of all years."""

    def __init__(self, whole: Path, years: Sequence[Path], *, memory: int) -> None:
        """`whole`: the folder of the part `kpis`; `years`: those of the facts. `memory` in bytes."""
        self.cubes = _read(whole)
        self.arrays: dict[str, Array] = {}
        self.mapped: set[str] = set()
        known = [(folder, _read(folder)) for folder in years]
        places: dict[str, dict[Any, int]] = {
            axis: {member: n for n, member in enumerate(members)} for axis, members in self.cubes.axes.items()
        }
        self.places = places
        self.grains = {sides: name for name, grain in self.cubes.grains.items() if (sides := _sides(grain.axes))}
        left = memory
        for name, grain in sorted(self.cubes.grains.items(), key=lambda each: each[1].bytes):
            shape = [*(len(self.cubes.axes[axis]) for axis in grain.axes), self.cubes.days + 1, len(self.cubes.measures)]
            size = int(np.prod(shape, dtype=np.int64)) * 8
            if size <= left:
                left -= size
                sums: Array = np.zeros(shape, dtype=np.int64)
            else:
                self.mapped.add(name)
                sums = _mapped(shape, size)
            for folder, year in known:
                start = (year.first_day - self.cubes.first_day).days + 1
                days = np.load(folder / year.grains[name].file, allow_pickle=False)
                if all(year.axes[axis] == self.cubes.axes[axis] for axis in grain.axes):
                    sums[..., start : start + year.days, :] = days
                    continue
                members = [[places[axis][member] for member in year.axes[axis]] for axis in grain.axes]
                sums[np.ix_(*members, range(start, start + year.days), range(len(self.cubes.measures)))] = days
            self.arrays[name] = np.cumsum(sums, axis=-2, out=sums)


def _sides(axes: Sequence[str]) -> tuple[str | None, str | None] | None:
    """The axis of stores and that of products, None where a grain sums over all of them; nothing for two of one kind."""
    stores, products = [axis for axis in axes if axis in STORE_AXES], [axis for axis in axes if axis not in STORE_AXES]
    if len(stores) > 1 or len(products) > 1:
        return None
    return next(iter(stores), None), next(iter(products), None)


def shared_prefixes(whole: Path, years: Sequence[Path], *, memory: int) -> Prefixes:
    """Those of these parts; the same object for as long as any snapshot holds it."""
    found = _open.get((whole, *years))
    if found is None:
        found = _open[(whole, *years)] = Prefixes(whole, years, memory=memory)
    return found


_open: WeakValueDictionary[tuple[Path, ...], Prefixes] = WeakValueDictionary()


def _read(folder: Path) -> Cubes:
    return msgspec.json.decode((folder / "cubes.json").read_bytes(), type=Cubes)


def _mapped(shape: Sequence[int], size: int) -> Array:
    """Zeros in a file of our own. Raises OSError where the disk has no room for it, rather than a signal later."""
    with tempfile.TemporaryFile(prefix="demandgraph-sums-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, dtype=np.int64, mode="r+", shape=tuple(shape))
