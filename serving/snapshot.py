"""The published snapshot: opened read-only, checked, leased to requests, swapped without stopping anyone.

A Library holds the snapshot that is pointed to and a few that were pinned. Every request leases one for as long as it
runs; a snapshot that was replaced is closed when its last lease ends. Sums are held as `serving.prefixes` says; DuckDB checks its
blocks as it reads them.
"""

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

import duckdb
import msgspec
from msgspec import Struct

from assets_config.contract.catalogue import DimProduct, DimStore, IdMap
from assets_config.contract.clusters import StoreClusterMember
from assets_config.contract.integrity import part_damage
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer
from assets_config.contract.names import UNKNOWN
from assets_config.contract.tables import FACTS_PREFIX, SCHEMA_VERSION, TABLES
from serving.figures import Figures
from serving.layers.reads import note, outside
from serving.prefixes import shared_prefixes
from serving.problems import Gone, NoSnapshot, NotFound

SNAPSHOT_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
MEMBERS = "clusters.store_cluster_member"
RETRY_AFTER = 5.0  # seconds until a damaged snapshot is looked at again


class DamagedError(Exception):
    """A snapshot that cannot be served; the message names part and file."""


class Snapshot:
    """One snapshot, open."""

    def __init__(
        self, published: Published, manifest: Manifest, *, memory: str, cubes_memory: int, threads: ThreadPoolExecutor
    ) -> None:
        self.manifest = manifest
        self.stale = False
        self.leases = 0
        self.retired = False
        self.frame = _frame(manifest)  # what every answer depends on beside its parts
        self.memo: dict[Any, Any] = {}  # what is worked out from the manifest once, by whoever needs it
        self._published = published
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
            self.common = {"kpis", *years}  # parts whose content is in memory: every answer counts as made from them
            self._named = re.compile(rf"\b({'|'.join(manifest.parts)})\b")
            self._connection.execute(f"CREATE VIEW kpi_daily AS {' UNION ALL '.join(f'FROM {name}.kpi_daily' for name in years)}")
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
            self.stores: list[DimStore] = self._all("catalogue.dim_store", DimStore)
            self.products: list[DimProduct] = self._all("catalogue.dim_product", DimProduct)
            told: list[StoreClusterMember] = self._all(MEMBERS, StoreClusterMember) if self.has(*MEMBERS.split(".")) else []
            self.clusters = {each.store_id: each for each in told}
            self.names: dict[str, dict[Any, str]] = {  # what each store or product belongs to; looked up by every filter
                "region": {each.store_id: each.region or UNKNOWN for each in self.stores},
                "category": {each.product_id: each.category or UNKNOWN for each in self.products},
                "department": {each.product_id: each.department or UNKNOWN for each in self.products},
                "cluster": dict.fromkeys((each.store_id for each in self.stores), UNKNOWN)
                | {number: each.cluster_name for number, each in self.clusters.items()},
            }
            self.codes = {
                "store": {each.code: each.store_id for each in self.stores},
                "product": {each.sku: each.product_id for each in self.products},
            }
            self.labels: dict[str, dict[int, str]] = {
                noun: {number: code for code, number in codes.items()} for noun, codes in self.codes.items()
            }
            self.members: dict[str, Collection[Any]] = {axis: frozenset(names.values()) for axis, names in self.names.items()}
            self.members |= {"store": self.names["region"].keys(), "product": self.names["category"].keys()}
            self.figures = Figures(manifest.measures, manifest.kpis)
            self.said: dict[tuple[str, bool], Any] = {}  # what answers say of each part they read
            self.aliases: dict[str, dict[str, set[int]]] = {"store": {}, "product": {}}  # external id -> ids, of any source
            self.product_ids: dict[int, list[IdMap]] = {}
            for each in self._all("catalogue.id_map", IdMap) if self.has("catalogue", "id_map") else []:
                if each.internal_id is not None:
                    self.aliases[each.entity].setdefault(each.external_id, set()).add(each.internal_id)
                if each.entity == "product":
                    self.product_ids.setdefault(each.internal_id, []).append(each)
            folders = [published.part(manifest.parts[name].key) for name in years]
            self._shared = shared_prefixes(published.part(manifest.parts["kpis"].key), folders, memory=cubes_memory)
            self.cubes, self.arrays = self._shared.cubes, self._shared.arrays
            self.places, self.grains = self._shared.places, self._shared.grains
            self.first_ordinal = self.cubes.first_day.toordinal()
        except Exception:
            self._connection.close()
            raise

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def published(self) -> Published:
        """The folder that the snapshot lies in; what is read there is not of the snapshot alone."""
        outside()
        return self._published

    async def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, run in a thread. Raises duckdb.Error, also when a file was altered under us."""
        note(*self._named.findall(sql))
        self.leases += 1  # of the query's own: a client that hangs up ends the request's lease while this still runs
        asked = _Asked()
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._query, sql, values, asked)
        future.add_done_callback(self._query_ended)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:  # given up: the thread is wanted by others
            asked.give_up()
            raise

    def _query_ended(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not complain where the client hung up
        self.release()

    async def rows(self, part: str, table: str, where: str = "true", values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a published table as dicts in contract order; none where the snapshot came without the table."""
        if not self.has(part, table):
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
        if not self.has(part, table):
            return [], 0
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(given) or "true"
        [[total]] = await self.query(f"SELECT count(*) FROM {part}.{table} WHERE {where}", list(given.values()))  # noqa: S608
        window = [*given.values(), page_size, (page - 1) * page_size]
        return await self.rows(part, table, f"{where} ORDER BY {order} LIMIT ? OFFSET ?", window), total

    def has(self, part: str, table: str) -> bool:
        """Whether the snapshot came with a table."""
        note(part)
        return part in self.manifest.parts and table in self.manifest.parts[part].tables

    def folder(self, part: str) -> Path:
        """Where the files of a part lie. They never change."""
        note(part)
        return self._published.part(self.manifest.parts[part].key)

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

    def _query(self, sql: str, values: Sequence[Any], asked: "_Asked | None" = None) -> list[tuple[Any, ...]]:
        if asked is not None and asked.is_given_up:
            return []
        with self._connection.cursor() as cursor:
            if asked is not None:
                asked.cursor = cursor
            return cursor.execute(sql, list(values)).fetchall()

    def _all(self, table: str, shape: type[Any]) -> list[Any]:
        columns = _quoted(shape.__struct_fields__)
        self.common.add(table.split(".")[0])
        return [shape(*row) for row in self._query(f"SELECT {columns} FROM {table} ORDER BY 1", ())]  # noqa: S608


