"""What does a table cost as JSON, CSV, Arrow and Parquet, and what would pyarrow cost instead of nanoarrow? One line of JSON.

    python benchmarks/formats.py                over the demo data
    python benchmarks/formats.py --root DIR     over a data root that has a snapshot

cpu_ms is CPU time a request of the last year by day, inside the process, the median of many; the first one, which loads what it
needs, is not counted. The libraries are loaded in processes of their own.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from importlib.metadata import files, version
from importlib.util import find_spec
from pathlib import Path

from handlers import ask, publish_demo

from serving.app import create_app
from serving.formats import OFFERED
from serving.settings import Settings

LOAD = """
import sys, time
def resident():
    return int(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0])
before, began = resident(), time.process_time()
for module in sys.argv[1:]:
    __import__(module)
print(time.process_time() - began, resident() - before)
"""
MODULES = {"nanoarrow": ["nanoarrow", "nanoarrow.ipc"], "pyarrow": ["pyarrow", "pyarrow.ipc"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="data root to read instead of the demo data")
    parser.add_argument("--requests", type=int, default=60, help="a format")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(arguments.root or publish_demo(folder))
        results = asyncio.run(measure(root, arguments.requests))
    libraries = {name: loaded(name) for name in MODULES if find_spec(name)}
    packages = {name: version(name) for name in ("duckdb", "litestar", *libraries)}
    said = {"benchmark": "formats", "results": results, "libraries": libraries, "cores": os.cpu_count()}
    print(json.dumps({**said, "python": platform.python_version(), **packages}))


async def measure(root: Path, requests: int) -> dict[str, dict[str, float]]:
    api = create_app(Settings(data=root))
    last = (await api.state.library.lease()).manifest.as_of
    results = {}
    for media_type, name in OFFERED.items():
        times, size = [], 0
        for n in range(requests + 1):
            end = last - timedelta(days=n % 30)
            query = f"granularity=day&start_date={end - timedelta(days=364)}&end_date={end}"
            began = time.process_time()
            size = len(await ask(api, f"/api/v1/analytics/timeseries?{query}", accept=media_type))
            times.append((time.process_time() - began) * 1000)
        results[name] = {"cpu_ms": round(statistics.median(times[1:]), 2), "bytes": size}
    return results


def loaded(name: str) -> dict[str, float]:
    """CPU time and memory of loading a library, the median of five, and its size on disk."""
    runs = []
    for _ in range(5):
        said = subprocess.run([sys.executable, "-c", LOAD, *MODULES[name]], capture_output=True, text=True, check=True)
        runs.append([float(each) for each in said.stdout.split()])
    size = sum(Path(str(each.locate())).stat().st_size for each in files(name) or () if Path(str(each.locate())).is_file())
    seconds, memory = (statistics.median(each) for each in zip(*runs, strict=True))
    return {"load_cpu_s": round(seconds, 3), "memory_mb": round(memory / 1024, 1), "disk_mb": round(size / 2**20, 1)}


if __name__ == "__main__":
    main()
