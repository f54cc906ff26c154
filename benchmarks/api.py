"""What does a read cost, beside a bare handler of the same server? One line of JSON.

    python benchmarks/api.py                   over the demo data
    python benchmarks/api.py --path DIR        over the serving_bench files in DIR (2,000,000 rows)

Starts the API and the peer, one worker each, and has wrk (which must be installed) ask over 16 kept connections; random ranges and
filters, so that no answer repeats but those of `kept`. `mixed` is all three questions, each of everything, of a store, a product, a
region or a category; beside it stand the three alone. The two servers take turns, and medians of the rounds are told.
cpu_us is the server's CPU time a request; wrk runs on the same machine, so that requests/s and latencies are the pair's and cpu_us
is the figure to compare.
"""

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from _wrk import CONNECTIONS, HOST, Question, ask

HITS = 'demandgraph_cache_answers_total{result="hit"}'
TICK = os.sysconf("SC_CLK_TCK")
WARM_UP, ENOUGH = 4_000, 26_000  # questions: again and again for a second, and more than are asked in a round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the serving_bench files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of one question in a round")
    parser.add_argument("--port", type=int, default=18310)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        print(json.dumps({"benchmark": "api", "skipped": "install wrk"}))
        return
    source = ["--source", "serving_bench", "--path", arguments.path] if arguments.path else ["--preset", "demo_minimal"]
    with tempfile.TemporaryDirectory() as root:
        home = Path(root, "dagster")
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        environment = {**os.environ, "DEMANDGRAPH_DATA": root, "DAGSTER_HOME": str(home), "DEMANDGRAPH_READ_RATE": "1000000000"}
        stages = ["--select", "sources", "core", "kpis", "publish"]
        command = [sys.executable, "-m", "pipelines", "materialize", *source, *stages]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        ports = arguments.port, arguments.port + 1
        with (
            server("bare:app", ports[0], environment, "/") as bare,
            server("serving.worker:app", ports[1], environment, "/readyz") as pid,
        ):
            first, last = data_range(ports[1])
            rounds, draw, once = [], random.Random(7), set[str]()
            questions = {"mixed": partial(mixed, members(ports[1], first, last)), **QUESTIONS}
            for _ in range(arguments.rounds):
                found = {"bare": measured(ports[0], bare, ["/"] * (WARM_UP + 1), seconds=arguments.seconds, once=False)}
                for name, question in questions.items():
                    one, is_new = partial(question, draw, first=first, last=last), name != "kept"
                    paths = new(one, WARM_UP + ENOUGH, once) if is_new else [one() for _ in range(WARM_UP + ENOUGH)]
                    found[name] = measured(ports[1], pid, paths, seconds=arguments.seconds, once=is_new)
                    found[name]["cpu_ratio"] = found[name]["cpu_us"] / found["bare"]["cpu_us"]
                rounds.append(found)
    results = {name: {figure: round(median(each[name][figure] for each in rounds), 2) for figure in found[name]} for name in found}
    packages = {name: version(name) for name in ("granian", "litestar", "msgspec", "numpy", "duckdb")}
    said = {"benchmark": "api", "rows": "serving_bench" if arguments.path else "demo_minimal", "connections": CONNECTIONS}
    print(json.dumps({**said, "results": results, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


def asked(what: str, **said: str) -> str:
    return f"/api/v1/analytics/{what}?{urlencode(said)}"


def a_range(draw: random.Random, first: date, last: date) -> dict[str, str]:
    days = (last - first).days
    start = first + timedelta(days=draw.randrange(days))
    return {"start_date": str(start), "end_date": str(start + timedelta(days=draw.randrange(days)))}


def kpis(draw: random.Random, first: date, last: date) -> str:
    extra = draw.choice([{}, {"store_id": str(draw.randint(1, 5))}, {"product_id": str(draw.randint(1, 20))}])
    return asked("kpis", **a_range(draw, first, last), **extra)


def months(draw: random.Random, first: date, last: date) -> str:
    return asked("timeseries", **a_range(draw, first, last), granularity="month")


def stores(draw: random.Random, first: date, last: date) -> str:
    return asked("drilldowns", **a_range(draw, first, last), dimension="store")


def mixed(among: dict[str, list[str]], draw: random.Random, first: date, last: date) -> str:
    """One of the three, of everything or of one of these members."""
    kind, more = draw.choice([("kpis", {}), ("timeseries", {"granularity": "month"}), ("drilldowns", {"dimension": "store"})])
    by = draw.choice(["", *among])
    return asked(kind, **a_range(draw, first, last), **more, **({by: draw.choice(among[by])} if by else {}))


def kept(draw: random.Random, first: date, last: date) -> str:
    """One of a hundred questions of these kinds: from the second time on its answer is kept."""
    one = random.Random(draw.randrange(100))
    return one.choice([kpis, months, stores])(one, first, last)


QUESTIONS = {"kpis": kpis, "timeseries_month": months, "drilldown_store": stores, "kept": kept}


def new(ask: Callable[[], str], many: int, once: set[str]) -> list[str]:
    """So many questions, none of which was asked before. Raises SystemExit, where there are not as many."""
    found: list[str] = []
    for _ in range(10 * many):
        asked = ask()
        if asked not in once:
            once.add(asked)
            found.append(asked)
        if len(found) == many:
            return found
    raise SystemExit(f"there are no {many} questions more such as {asked}: give fewer --rounds")


def told(port: int, name: str) -> float:
    """A number that the server counts; 0 until there is one, and of one that counts nothing."""
    try:
        with urlopen(f"http://{HOST}:{port}/metrics") as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
    except HTTPError:
        return 0.0
    return next((float(value) for what, _, value in lines if what == name), 0.0)


def members(port: int, first: date, last: date) -> dict[str, list[str]]:
    """Whom a question can be of, by the parameter that says so."""
    found = {}
    for name in ("store", "product", "region", "category"):
        path = asked("drilldowns", start_date=str(first), end_date=str(last), dimension=name, max_items="100")
        with urlopen(f"http://{HOST}:{port}{path}") as answer:
            items = json.load(answer)["items"]
        found[f"{name}_id" if name in ("store", "product") else name] = [each["dimension_value"] for each in items]
    return found


def data_range(port: int) -> tuple[date, date]:
    with urlopen(f"http://{HOST}:{port}/api/v1/system/info") as answer:
        last = date.fromisoformat(json.load(answer)["metadata"]["as_of"])
    return last - timedelta(days=360), last


@contextmanager
def server(target: str, port: int, environment: dict[str, str], ready: str) -> Iterator[int]:
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


def measured(port: int, pid: int, paths: list[str], *, seconds: int, once: bool) -> dict[str, float]:
    """Warm up for a second by the first of the paths, then measure by the others; an answer of 400 or above ends the benchmark."""
    questions = [Question("GET", path) for path in paths]
    ask(port, questions[:WARM_UP], seconds=1, once=False)
    hits, before = told(port, HITS), cpu_seconds(pid)
    found = ask(port, questions[WARM_UP:], seconds=seconds, once=once)
    used = cpu_seconds(pid) - before
    if found.failed:
        raise SystemExit(f"{found.failed} of {found.requests} requests failed, such as {paths[0]}")
    return {
        "requests_per_s": found.requests_per_s,
        "p50_ms": found.p50_ms,
        "p99_ms": found.p99_ms,
        "cpu_us": used / found.requests * 1e6,
        "hits": (told(port, HITS) - hits) / found.requests,
    }


if __name__ == "__main__":
    main()
