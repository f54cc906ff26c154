"""Are the answers on serving_bench right to the cent? One line of JSON.

    python benchmarks/serving_reference.py --path DIR     the folder of the serving_bench files (2,000,000 rows)

Loads the files through the pipeline into a data root of its own, publishes it, and asks the API. The figures to compare with were
worked out from the files by eight engines that agree. A second opinion sums the Parquet file itself. Exit status 1 where one
differs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from litestar.testing import TestClient

from serving.app import create_asgi
from serving.settings import Settings

OCTOBER = {"start_date": "2024-10-01", "end_date": "2024-10-31"}
YEAR = {"start_date": "2023-11-01", "end_date": "2024-10-31"}
KPIS: dict[str, tuple[dict[str, str], tuple[float, int, int]]] = {
    "october": (OCTOBER, (46345486.99, 1795979, 124000)),
    "year": (YEAR, (523429545.75, 20297316, 1464000)),
    "year_store_7": ({**YEAR, "store_id": "7"}, (8934612.44, 364272, 29280)),
}
FIRST = {
    "store": ("S002", 12787523.72, 2.44),
    "product": ("SKU-0012", 12451177.62, 2.38),
    "category": ("Personal Care", 85726171.14, 16.38),
    "date": ("2024-07-13", 2261310.70, 0.43),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the serving_bench files; without it there is nothing to compare")
    arguments = parser.parse_args()
    if arguments.path is None:
        print(json.dumps({"benchmark": "serving_reference", "skipped": "give the folder of the serving_bench files with --path"}))
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        publish(root, arguments.path)
        seconds = time.perf_counter() - began
        with TestClient(create_asgi(Settings(data=Path(root))), base_url="http://127.0.0.1") as client:
            answers = ask(client)
    expected = {**{name: list(numbers) for name, (_, numbers) in KPIS.items()}, **{name: list(row) for name, row in FIRST.items()}}
    expected["october_from_the_file"] = from_the_file(Path(arguments.path, "sales.parquet"))
    answers["october_from_the_file"] = answers["october"]
    differing = {name: [answers[name], said] for name, said in expected.items() if answers[name] != said}
    said = {"benchmark": "serving_reference", "compared": len(expected), "differing": differing, "publish_s": round(seconds, 1)}
    packages = {name: version(name) for name in ("duckdb", "litestar", "numpy", "polars")}
    print(json.dumps({**said, "answers": answers, "python": platform.python_version(), **packages}))
    sys.exit(1 if differing else 0)


def publish(root: str, path: str) -> None:
    home = Path(root, "dagster")
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": root, "DAGSTER_HOME": str(home)}
    what = ["--source", "serving_bench", "--path", path, "--select", "sources", "core", "kpis", "publish"]
    subprocess.run([sys.executable, "-m", "pipelines", "materialize", *what], env=environment, check=True, capture_output=True)


def ask(client: TestClient) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, (params, _) in KPIS.items():
        metrics = get(client, "kpis", params)["metrics"]
        found[name] = [metrics["total_revenue"], metrics["total_units"], metrics["total_transactions"]]
    for dimension in FIRST:
        first = get(client, "drilldowns", {**YEAR, "dimension": dimension})["items"][0]
        found[dimension] = [first["dimension_value"], first["metrics"]["total_revenue"], first["revenue_share_pct"]]
    return found


def get(client: TestClient, route: str, params: dict[str, str]) -> Any:
    answer = client.get(f"/api/v1/analytics/{route}", params=params)
    if answer.status_code != 200:
        raise SystemExit(answer.text)
    return answer.json()


def from_the_file(sales: Path) -> list[Any]:
    """October once more, from the source's own file: revenue rounded to cents a row, then summed."""
    sql = (
        "SELECT sum(total_amount::DECIMAL(18, 2))::DOUBLE, sum(quantity)::BIGINT, count(*) FROM read_parquet(?) "
        "WHERE date BETWEEN ? AND ?"
    )
    return list(duckdb.execute(sql, [str(sales), *OCTOBER.values()]).fetchall()[0])


if __name__ == "__main__":
    main()
