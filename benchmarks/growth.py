"""Does a KPI cost more over more rows, or over a longer range? One line of JSON.

    python benchmarks/growth.py

Two snapshots are written without the pipeline, of 2 and of 36.5 million rows, and each is asked in a fresh process, as ASGI, with
no server, no network and nothing kept: KPIs of one store over a week and over a year, and of all stores. cpu_us is the median
over rounds of CPU time a request; questions take turns in a round, so that a busy machine burdens all alike.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from handlers import ask
from opening import AT, write

from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Pointer
from serving.app import create_app
from serving.settings import Settings

SIZES = {"2_m": (50, 80, 500), "36_5_m": (500, 200, 365)}  # stores, products, days
RANGES = {"week": 7, "year": 365}
ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="a question and round")
    requests = parser.parse_args().requests
    found = {}
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
            found[name] = pool.apply(measure, (Path(folder), size, requests))
    small, large = found["2_m"], found["36_5_m"]
    result = {
        "benchmark": "growth",
        "cpu_us": found,
        "more_rows": {question: round(large[question] / small[question], 2) for question in small},
        "longer_range": {of: round(large[f"{of}_year"] / large[f"{of}_week"], 2) for of in ("store", "all")},
    }
    packages = {name: version(name) for name in ("litestar", "msgspec", "numpy")}
    print(json.dumps({**result, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


def measure(root: Path, size: tuple[int, int, int], requests: int) -> dict[str, float]:
    """CPU microseconds a request, by question."""
    published, snapshot_id = Published(root), write(root, *size)[0]
    write_bytes(published.pointer, msgspec.json.encode(Pointer(snapshot_id, AT)))
    return asyncio.run(_asked(root, size[0], requests))


async def _asked(root: Path, stores: int, requests: int) -> dict[str, float]:
    api = create_app(Settings(data=root))
    last = (await api.state.library.lease()).manifest.as_of
    questions = [(of, span) for of in ("store", "all") for span in RANGES]
    times: dict[str, list[float]] = {f"{of}_{span}": [] for of, span in questions}
    draw = random.Random(7)
    for n in range(ROUNDS + 1):  # the first warms up
        for of, span in questions:
            paths = []
            for _ in range(requests):
                start = last - timedelta(days=RANGES[span] - 1 + (draw.randrange(300) if span == "week" else 0))
                asked = {"start_date": start, "end_date": start + timedelta(days=RANGES[span] - 1)}
                if of == "store":
                    asked["store_id"] = draw.randint(1, stores)
                paths.append(f"/api/v1/analytics/kpis?{urlencode(asked)}")
            began = time.process_time()
            for path in paths:
                await ask(api, path)
            if n:
                times[f"{of}_{span}"].append((time.process_time() - began) / requests * 1e6)
    return {name: round(statistics.median(found), 1) for name, found in times.items()}


if __name__ == "__main__":
    main()
