"""The published snapshot: opened read-only, checked, leased to requests, swapped without stopping anyone.

A Library holds the snapshot that is pointed to and a few that were pinned. Every request leases one for as long as it
runs; a snapshot that was replaced is closed when its last lease ends. Cubes are read into memory, since a mapped file
that is truncated would kill the process; DuckDB checks its blocks as it reads them.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import duckdb
import msgspec
import numpy as np
from msgspec import Struct

from assets_config.contract.catalogue import DimProduct, DimStore, IdMap
from assets_config.contract.integrity import part_damage
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Cubes, Manifest, Pointer
from assets_config.contract.names import UNKNOWN
from assets_config.contract.tables import FACTS_PREFIX, SCHEMA_VERSION, TABLES
from serving.problems import Gone, NoSnapshot, NotFound

SNAPSHOT_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
RETRY_AFTER = 5.0  # seconds until a damaged snapshot is looked at again


class DamagedError(Exception):
    """A snapshot that cannot be served; the message names part and file."""


class Snapshot:
    """One snapshot, open."""

    def __init__(self, published: Published, manifest: Manifest, *, memory: str, threads: ThreadPoolExecutor) -> None:
        self.manifest = manifest
        self.stale = False
        self.leases = 0
        self.retired = False
        self.published = published
        self._threads = threads
        self._connection = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": memory})
        try:
            for name, part in manifest.parts.items():
                if "tables.duckdb" in part.files:
                    path = str(published.part(part.key) / "tables.duckdb").replace("'", "''")
                    self._connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
            years = [name for name in manifest.parts if name.startswith(FACTS_PREFIX)]
            if not years:
                raise ValueError("no part holds kpi_daily")
            self._connection.execute(f"CREATE VIEW kpi_daily AS {' UNION ALL '.join(f'FROM {name}.kpi_daily' for name in years)}")
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
            self.stores: list[DimStore] = self._all("catalogue.dim_store", DimStore)
            self.products: list[DimProduct] = self._all("catalogue.dim_product", DimProduct)
            self.names: dict[str, dict[Any, str]] = {  # what each store or product belongs to; looked up by every filter
                "region": {each.store_id: each.region or UNKNOWN for each in self.stores},
                "category": {each.product_id: each.category or UNKNOWN for each in self.products},
                "department": {each.product_id: each.department or UNKNOWN for each in self.products},
            }
            self.codes = {
                "store": {each.code: each.store_id for each in self.stores},
                "product": {each.sku: each.product_id for each in self.products},
            }
            self.aliases: dict[str, dict[str, set[int]]] = {"store": {}, "product": {}}  # external id -> ids, of any source
            self.product_ids: dict[int, list[IdMap]] = {}
            for each in self._all("catalogue.id_map", IdMap) if self._has("catalogue", "id_map") else []:
                if each.internal_id is not None:
                    self.aliases[each.entity].setdefault(each.external_id, set()).add(each.internal_id)
                if each.entity == "product":
                    self.product_ids.setdefault(each.internal_id, []).append(each)
            self._shared = _shared_cubes(
                published.part(manifest.parts["kpis"].key), [published.part(manifest.parts[name].key) for name in years]
            )
            self.cubes, self.arrays = self._shared.cubes, self._shared.arrays
        except Exception:
            self._connection.close()
            raise

    @property
    def id(self) -> str:
        return self.manifest.id

    async def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, run in a thread. Raises duckdb.Error, also when a file was altered under us."""
        self.leases += 1  # of the query's own: a client that hangs up ends the request's lease while this still runs
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._query, sql, values)
        future.add_done_callback(self._query_ended)
        return await asyncio.shield(future)

    def _query_ended(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not complain where the client hung up
        self.release()

    async def rows(self, part: str, table: str, where: str = "true", values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a published table as dicts in contract order; none where the snapshot came without the table."""
        if not self._has(part, table):
            return []
        columns = TABLES[table].__struct_fields__
        found = await self.query(f"SELECT {_quoted(columns)} FROM {part}.{table} WHERE {where}", values)  # noqa: S608
        return [dict(zip(columns, row, strict=True)) for row in found]

    async def page(
        self, part: str, table: str, wanted: Mapping[str, Any], *, order: str, page: int, page_size: int
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of the rows that match all of `wanted` (a condition with one `?`, and its value; None is no condition).

        Gives the rows and how many there are on all pages. `order` and the conditions are ours, never the client's.
        """
        if not self._has(part, table):
            return [], 0
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(given) or "true"
        [[total]] = await self.query(f"SELECT count(*) FROM {part}.{table} WHERE {where}", list(given.values()))  # noqa: S608
        window = [*given.values(), page_size, (page - 1) * page_size]
        return await self.rows(part, table, f"{where} ORDER BY {order} LIMIT ? OFFSET ?", window), total

    def _has(self, part: str, table: str) -> bool:
        return part in self.manifest.parts and table in self.manifest.parts[part].tables

    def release(self) -> None:
        """End a lease; the last one of a retired snapshot closes it."""
        self.leases -= 1
        self._close_if_done()

    def retire(self) -> None:
        """Close as soon as nobody reads any more."""
        self.retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.retired and self.leases == 0:
            self._connection.close()

    def _query(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            return cursor.execute(sql, list(values)).fetchall()

    def _all(self, table: str, shape: type[Any]) -> list[Any]:
        columns = _quoted(shape.__struct_fields__)
        return [shape(*row) for row in self._query(f"SELECT {columns} FROM {table} ORDER BY 1", ())]  # noqa: S608


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)  # DuckDB takes some of them, such as `at`, for keywords


class Library:
    """The snapshots of one data root, for one process."""

    def __init__(self, published: Published, *, memory: str = "1GB", pinned: int = 3, threads: int = 4) -> None:
        self.published = published
        self.failure: str | None = None  # why the snapshot that is pointed to is not the one that is served
        self._memory = memory
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="duckdb")
        self._current: Snapshot | None = None
        self._seen: tuple[int, ...] | None = None
        self._retry_at = 0.0
        self._retry: asyncio.Task[None] | None = None
        self._most_pinned = pinned
        self._pinned: OrderedDict[str, Snapshot] = OrderedDict()
        self._lock = asyncio.Lock()

    async def lease(self, pin: str | None = None) -> Snapshot:
        """The snapshot to read from, until `release`. A pinned one where `pin` names it.

        Raises NoSnapshot where none can be served; NotFound or Gone for a pin that is unknown or kept no more.
        """
        if self._stat() != self._seen or (self._current is None and self._is_retry_due()):
            await self._refresh_once()
        elif self._is_retry_due() and (self._retry is None or self._retry.done()):
            self._retry = asyncio.create_task(self._refresh_once())  # nobody waits: the last good snapshot is served
        snapshot = self._current if pin is None or (self._current and self._current.id == pin) else await self._pin(pin)
        if snapshot is None:
            raise NoSnapshot(
                f"No snapshot can be served: {self.failure or 'nothing was published yet'}. "
                "`demandgraph materialize` publishes one, `demandgraph doctor` says what is damaged.",
                headers={"Retry-After": str(int(RETRY_AFTER))},
            )
        snapshot.leases += 1
        return snapshot

    def close(self) -> None:
        """Close everything; for the end of the process."""
        for snapshot in [self._current, *self._pinned.values()]:
            if snapshot is not None:
                snapshot.retire()
        self._threads.shutdown(wait=False)

    def _is_retry_due(self) -> bool:
        return self.failure is not None and time.monotonic() >= self._retry_at

    async def _refresh_once(self) -> None:
        async with self._lock:
            if self._stat() != self._seen or self._is_retry_due():
                await self._refresh()

    def _stat(self) -> tuple[int, ...]:
        try:
            found = self.published.pointer.stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    async def _refresh(self) -> None:
        """Open what is pointed to; where that cannot be, keep what is open, else the newest other one that is whole.

        Opening, which hashes files, happens in a thread; the swap happens here on the loop, where leases are counted.
        """
        seen = self._stat()
        opened, failure = await asyncio.to_thread(self._open_pointed)
        if opened is None and failure and self._current is None:
            opened = await asyncio.to_thread(self._open_another)
        if opened is not None:
            old, self._current = self._current, opened
            if old is not None:
                old.retire()
        self.failure = failure
        if self._current is not None:
            self._current.stale = failure is not None
        self._seen, self._retry_at = seen, time.monotonic() + RETRY_AFTER

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
            if pin not in self._pinned:
                if not self.published.manifest(pin).exists():
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

    def _open(self, snapshot_id: str) -> Snapshot:
        try:
            manifest = msgspec.json.decode(self.published.manifest(snapshot_id).read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise DamagedError(f"the manifest of {snapshot_id} cannot be read") from error
        if manifest.schema_version != SCHEMA_VERSION:
            raise DamagedError(f"{snapshot_id} has schema {manifest.schema_version}, this server reads {SCHEMA_VERSION}")
        opened = [self._current, *self._pinned.values()]
        verified = {part.key for each in opened if each is not None for part in each.manifest.parts.values()}
        for name, part in manifest.parts.items():
            if part.key not in verified:
                for sentence in part_damage(self.published, name, part):
                    raise DamagedError(sentence)
        try:
            return Snapshot(self.published, manifest, memory=self._memory, threads=self._threads)
        except (duckdb.Error, OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
            raise DamagedError(f"snapshot {snapshot_id} cannot be opened") from error


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


class _Cubes:
    """The prefix sums over days, in memory once however many snapshots share the parts they come from.

    Cell [..., d, m] of an array is the sum of measure m over the first d days of all years.
    """

    def __init__(self, whole: Path, years: Sequence[Path]) -> None:
        self.cubes = _read_cubes(whole)
        self.arrays: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {}
        known = [(folder, _read_cubes(folder)) for folder in years]
        places = {axis: {member: n for n, member in enumerate(members)} for axis, members in self.cubes.axes.items()}
        for name, grain in self.cubes.grains.items():
            shape = [len(self.cubes.axes[axis]) for axis in grain.axes]
            sums = np.zeros([*shape, self.cubes.days + 1, len(self.cubes.measures)], dtype=np.int64)
            for folder, year in known:
                start = (year.first_day - self.cubes.first_day).days + 1
                members = [[places[axis][member] for member in year.axes[axis]] for axis in grain.axes]
                cells = np.ix_(*members, range(start, start + year.days), range(len(self.cubes.measures)))
                sums[cells] = np.load(folder / year.grains[name].file, allow_pickle=False)
            self.arrays[name] = np.cumsum(sums, axis=-2, out=sums)


def _read_cubes(folder: Path) -> Cubes:
    return msgspec.json.decode((folder / "cubes.json").read_bytes(), type=Cubes)


_open_cubes: WeakValueDictionary[tuple[Path, ...], _Cubes] = WeakValueDictionary()


def _shared_cubes(whole: Path, years: Sequence[Path]) -> _Cubes:
    found = _open_cubes.get((whole, *years))
    if found is None:
        found = _open_cubes[(whole, *years)] = _Cubes(whole, years)
    return found
