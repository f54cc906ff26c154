"""What does a KPI cost inside the process, beside a bare handler? One line of JSON.

    python benchmarks/handlers.py                over the demo data
    python benchmarks/handlers.py --root DIR     over a data root that has a snapshot
    python benchmarks/handlers.py --profile      prints where the time goes, to standard error

Calls the applications as ASGI, with no server and no network, so that the client's and the server's work are not counted. cpu_us
is the median over rounds of CPU time a request; the peer is `bare.py`, a constant Struct behind nothing. No answer repeats.
"""

import argparse
import asyncio
import cProfile
import json
import os
import platform
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from bare import app as bare

from serving.app import create_app
from serving.settings import Settings

ROUNDS = 9
Question = Callable[[random.Random, date], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="data root to read instead of the demo data")
    parser.add_argument("--requests", type=int, default=1000, help="a round")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(arguments.root or publish_demo(folder))
        print(json.dumps(asyncio.run(measure(root, arguments.requests, profile=arguments.profile))))


async def measure(root: Path, requests: int, *, profile: bool) -> dict[str, object]:
    api = create_app(Settings(data=root))
    snapshot = await api.state.library.lease()
    last = snapshot.manifest.as_of
    asked = {"bare": (bare, nothing), **{name: (api, question) for name, question in QUESTIONS.items()}}
    times: dict[str, list[float]] = {name: [] for name in asked}
    draw = random.Random(7)
    for n in range(ROUNDS + 1):  # in turn, so that a busy machine burdens all alike; the first round warms up
        for name, (app, question) in asked.items():
            paths = [question(draw, last) for _ in range(requests)]
            began = time.process_time()
            for path in paths:
                await ask(app, path)
            if n:
                times[name].append((time.process_time() - began) / requests * 1e6)
    if profile:
        for name, question in QUESTIONS.items():
            profiler = cProfile.Profile()
            paths = [question(draw, last) for _ in range(requests)]
            profiler.enable()
            for path in paths:
                await ask(api, path)
            profiler.disable()
            print(name, file=sys.stderr)
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(28)
    results = {name: {"cpu_us": round(statistics.median(found), 1)} for name, found in times.items()}
    for result in results.values():
        result["cpu_ratio"] = round(result["cpu_us"] / results["bare"]["cpu_us"], 2)
    rows = sum(part.tables.get("kpi_daily", 0) for part in snapshot.manifest.parts.values())
    said = {"benchmark": "handlers", "rows": rows, "source": snapshot.manifest.source, "requests": requests, "rounds": ROUNDS}
    packages = {name: version(name) for name in ("litestar", "msgspec", "numpy", "duckdb")}
    return {**said, "results": results, "cores": os.cpu_count(), "python": platform.python_version(), **packages}


def nothing(*_: object) -> str:
    return "/"


def a_range(draw: random.Random, last: date, days: int) -> dict[str, str]:
    end = last - timedelta(days=draw.randrange(200))
    return {"start_date": str(end - timedelta(days=days - 1)), "end_date": str(end)}


def kpi_store_90_days(draw: random.Random, last: date) -> str:
    return f"/api/v1/analytics/kpis?{urlencode({**a_range(draw, last, 90), 'store_id': str(draw.randint(1, 3))})}"


def timeseries_by_month(draw: random.Random, last: date) -> str:
    return f"/api/v1/analytics/timeseries?{urlencode({**a_range(draw, last, 150), 'granularity': 'month'})}"


def drilldown_by_store(draw: random.Random, last: date) -> str:
    return f"/api/v1/analytics/drilldowns?{urlencode({**a_range(draw, last, 150), 'dimension': 'store'})}"


QUESTIONS: dict[str, Question] = {each.__name__: each for each in (kpi_store_90_days, timeseries_by_month, drilldown_by_store)}


async def ask(app: object, target: str, *, accept: str = "*/*") -> bytes:
    """One GET; the answer's body. Any status but 200 ends the benchmark."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"accept", accept.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(each.get("body", b"") for each in sent)
    if sent[0]["status"] != 200:
        raise SystemExit(f"{target}: {body.decode()}")
    return body


def publish_demo(folder: str) -> str:
    home = Path(folder, "dagster")
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": folder, "DAGSTER_HOME": str(home)}
    stages = ["--select", "sources", "core", "kpis", "publish"]
    command = [sys.executable, "-m", "pipelines", "materialize", "--preset", "demo_minimal", *stages]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


if __name__ == "__main__":
    main()
