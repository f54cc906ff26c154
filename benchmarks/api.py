"""What does a read cost, beside a bare handler of the same server? One line of JSON.

    python benchmarks/api.py                   over the demo data
    python benchmarks/api.py --path DIR        over the serving_bench files in DIR (2,000,000 rows)

Starts the API and the peer one after the other, one worker each, and asks over 16 kept connections; random ranges and
filters, so that no answer repeats but those of `kept`. cpu_us is the server's CPU time a request; the client runs on the same
machine, so that requests/s and latencies are the pair's and cpu_us is the figure to compare.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

HOST, CONNECTIONS = "127.0.0.1", 16
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the serving_bench files")
    parser.add_argument("--requests", type=int, default=10_000, help="a question")
    parser.add_argument("--port", type=int, default=18310)
    arguments = parser.parse_args()
    source = ["--source", "serving_bench", "--path", arguments.path] if arguments.path else ["--preset", "demo_minimal"]
    with tempfile.TemporaryDirectory() as root:
        home = Path(root, "dagster")
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        environment = {**os.environ, "DEMANDGRAPH_DATA": root, "DAGSTER_HOME": str(home), "DEMANDGRAPH_READ_RATE": "1000000000"}
        stages = ["--select", "sources", "core", "kpis", "publish"]
        command = [sys.executable, "-m", "pipelines", "materialize", *source, *stages]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        with server("bare:app", arguments.port, environment, "/") as pid:
            results = {"bare": measure(arguments.port, pid, arguments.requests, lambda _: "/")}
        with server("serving.worker:app", arguments.port, environment, "/readyz") as pid:
            first, last = data_range(arguments.port)
            for name, question in QUESTIONS.items():
                results[name] = measure(arguments.port, pid, arguments.requests, partial(question, first=first, last=last))
    for result in results.values():
        result["cpu_ratio"] = round(result["cpu_us"] / results["bare"]["cpu_us"], 2)
    packages = {name: version(name) for name in ("granian", "litestar", "msgspec", "numpy", "duckdb")}
    said = {"benchmark": "api", "rows": "serving_bench" if arguments.path else "demo_minimal", "connections": CONNECTIONS}
    print(json.dumps({**said, "results": results, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


def a_range(draw: random.Random, first: date, last: date) -> dict[str, str]:
    days = (last - first).days
    start = first + timedelta(days=draw.randrange(days))
    return {"start_date": str(start), "end_date": str(start + timedelta(days=draw.randrange(days)))}


def kpis(draw: random.Random, first: date, last: date) -> str:
    extra = draw.choice([{}, {"store_id": str(draw.randint(1, 5))}, {"product_id": str(draw.randint(1, 20))}])
    return f"/api/v1/analytics/kpis?{urlencode({**a_range(draw, first, last), **extra})}"


def months(draw: random.Random, first: date, last: date) -> str:
    return f"/api/v1/analytics/timeseries?{urlencode({**a_range(draw, first, last), 'granularity': 'month'})}"


def stores(draw: random.Random, first: date, last: date) -> str:
    return f"/api/v1/analytics/drilldowns?{urlencode({**a_range(draw, first, last), 'dimension': 'store'})}"


def kept(_: random.Random, first: date, last: date) -> str:
    """Always the same question: from the second time on the answer is kept."""
    return f"/api/v1/analytics/timeseries?{urlencode({'start_date': first, 'end_date': last, 'granularity': 'week'})}"


QUESTIONS = {"kpis": kpis, "timeseries_month": months, "drilldown_store": stores, "kept_timeseries_week": kept}


def data_range(port: int) -> tuple[date, date]:
    with urlopen(f"http://{HOST}:{port}/api/v1/system/info") as answer:
        last = date.fromisoformat(json.load(answer)["metadata"]["as_of"])
    return last - timedelta(days=360), last


@contextmanager
def server(target: str, port: int, environment: dict[str, str], ready: str):
    """A server process with one worker, its log thrown away; gives the worker's pid."""
    options = ["--interface", "asgi", "--host", HOST, "--port", str(port), "--workers", "1", "--no-ws", "--log-level", "warning"]
    command = [str(Path(sys.executable).with_name("granian")), *options, target]
    with subprocess.Popen(command, env=environment, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                try:
                    urlopen(f"http://{HOST}:{port}{ready}").close()
                    break
                except OSError:
                    time.sleep(0.1)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(next(child for child in children if "granian" in Path(f"/proc/{child}/cmdline").read_text()))
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(port: int, pid: int, requests: int, asked: Callable[[random.Random], str]) -> dict[str, float]:
    draw = random.Random(7)
    paths = [asked(draw) for _ in range(requests)]
    asyncio.run(load(port, paths[: requests // 10]))
    before, began = cpu_seconds(pid), time.perf_counter()
    latencies = sorted(asyncio.run(load(port, paths)))
    wall, cpu = time.perf_counter() - began, cpu_seconds(pid) - before
    return {
        "requests_per_s": round(requests / wall),
        "p50_ms": round(latencies[requests // 2] * 1000, 2),
        "p99_ms": round(latencies[requests * 99 // 100] * 1000, 2),
        "cpu_us": round(cpu / requests * 1e6),
    }


async def load(port: int, paths: list[str]) -> list[float]:
    """Ask every path once over CONNECTIONS kept connections; any answer but 200 ends the benchmark."""
    left, latencies = iter(paths), []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for path in left:
            began = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{path}: {head.decode()}")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return latencies


if __name__ == "__main__":
    main()
