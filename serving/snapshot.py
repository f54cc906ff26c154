"""One published snapshot, opened read-only, and closed when its last lease ends after it was replaced.

Sums are held as `serving.prefixes` says; DuckDB checks its blocks as it reads them.
"""

import asyncio
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from assets_config.contract.catalogue import DimProduct, DimStore, IdMap
from assets_config.contract.clusters import StoreClusterMember
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest
from assets_config.contract.names import UNKNOWN
from assets_config.contract.tables import FACTS_PREFIX, TABLES
from serving.figures import Figures
from serving.layers.reads import note, outside
from serving.prefixes import shared_prefixes

MEMBERS = "clusters.store_cluster_member"


class Snapshot:
    """One snapshot, open."""

    def __init__(
        self, published: Published, manifest: Manifest, *, memory: str, cubes_memory: int, threads: ThreadPoolExecutor
    ) -> None:
        self.manifest, self.id = manifest, manifest.id
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
        if self.retired:
            self._close_if_done()

    def retire(self) -> None:
        """Close as soon as nobody reads any more."""
        self.retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.leases == 0:
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
