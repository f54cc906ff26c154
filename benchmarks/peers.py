"""How many answers a second, beside ROAPI and Datasette over tables that are summed up beforehand? One line of JSON.

    python benchmarks/peers.py --path DIR                 over the serving_bench files in DIR (2,000,000 rows)
    python benchmarks/peers.py --path DIR --seconds 12    longer

Two questions with random ranges and stores: what one store sold, and what each store sold. The peers get one row a store and
day (25,000 rows), Datasette with an index on both, ROAPI in memory: the work that prefix sums save is saved for them too, as far
as a table can. Each server runs alone, in one process, as it comes; wrk asks over 16 connections for the same questions in the
same order, none of them twice. Answers are compared to the cent before they are counted. A peer that is not installed is left
out; wrk must be.
"""

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, version
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import polars as pl
from _wrk import CONNECTIONS, HOST, Question, ask

STORES, QUESTIONS = 50, 120_000
FIRST, DAYS = date(2023, 7, 1), 500
COMPARED = 20  # answers
SUMS = "sum(revenue) AS revenue, sum(units) AS units, sum(transactions) AS transactions"


class Range(NamedTuple):
    """A range of days, inclusive, of one store or, with None, of each."""

    store: int | None
    start: date
    end: date


def ranges(kind: str) -> list[Range]:
    """Each once, so that no answer is one that was kept."""
    draw = random.Random(11)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    spans = draw.sample(list(combinations_with_replacement(days, 2)), QUESTIONS)
    return [Range(draw.randint(1, STORES) if kind == "store_kpis" else None, *span) for span in spans]


def ours(asked: Range) -> Question:
    span = {"start_date": asked.start, "end_date": asked.end}
    if asked.store is not None:
        return Question("GET", f"/api/v1/analytics/kpis?{urlencode({**span, 'store_id': asked.store})}")
    return Question("GET", f"/api/v1/analytics/drilldowns?{urlencode({**span, 'dimension': 'store', 'max_items': 100})}")


def sql(asked: Range) -> str:
    span = f"date BETWEEN '{asked.start}' AND '{asked.end}'"
    if asked.store is not None:
        return f"SELECT {SUMS} FROM sold WHERE store_id = {asked.store} AND {span}"
    return f"SELECT store_id, {SUMS} FROM sold WHERE {span} GROUP BY store_id ORDER BY revenue DESC"


def roapi(asked: Range) -> Question:
    return Question("POST", "/api/sql", sql(asked))


def datasette(asked: Range) -> Question:
    return Question("GET", f"/sold.json?{urlencode({'sql': sql(asked), '_shape': 'array'})}")


def cents(side: str, body: Any) -> list[int]:
    """The revenue of an answer, largest first."""
    if side != "ours":
        return sorted((int(row["revenue"]) for row in body), reverse=True)
    return sorted((round(part["metrics"]["total_revenue"] * 100) for part in body.get("items", [body])), reverse=True)


def answer(port: int, asked: Question) -> Any:
    body = asked.body.encode() or None
    with urlopen(Request(f"http://{HOST}:{port}{asked.path}", body, method=asked.method)) as said:
        return json.load(said)


def measure(port: int, questions: list[Question], seconds: int) -> dict[str, float]:
    found = ask(port, questions, seconds=seconds, once=True)
    return {
        "requests_per_s": round(found.requests_per_s, 1),
        "p50_ms": found.p50_ms,
        "p99_ms": found.p99_ms,
        "failed": found.failed,
    }


@contextmanager
def running(command: list[str], port: int, asked: Question, environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                try:
                    answer(port, asked)
                    break
                except OSError:
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()


def publish(root: Path, path: str) -> dict[str, str]:
    """Our side's snapshot; gives the environment that serves it."""
    (root / "dagster").mkdir()
    (root / "dagster/dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DAGSTER_HOME": str(root / "dagster"), "DEMANDGRAPH_READ_RATE": "0"}
    command = [sys.executable, "-m", "pipelines", "materialize", "--source", "serving_bench", "--path", path]
    subprocess.run([*command, "--select", "sources", "core", "kpis", "publish"], env=environment, check=True, capture_output=True)
    return environment


def tables(root: Path, path: str) -> None:
    """The peers' sums a store and day, money in cents: sold.parquet and sold.db."""
    sums = (
        pl.read_parquet(Path(path, "sales.parquet"))
        .group_by("store_id", pl.col("date").cast(pl.String))
        .agg(
            (pl.col("total_amount").cast(pl.Float64) * 100).round().cast(pl.Int64).sum().alias("revenue"),
            pl.col("quantity").cast(pl.Int64).sum().alias("units"),
            pl.len().cast(pl.Int64).alias("transactions"),
        )
        .sort("store_id", "date")
    )
    sums.write_parquet(root / "sold.parquet")
    with closing(sqlite3.connect(root / "sold.db")) as connection, connection:
        connection.execute("CREATE TABLE sold (store_id INT, date TEXT, revenue INT, units INT, transactions INT)")
        connection.executemany("INSERT INTO sold VALUES (?, ?, ?, ?, ?)", sums.rows())
        connection.execute("CREATE INDEX sold_by_store ON sold (store_id, date)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the serving_bench files; without it there is nothing to measure")
    parser.add_argument("--seconds", type=int, default=8, help="a question and server")
    parser.add_argument("--port", type=int, default=18320)
    arguments = parser.parse_args()
    if not arguments.path or not shutil.which("wrk"):
        print(json.dumps({"benchmark": "peers", "skipped": "give the serving_bench files by --path, and install wrk"}))
        return
    port, found = arguments.port, {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environment = publish(root, arguments.path)
        tables(root, arguments.path)
        beside = Path(sys.executable).parent
        sides: dict[str, tuple[Callable[[Range], Question], list[str]]] = {
            "ours": (ours, [sys.executable, "-m", "serving", "--port", str(port)]),
            "roapi": (
                roapi,
                [str(beside / "roapi"), "-a", f"{HOST}:{port}", "-p", f"{HOST}:{port + 1}", "-t", f"sold={root}/sold.parquet"],
            ),
            "datasette": (datasette, [str(beside / "datasette"), "serve", "-p", str(port), "-h", HOST, "-i", f"{root}/sold.db"]),
        }
        for side, (how, command) in sides.items():
            if side != "ours":
                try:
                    version(side)
                except PackageNotFoundError:
                    continue
            found[side] = {}
            for kind in ("store_kpis", "each_store"):
                questions = [how(each) for each in ranges(kind)]
                with running(command, port, questions[0], environment):
                    compared = [cents(side, answer(port, each)) for each in questions[:COMPARED]]
                    found[side][kind] = {"answers": compared, **measure(port, questions[COMPARED:], arguments.seconds)}
    result = {"benchmark": "peers", "rows": 2_000_000, "connections": CONNECTIONS, **found}
    expected = {kind: said.pop("answers") for kind, said in found["ours"].items()}
    for side in set(found) - {"ours"}:
        for kind, said in found[side].items():
            if said.pop("answers") != expected[kind]:
                raise SystemExit(f"{side} answers {kind} otherwise than ours")
            said["times_ours"] = round(found["ours"][kind]["requests_per_s"] / said["requests_per_s"], 1)
    print(json.dumps({**result, "cores": os.cpu_count(), "python": platform.python_version()}))


if __name__ == "__main__":
    main()
