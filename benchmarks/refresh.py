"""What does one more day cost after one, two and four years of history? One line of JSON.

    python benchmarks/refresh.py                                  20 stores x 200 products
    python benchmarks/refresh.py --stores 50 --products 500 --years 1 5

For each length of history a generated chain is loaded and published; then a file with one more day of every series is dropped
into the inbox, and sources, core, kpis and publish run again. `first_s` is the load of everything, the peer that a pipeline
without partitions would pay each day; `day_s` the day, of which `start_s` is a run of the same graph that finds nothing to do.
Fresh processes, wall time with the start of Python.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import median

import polars as pl

END = date(2024, 12, 31)
STAGES = ("--select", "sources", "core", "kpis", "publish")


def run(root: Path, *arguments: str) -> float:
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DAGSTER_HOME": str(root / "dagster")}
    environment["DEMANDGRAPH_CONFIG"] = str(root / "config")
    began = time.perf_counter()
    command = [sys.executable, "-m", "pipelines", "materialize", *arguments, *STAGES]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def drop_day(root: Path, day: date) -> int:
    """Put one more day of every series into the inbox, as its last day was."""
    [newest] = sorted((root / "warehouse/core/sales_daily").glob(f"{END:%Y-%m}-*.parquet"))[-1:]
    stores, products = (pl.read_parquet(root / f"warehouse/core/dim_{name}/data.parquet") for name in ("store", "product"))
    last = pl.read_parquet(newest).filter(pl.col("date") == END).join(stores, on="store_id").join(products, on="product_id")
    rows = last.select(pl.lit(day).alias("date"), pl.col("code").alias("store_code"), "sku", "quantity", "unit_price")
    folder = root / "landing/inbox/sales-daily"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{day}.csv"
    rows.write_csv(path)
    os.utime(path, (time.time() - 10, time.time() - 10))
    return rows.height


def measure(stores: int, products: int, years: int, days: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "dagster").mkdir()
        (root / "dagster/dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        (root / "config").mkdir()
        start = date(END.year - years + 1, 1, 1)
        knobs = f"stores: {stores}, products: {products}, start: {start}, end: {END}"
        (root / "config/sources.yaml").write_text(f"sources: [{{name: chain, kind: generator, about: a chain, {knobs}}}]\n")
        first = run(root, "--source", "chain")
        seconds, rows = [], 0
        for n in range(1, days + 1):
            rows = drop_day(root, END + timedelta(days=n))
            seconds.append(run(root))
        idle = run(root)
        index = json.loads((root / "warehouse/core/sales_daily/index.json").read_bytes())
        history = sum(part["rows"] for part in index["partitions"].values())
    return {
        "years": years,
        "history_rows": history,
        "day_rows": rows,
        "first_s": round(first, 1),
        "day_s": round(median(seconds), 1),
        "start_s": round(idle, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=20)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--years", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    runs = [measure(arguments.stores, arguments.products, years, arguments.days) for years in arguments.years]
    result = {
        "benchmark": "refresh",
        "stores": arguments.stores,
        "products": arguments.products,
        "runs": runs,
        "day_of_longest_over_shortest": round(float(str(runs[-1]["day_s"])) / float(str(runs[0]["day_s"])), 2),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("dagster", "duckdb", "polars", "numpy")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