class _Asked:
    """A query that somebody waits for."""

    cursor: duckdb.DuckDBPyConnection | None = None
    is_given_up = False

    def give_up(self) -> None:
        """End it where it runs, and have it not begin where it waits for a thread."""
        self.is_given_up = True
        if self.cursor is not None:
            self.cursor.interrupt()


def _frame(manifest: Manifest) -> str:
    """A hash of what a manifest says beside its parts, and when and by which run it was published."""
    said = msgspec.structs.replace(manifest, id="", published_at=datetime.min, dagster_run_id=None, parts={})
    names = "".join(f"\n{name}" for name in sorted(manifest.parts))
    return hashlib.sha256(msgspec.json.encode(said) + names.encode()).hexdigest()


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)  # DuckDB takes some of them, such as `at`, for keywords


class Library:
    """The snapshots of one data root, for one process."""

    def __init__(
        self, published: Published, *, memory: str = "1GB", cubes_memory: int = 1 << 30, pinned: int = 3, threads: int = 4
    ) -> None:
        self.published = published
        self._pointer = str(published.pointer)
        self.failure: str | None = None  # why the snapshot that is pointed to is not the one that is served
        self._memory, self._cubes_memory = memory, cubes_memory
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="duckdb")
        self._current: Snapshot | None = None
        self._seen: tuple[int, ...] | None = None
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
        if self.stat() != self._seen or (self._current is None and self._is_retry_due()):
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
        if self.stat() != self._seen or self._current is None:
            return None
        self._retry_if_due()
        if pin is None or pin == self._current.id:
            return self._current
        return self._pinned.get(pin) if self._is_kept(pin) else None

    def close(self) -> None:
        """Close everything; for the end of the process."""
        for snapshot in [self._current, *self._pinned.values()]:
            if snapshot is not None:
                snapshot.retire()
        self._threads.shutdown(wait=False)

    def _is_retry_due(self) -> bool:
        return self.failure is not None and time.monotonic() >= self._retry_at

    def _retry_if_due(self) -> None:
        """Look at a damaged snapshot again. Nobody waits for it: the last good one is served."""
        if self._is_retry_due() and (self._retry is None or self._retry.done()):
            self._retry = asyncio.create_task(self._refresh_once())

    async def _refresh_once(self) -> None:
        async with self._lock:
            if self.stat() != self._seen or self._is_retry_due():
                await self._refresh()

    def stat(self) -> tuple[int, ...]:
        """What the pointer looks like now: it differs after every publish. 3 us."""
        try:
            found = os.stat(self._pointer)
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    async def _refresh(self) -> None:
        """Open what is pointed to; where that cannot be, keep what is open, else the newest other one that is whole.

        Opening, which hashes files, happens in a thread; the swap happens here on the loop, where leases are counted.
        """
        seen = self.stat()
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
