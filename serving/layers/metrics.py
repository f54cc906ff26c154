"""What the server counts, as Prometheus reads it.

Requests, their times and what the cache did are summed over all worker processes, whichever of them answers `/metrics`: each
keeps its counts in a file that all can read (`PROMETHEUS_MULTIPROC_DIR`, a folder of the server's own, which ends with it).
What a process has rather than does (memory, leases) is told a process, with its pid, and looked at every second.
"""

import asyncio
import resource
import time
from bisect import bisect_left
from collections import Counter as Counter_
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from serving.beside import beside
from serving.layers.cache import Cache
from serving.library import Library
from serving.settings import shared_counts

EVERY = 1.0  # seconds between two looks at the process
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
ELSEWHERE = "(none)"  # the route of a path that there is not
PAGE = resource.getpagesize()


class Times(Histogram):
    """A histogram that is told of many times at once."""

    def observe_all(self, took: Sequence[float]) -> None:
        """As `observe` of each, but with one increment a bucket in place of two for each time."""
        self._sum.inc(sum(took))
        for n, many in Counter_([bisect_left(self._upper_bounds, each) for each in took]).items():
            self._buckets[n].inc(many)


disable_created_metrics()  # type: ignore[no-untyped-call]
registry = CollectorRegistry()
requests = Counter("demandgraph_requests", "Requests answered.", ["route", "method", "status"], registry=registry)
seconds = Times("demandgraph_request_seconds", "Time to the end of the answer.", ["route"], buckets=BUCKETS, registry=registry)
cached = Counter("demandgraph_cache_answers", "Reads by how they were answered: hit or miss.", ["result"], registry=registry)


def _gauge(name: str, about: str) -> Gauge:
    return Gauge(f"demandgraph_worker_{name}", f"{about} Of one process.", multiprocess_mode="liveall", registry=registry)


memory = _gauge("memory_bytes", "Resident memory.")
cpu = _gauge("cpu_seconds", "CPU time used.")
cache_bytes = _gauge("cache_bytes", "Memory of kept answers.")
cache_answers = _gauge("cache_answers", "Kept answers.")
cache_evicted = _gauge("cache_evicted", "Answers that made room for others since the start.")
leases = _gauge("leases", "Reads of a snapshot that are under way.")
swaps = _gauge("snapshot_swaps", "Snapshots that were opened in place of another since the start.")

MOST_WAITING = 256
_ended: list[tuple[str, str, int, float, str | None]] = []


def count(route: str, method: str, status: int, took: float, cache: str | None) -> None:
    """One request has ended. Counts wait for `add_up`: many at once take a fraction of what each takes alone."""
    _ended.append((route or ELSEWHERE, method if method in METHODS else "OTHER", status, took, cache))
    if len(_ended) >= MOST_WAITING:
        add_up()


def add_up() -> None:
    """Have all processes see what was counted."""
    if not _ended:
        return
    routes, methods, statuses, took, results = zip(*_ended, strict=True)
    of_route: dict[str, list[float]] = {}
    for route, each in zip(routes, took, strict=True):
        of_route.setdefault(route, []).append(each)
    for route, its in of_route.items():
        seconds.labels(route).observe_all(its)
    for (route, method, status), many in Counter_(zip(routes, methods, statuses, strict=True)).items():
        requests.labels(route, method, str(status)).inc(many)
    for result, many in Counter_(results).items():
        if result is not None:
            cached.labels(result).inc(many)
    _ended.clear()


class Told(Collector):
    """What is asked when Prometheus asks: the snapshot that is served, and whether jobs can be launched."""

    def __init__(self, library: Library, orchestrator: str) -> None:
        self._library, self._orchestrator = library, orchestrator

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("demandgraph_orchestrator_up", "Whether Dagster answers.")
        up.add_metric([], float(self._orchestrator == "ok"))
        yield up
        info = GaugeMetricFamily("demandgraph_snapshot_info", "1 for the snapshot that is served.", labels=["snapshot_id"])
        age = GaugeMetricFamily("demandgraph_snapshot_age_seconds", "Time since the served snapshot was published.")
        stale = GaugeMetricFamily("demandgraph_snapshot_stale", "1 where a newer one is damaged.")
        snapshot = self._library.peek()
        if snapshot is not None:
            info.add_metric([snapshot.id], 1)
            age.add_metric([], time.time() - snapshot.manifest.published_at.timestamp())
            stale.add_metric([], float(snapshot.stale))
        yield from (info, age, stale)


class Meter:
    """Looks at this process, and tells what all of them counted."""

    def __init__(self, library: Library) -> None:
        self.cache: Cache | None = None
        self._library = library

    def text(self, orchestrator: str) -> bytes:
        """The whole, in Prometheus' text form."""
        self.look()
        found = CollectorRegistry()
        found.register(Told(self._library, orchestrator))
        folder = shared_counts()
        if folder is None:
            return generate_latest(registry) + generate_latest(found)
        for file in folder.glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not Path(f"/proc/{pid}").exists():
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        MultiProcessCollector(found, str(folder))  # type: ignore[no-untyped-call]
        return generate_latest(found)

    def look(self) -> None:
        add_up()
        used = resource.getrusage(resource.RUSAGE_SELF)
        memory.set(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE)
        cpu.set(used.ru_utime + used.ru_stime)
        leases.set(self._library.leases)
        swaps.set(self._library.swaps)
        if self.cache is not None:
            cache_bytes.set(self.cache.size)
            cache_answers.set(len(self.cache))
            cache_evicted.set(self.cache.evicted)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look every second, for as long as the application runs."""

        async def look_again() -> None:
            while True:
                with suppress(OSError):  # no file can be opened just now; the next look may find one
                    self.look()
                await asyncio.sleep(EVERY)

        try:
            async with beside(look_again()):
                yield
        finally:
            add_up()
