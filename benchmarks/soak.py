"""Does anything go wrong while snapshots are swapped under load? One line of JSON; exit code 1 where it does.

    python benchmarks/soak.py                          60 s, 64 connections, a publish every 2 s, over demo data
    python benchmarks/soak.py --seconds 600 --workers 2
    python benchmarks/soak.py --data DIR               over a copy of that data root

Every answer is compared to the byte with that of a server of its own, without a cache, for the snapshot that the answer names;
an answer that mixes two snapshots equals none. Each request that begins after a publish has returned must name that snapshot or
a later one. `rss_per_swap_kib` is the slope of the worker's memory over the publishes after the first third.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from litestar.testing import TestClient

from serving.app import create_asgi
from serving.settings import Settings

HOST = "127.0.0.1"
NAMED = re.compile(rb'"snapshot_id":"([^"]+)"')
STAGES = ("--select", "sources", "core", "kpis", "publish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one publish to the next")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, default=18251)
    parser.add_argument("--data", type=Path, help="a data root with published KPIs; it is copied")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = make_root(Path(folder), arguments.data)
        with serving(root, arguments.port, arguments.workers) as pids:
            soak = Soak(arguments.port, questions(arguments.port))
            asyncio.run(soak.run(root, pids, arguments))
        soak.compare(root)
    said = {"benchmark": "soak", "seconds": arguments.seconds, "connections": arguments.connections, "workers": arguments.workers}
    packages = {name: version(name) for name in ("granian", "litestar", "duckdb")}
    print(json.dumps({**said, **soak.told(), "cores": os.cpu_count(), "python": platform.python_version(), **packages}))
    sys.exit(1 if soak.faults else 0)


class Soak:
    """What was asked, and what came back."""

    def __init__(self, port: int, paths: list[str]) -> None:
        self.port, self.paths = port, paths
        self.heard: Counter[tuple[str, str, bytes]] = Counter()  # path, snapshot, digest of the body
        self.digests: dict[bytes, tuple[str, bytes]] = {}
        self.tags: set[bytes] = set()
        self.latencies: list[float] = []
        self.faults: Counter[str] = Counter()
        self.known = self.packed = 0
        self.published: list[str] = []
        self.memory: list[int] = []
        self.over = False

    async def run(self, root: Path, pids: list[int], arguments: argparse.Namespace) -> None:
        asking = [asyncio.create_task(self.ask(random.Random(n))) for n in range(arguments.connections)]
        await self.publish(root, pids, arguments)
        self.over = True
        await asyncio.gather(*asking)

    async def publish(self, root: Path, pids: list[int], arguments: argparse.Namespace) -> None:
        script = str(Path(__file__).with_name("_publisher.py"))
        options = ["--data", str(root), "--every", str(arguments.every), "--seconds", str(arguments.seconds)]
        publisher = await asyncio.create_subprocess_exec(sys.executable, script, *options, stdout=asyncio.subprocess.PIPE)
        assert publisher.stdout is not None
        async for line in publisher.stdout:
            self.published.append(line.decode().strip())
            self.memory.append(sum(resident(pid) for pid in pids))
        if await publisher.wait():
            self.faults["publisher"] += 1

    async def ask(self, draw: random.Random) -> None:
        """Ask one question after the other over one kept connection."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        tags: dict[str, bytes] = {}
        while not self.over:
            path = draw.choice(self.paths)
            lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}:{self.port}"]
            if draw.random() < 0.5:
                lines.append("Accept-Encoding: gzip")
            if path in tags and draw.random() < 0.3:
                lines.append(f"If-None-Match: {tags[path].decode()}")
            least = self.published[-1] if self.published else ""
            began = time.perf_counter()
            writer.write("\r\n".join([*lines, "", ""]).encode())
            try:
                status, headers, body = await answer(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.faults[f"connection: {type(error).__name__}"] += 1
                return
            self.latencies.append(time.perf_counter() - began)
            self.take(path, status, headers, body, least)
            tags[path] = headers.get(b"etag", b"")
        writer.close()

    def take(self, path: str, status: int, headers: dict[bytes, bytes], body: bytes, least: str) -> None:
        if status == 304:
            self.known += 1
            if headers[b"etag"] not in self.tags:
                self.faults["304 of a tag that was never sent"] += 1
            return
        if status != 200:
            self.faults[f"status {status}"] += 1
            return
        self.tags.add(headers[b"etag"])
        if body not in self.digests:  # compressed or not, a body is looked into once
            plain = gzip.decompress(body) if headers.get(b"content-encoding") == b"gzip" else body
            [snapshot] = set(NAMED.findall(plain)) or {b""}
            self.digests[body] = snapshot.decode(), hashlib.sha256(plain).digest()
        self.packed += b"content-encoding" in headers
        snapshot, digest = self.digests[body]
        self.heard[path, snapshot, digest] += 1
        if snapshot < least:
            self.faults["older than what was published before it was asked"] += 1

    def compare(self, root: Path) -> None:
        """Compare what was heard with what a server without a cache says of the same snapshot."""
        settings = Settings(data=root, cache_mb=0, pinned_snapshots=2)
        with TestClient(create_asgi(settings), base_url=f"http://{HOST}") as client:
            for path, snapshot, digest in sorted(self.heard, key=lambda each: each[1]):
                reference = client.get(f"{path}{'&' if '?' in path else '?'}snapshot={snapshot}")
                if reference.status_code != 200 or hashlib.sha256(reference.content).digest() != digest:
                    self.faults["unlike the reference"] += self.heard[path, snapshot, digest]

    def told(self) -> dict[str, object]:
        ordered = sorted(self.latencies)
        settled = self.memory[len(self.memory) // 3 :]
        return {
            "requests": len(ordered),
            "not_modified": self.known,
            "compressed": self.packed,
            "snapshots": len(self.published),
            "heard_of": len({snapshot for _, snapshot, _ in self.heard}),
            "compared": len(self.heard),
            "faults": dict(self.faults),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
            "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
            "max_ms": round(ordered[-1] * 1000, 2),
            "rss_first_mib": round(self.memory[0] / 2**20, 1),
            "rss_last_mib": round(self.memory[-1] / 2**20, 1),
            "rss_per_swap_kib": round(slope(settled) / 1024, 1),
        }


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return int(first.split()[1]), headers, body


def questions(port: int) -> list[str]:
    """Fifty questions over the last months, which the publishes change, and lists that they do not."""
    with urlopen(f"http://{HOST}:{port}/api/v1/system/info") as told:
        last = date.fromisoformat(json.load(told)["metadata"]["as_of"])
    draw, found = random.Random(5), ["/api/v1/dimensions/stores", "/api/v1/dimensions/products?page_size=100", "/api/v1/items"]
    found += ["/api/v1/registry/aliases", "/api/v1/system/info"]
    for _ in range(15):
        ranged = {"start_date": last - timedelta(days=draw.randint(1, 300)), "end_date": last}
        found.append(f"/api/v1/analytics/kpis?{urlencode({**ranged, 'store_id': draw.randint(1, 3)})}")
        found.append(f"/api/v1/analytics/drilldowns?{urlencode({**ranged, 'dimension': draw.choice(['store', 'product'])})}")
        found.append(f"/api/v1/analytics/timeseries?{urlencode({**ranged, 'granularity': 'week'})}")
    return found


def slope(values: list[int]) -> float:
    """How much the values grow from one to the next, by least squares."""
    if len(values) < 2:
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((n - middle) ** 2 for n in range(len(values)))
    return sum((n - middle) * (value - mean) for n, value in enumerate(values)) / spread


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_root(folder: Path, data: Path | None) -> Path:
    root = folder / "data"
    if data is not None:
        return Path(shutil.copytree(data, root))
    home = root / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DAGSTER_HOME": str(home)}
    command = [sys.executable, "-m", "pipelines", "materialize", "--preset", "demo_minimal", *STAGES]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return root


@contextmanager
def serving(root: Path, port: int, workers: int):
    """The server as users start it; gives the pids of its workers."""
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DEMANDGRAPH_DAGSTER_URL": f"http://{HOST}:9"}
    environment["DEMANDGRAPH_READ_RATE"] = "0"  # one client asks for all
    command = [sys.executable, "-m", "serving", "--port", str(port), "--workers", str(workers)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    urlopen(f"http://{HOST}:{port}/readyz").close()
                    break
                except OSError:
                    time.sleep(0.1)
            with urlopen(f"http://{HOST}:{port}/metrics") as told:
                yield [int(pid) for pid in set(re.findall(rb'worker_memory_bytes{pid="(\d+)"', told.read()))]
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
