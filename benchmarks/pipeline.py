"""How long does the graph take, and how much memory? One line of JSON.

    python benchmarks/pipeline.py                                          the demo
    python benchmarks/pipeline.py --source m5_sample --path DIR            50 items x 10 stores of M5, everything
    python benchmarks/pipeline.py --source m5 --path DIR --select sources core kpis publish

Each run starts a fresh process on an empty data root; seconds are wall time with the start of Python, peak_mb is the largest
resident size of that process.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="demo_minimal")
    parser.add_argument("--path")
    parser.add_argument("--select", nargs="+", default=[])
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    path = ["--path", arguments.path] if arguments.path else []
    select = ["--select", *arguments.select] if arguments.select else []
    command = [sys.executable, "-m", "pipelines", "materialize", "--source", arguments.source, *path, *select]
    seconds = []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as root:
            home = Path(root, "dagster")
            home.mkdir()
            (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
            environment = {**os.environ, "DEMANDGRAPH_DATA": root, "DAGSTER_HOME": str(home)}
            began = time.perf_counter()
            subprocess.run(command, env=environment, check=True, capture_output=True)
            seconds.append(time.perf_counter() - began)
            [manifest] = Published(Path(root)).snapshots.glob("*.json")
            parts = msgspec.json.decode(manifest.read_bytes(), type=Manifest).parts
    result = {
        "benchmark": "pipeline",
        "source": arguments.source,
        "select": arguments.select or "everything",
        "runs": arguments.runs,
        "seconds": round(median(seconds), 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "rows": dict(sum((Counter(part.tables) for part in parts.values()), Counter())),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("dagster", "duckdb", "polars", "numpy")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
