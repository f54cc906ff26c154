"""The snapshots of one data root: checked before they are served, leased to requests, swapped without stopping anyone.

The one that is pointed to is open, and a few that were pinned. Every request leases one for as long as it runs.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakSet

import duckdb
import msgspec
from msgspec import Struct

from assets_config.contract.integrity import part_damage
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer
from assets_config.contract.tables import SCHEMA_VERSION
from serving.problems import Gone, NoSnapshot, NotFound
from serving.snapshot import Snapshot
from serving.watch import Watch

SNAPSHOT_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
RETRY_AFTER = 5.0  # seconds until a damaged snapshot is looked at again


class DamagedError(Exception):
    """A snapshot that cannot be served; the message names part and file."""


class Library:
    """The snapshots of one data root, for one process."""

    def __init__(
        self, published: Published, *, memory: str = "1GB", cubes_memory: int = 1 << 30, pinned: int = 3, threads: int = 4
    ) -> None:
        self.published = published
        self._watch = Watch(published)
        self.failure: str | None = None  # why the snapshot that is pointed to is not the one that is served
        self._memory, self._cubes_memory = memory, cubes_memory
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="duckdb")
        self._current: Snapshot | None = None
        self._retry_at = 0.0
        self._retry: asyncio.Task[None] | None = None
        self._most_pinned = pinned
        self._pinned: OrderedDict[str, Snapshot] = OrderedDict()
        self._lock = asyncio.Lock()
        self._opened: WeakSet[Snapshot] = WeakSet()
        self.swaps = 0

    @property
    def leases(self) -> int:
        """Reads that are under way, of every snapshot that is open."""
        return sum(snapshot.leases for snapshot in self._opened)

    async def lease(self, pin: str | None = None) -> Snapshot:
        """The snapshot to read from, until `release`. A pinned one where `pin` names it.

        Raises NoSnapshot where none can be served; NotFound or Gone for a pin that is unknown or kept no more.
        """
        if self._watch.has_moved() or (self._current is None and self._is_retry_due()):
            await self._refresh_once()
        self._retry_if_due()
        snapshot = self._current if pin is None or (self._current and self._current.id == pin) else await self._pin(pin)
        if snapshot is None:
            raise NoSnapshot(
                f"No snapshot can be served: {self.failure or 'nothing was published yet'}. "
                "`demandgraph materialize` publishes one, `demandgraph doctor` says what is damaged.",
                headers={"Retry-After": str(int(RETRY_AFTER))},
            )
        snapshot.leases += 1
        return snapshot

    def peek(self, pin: str | None = None) -> Snapshot | None:
        """The snapshot that `lease` would give at once, without a lease; None where one must be opened first, or there is none."""
        if self._watch.has_moved() or self._current is None:
            return None
        if self.failure is not None:
            self._retry_if_due()
        if pin is None or pin == self._current.id:
            return self._current
        return self._pinned.get(pin) if self._is_kept(pin) else None

    def close(self) -> None:
        """Close everything; for the end of the process."""
        for snapshot in [self._current, *self._pinned.values()]:
            if snapshot is not None:
                snapshot.retire()
        self._watch.close()
        self._threads.shutdown(wait=False)

    def _is_retry_due(self) -> bool:
        return self.failure is not None and time.monotonic() >= self._retry_at

    def _retry_if_due(self) -> None:
        """Look at a damaged snapshot again. Nobody waits for it: the last good one is served."""
        if self._is_retry_due() and (self._retry is None or self._retry.done()):
            self._retry = asyncio.create_task(self._refresh_once())

    async def _refresh_once(self) -> None:
        async with self._lock:
            if self._watch.has_moved() or self._is_retry_due():
                await self._refresh()

    async def _refresh(self) -> None:
        """Open what is pointed to; where that cannot be, keep what is open, else the newest other one that is whole.

        Opening, which hashes files, happens in a thread; the swap happens here on the loop, where leases are counted.
        """
        seen = self._watch.look()
        opened, failure = await asyncio.to_thread(self._open_pointed)
        if opened is None and failure and self._current is None:
            opened = await asyncio.to_thread(self._open_another)
        if opened is not None:
            old, self._current = self._current, opened
            if old is not None:
                self.swaps += 1
                old.retire()
        self.failure = failure
        if self._current is not None:
            self._current.stale = failure is not None
        self._watch.keep(seen)
        self._retry_at = time.monotonic() + RETRY_AFTER

    def _open_pointed(self) -> tuple[Snapshot | None, str | None]:
        """The snapshot that is pointed to, None where it is open already; and what is wrong with it."""
        try:
            wanted = msgspec.json.decode(self.published.pointer.read_bytes(), type=Pointer).snapshot
            if not SNAPSHOT_ID.match(wanted):
                return None, "current.json does not name a snapshot"
            if self._current is not None and self._current.id == wanted:
                return None, None
            return self._open(wanted), None
        except FileNotFoundError:
            return None, "there is no current.json"
        except (msgspec.MsgspecError, OSError):
            return None, "current.json cannot be read"
        except DamagedError as error:
            return None, str(error)

    def _open_another(self) -> Snapshot | None:
        for path in sorted(self.published.snapshots.glob("*.json"), reverse=True):
            try:
                return self._open(path.stem)
            except DamagedError:
                continue
        return None

    async def _pin(self, pin: str) -> Snapshot:
        if not SNAPSHOT_ID.match(pin):
            raise NotFound(f"No snapshot is called '{pin}'; /api/v1/system/snapshots lists those that are kept.")
        async with self._lock:
            if pin not in self._pinned or not self._is_kept(pin):
                if not self._is_kept(pin):
                    if pin in self._pinned:  # every worker says the same, whether it had it open or not
                        self._pinned.pop(pin).retire()
                    if (self.published.expired / f"{pin}.json").exists():
                        raise Gone(f"Snapshot {pin} is kept no more; /api/v1/system/snapshots lists those that are.")
                    raise NotFound(f"No snapshot is called '{pin}'; /api/v1/system/snapshots lists those that are kept.")
                try:
                    self._pinned[pin] = await asyncio.to_thread(self._open, pin)
                except DamagedError as error:
                    raise NoSnapshot(f"Snapshot {pin} is damaged: {error}. `demandgraph doctor` says more.") from error
            self._pinned.move_to_end(pin)
            while len(self._pinned) > self._most_pinned:
                self._pinned.popitem(last=False)[1].retire()
            return self._pinned[pin]

    def _is_kept(self, pin: str) -> bool:
        return SNAPSHOT_ID.match(pin) is not None and self.published.manifest(pin).exists()

    def _open(self, snapshot_id: str) -> Snapshot:
        try:
            manifest = msgspec.json.decode(self.published.manifest(snapshot_id).read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise DamagedError(f"the manifest of {snapshot_id} cannot be read") from error
        if manifest.schema_version != SCHEMA_VERSION:
            raise DamagedError(f"{snapshot_id} has schema {manifest.schema_version}, this server reads {SCHEMA_VERSION}")
        known = [self._current, *self._pinned.values()]
        verified = {part.key for each in known if each is not None for part in each.manifest.parts.values()}
        for name, part in manifest.parts.items():
            if part.key not in verified:
                for sentence in part_damage(self.published, name, part):
                    raise DamagedError(sentence)
        try:
            opened = Snapshot(self.published, manifest, memory=self._memory, cubes_memory=self._cubes_memory, threads=self._threads)
        except (duckdb.Error, OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
            raise DamagedError(f"snapshot {snapshot_id} cannot be opened") from error
        self._opened.add(opened)
        return opened


class Kept(Struct, frozen=True):
    """A kept snapshot, by its manifest."""

    manifest: Manifest
    is_current: bool


def kept(published: Published, current_id: str) -> list[Kept]:
    """The kept snapshots, newest first."""
    return [Kept(manifest, manifest.id == current_id) for manifest in _manifests(published.snapshots)]


def expired_runs(published: Published) -> set[str | None]:
    """The Dagster runs that published the snapshots of the last 30 days that are kept no more."""
    return {manifest.dagster_run_id for manifest in _manifests(published.expired)}


def _manifests(folder: Path) -> Iterator[Manifest]:
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError):
            continue
