"""How long does the generator take for a year of a chain, written as a batch? One line of JSON.

    python benchmarks/generator.py                                  100 stores x 500 products x 365 days
    python benchmarks/generator.py --stores 10 --products 50

A fresh process lands the knobs and reads the batch: every table, typed, in Parquet by month.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version

CHILD = """
import json, sys, time
from datetime import date
from pathlib import Path
import duckdb
from assets_config.contract.seeds import resolve
from assets_config.declared import load_declarations
from pipelines.sources.batch import Batches, read_batch
from pipelines.sources.land import land_seed
from pipelines.warehouse import Warehouse

root, stores, products = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
batches = Batches(Warehouse(root))
seed = resolve("retail_standard", stores=stores, products=products, start=date(2024, 1, 2), end=date(2024, 12, 31))
declarations = load_declarations()
began = time.perf_counter()
batch = land_seed(batches.landing, seed, "retail_standard")
with duckdb.connect() as connection:
    loaded = read_batch(batches, batch, declarations, connection)
seconds = time.perf_counter() - began
rows = {}
for piece in loaded.pieces:
    rows[piece.table] = rows.get(piece.table, 0) + piece.rows
size = sum(path.stat().st_size for path in batches.path(batch.batch_id).iterdir())
print(json.dumps({"seconds": round(seconds, 1), "rows": rows, "written_mb": size // 2**20}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=100)
    parser.add_argument("--products", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-c", CHILD, root, str(arguments.stores), str(arguments.products)]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    result = {
        "benchmark": "generator",
        "stores": arguments.stores,
        "products": arguments.products,
        **said,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "polars", "duckdb")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
