"""Do the M5 competition's wide CSV files give the core tables of its tidy files, and what do they cost? One line of JSON.

    python benchmarks/forms.py --path DIR              500 series: the sample of DIR, in both forms
    python benchmarks/forms.py --path DIR --items 3049  all series; the wide files have 59 million cells

DIR holds the tidy Parquet files of M5. The wide files are written from them as the competition gave them: a line a product and
store, a column a day, 0 before it was on sale. Both are loaded into core through the entries m5_wide and m5_tidy (here) of
sources.yaml, in fresh processes; seconds are wall time, `same` compares every row of sales by codes.
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
from importlib.metadata import version
from pathlib import Path

import duckdb

TIDY = """sources:
  - name: m5_tidy
    kind: files
    about: the same sales in tidy form
    tables:
      sales-daily: {file: sales.parquet}
      stores: {file: stores.parquet, columns: {code: store_code, region: state}}
      products: {file: products.parquet, columns: {department: dept}}
"""


def write_forms(source: Path, wide: Path, tidy: Path, items: int) -> None:
    with duckdb.connect(config={"memory_limit": "6GB", "preserve_insertion_order": False}) as connection:
        for name in ("calendar", "sell_prices", "stores", "products", "sales_daily"):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{source / name}.parquet')")
        connection.execute(f"CREATE TABLE chosen AS SELECT sku FROM products ORDER BY hash(sku) LIMIT {items}")
        connection.execute("CREATE VIEW sales AS SELECT * FROM sales_daily SEMI JOIN chosen USING (sku)")
        connection.execute(f"COPY sales TO '{tidy}/sales.parquet'")
        connection.execute(f"COPY stores TO '{tidy}/stores.parquet'")
        connection.execute(f"COPY (SELECT * FROM products SEMI JOIN chosen USING (sku)) TO '{tidy}/products.parquet'")
        connection.execute("CREATE TABLE days AS SELECT 'd_' || d AS d, date FROM calendar WHERE d <= 1941")
        listed = ", ".join(f"'{d}'" for (d,) in connection.execute("SELECT d FROM days ORDER BY date").fetchall())
        rows = "SELECT store_code AS store_id, sku AS item_id, d, quantity FROM sales JOIN days USING (date)"
        cells = ", ".join(f'coalesce("d_{n}", 0) AS d_{n}' for n in range(1, 1942))
        connection.execute(
            f"COPY (SELECT item_id || '_' || store_id || '_evaluation' AS id, item_id, dept AS dept_id, category AS cat_id, "
            f"store_id, state AS state_id, {cells} FROM (PIVOT ({rows}) ON d IN ({listed}) USING first(quantity)) "
            f"JOIN products ON sku = item_id JOIN stores ON store_code = store_id) TO '{wide}/sales_train_evaluation.csv'"
        )
        connection.execute(f"COPY (SELECT * REPLACE ('d_' || d AS d) FROM calendar) TO '{wide}/calendar.csv'")
        prices = "SELECT store_code AS store_id, sku AS item_id, wm_yr_wk, sell_price FROM sell_prices SEMI JOIN chosen USING (sku)"
        connection.execute(f"COPY ({prices}) TO '{wide}/sell_prices.csv'")


def load(root: Path, source: str, folder: Path) -> float:
    (root / "dagster").mkdir(parents=True)
    (root / "dagster/dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DAGSTER_HOME": str(root / "dagster")}
    environment["DEMANDGRAPH_CONFIG"] = str(folder.parent / "config")
    command = [sys.executable, "-m", "pipelines", "materialize", "--source", source, "--path", str(folder)]
    began = time.perf_counter()
    subprocess.run([*command, "--select", "sources", "core"], env=environment, check=True, capture_output=True)
    return round(time.perf_counter() - began, 1)


def compare(one: Path, other: Path) -> tuple[int, int]:
    """Rows of sales, and rows that only one of the two has."""
    with duckdb.connect() as connection:
        for name, root in (("a", one), ("b", other)):
            core = root / "warehouse/core"
            paths = [str(path) for path in (core / "sales_daily").glob("*.parquet") if "rejects" not in path.name]
            connection.execute(
                f"CREATE VIEW {name} AS SELECT code, sku, date, quantity, unit_price, total_amount FROM read_parquet({paths}) "
                f"JOIN read_parquet('{core}/dim_store/data.parquet') USING (store_id) "
                f"JOIN read_parquet('{core}/dim_product/data.parquet') USING (product_id)"
            )
        [(rows,)] = connection.execute("SELECT count(*) FROM a").fetchall()
        hashes = [connection.execute(f"SELECT count(*), sum(hash(t)) FROM {name} t").fetchall() for name in ("a", "b")]
    return rows, int(hashes[0] != hashes[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the tidy files; without it there is nothing to measure")
    parser.add_argument("--items", type=int, default=50)
    arguments = parser.parse_args()
    if arguments.path is None:
        print(json.dumps({"benchmark": "forms", "skipped": "give the folder of the M5 files with --path"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        wide, tidy, config = (Path(folder, name) for name in ("wide", "tidy", "config"))
        for each in (wide, tidy, config):
            each.mkdir()
        (config / "sources.yaml").write_text(TIDY)
        write_forms(Path(arguments.path), wide, tidy, arguments.items)
        roots = Path(folder, "a"), Path(folder, "b")
        seconds = {"wide_s": load(roots[0], "m5_wide", wide), "tidy_s": load(roots[1], "m5_tidy", tidy)}
        rows, differs = compare(*roots)
    result = {
        "benchmark": "forms",
        "items": arguments.items,
        "cells": arguments.items * 10 * 1941,
        "rows": rows,
        "same": not differs,
        **seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("dagster", "duckdb", "polars")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
