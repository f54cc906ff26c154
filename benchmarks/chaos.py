"""Does a job get lost or run for ever when the processes around it are killed? One line of JSON; exit code 1 where one does.

    python benchmarks/chaos.py                 every process killed once
    python benchmarks/chaos.py --rounds 10     ten times, half an hour

A round starts `demandgraph up` and kills, each with SIGKILL and at a moment drawn at random while an ingest and a train job run or
wait: daemon, webserver, code server, the run's own process, the API, and code server and run together. Each job has to end as
completed, failed or cancelled, within five minutes; `ended_s` is the longest time from a kill to that. Requests that a killed API
did not answer are sent again with their Idempotency-Key. At the end every posted row is served once, no kept snapshot mixes two
states of the data, all its bytes are as published, and each key has one run.
"""

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from _up import Up, children_of, make_root, running

from assets_config.contract.integrity import damage
from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests

KINDS = ("daemon", "webserver", "code-server", "run", "api", "code-server and run")
FIRST_DAY = "2025-01-01"  # the day after the generated ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--port", type=int, default=18670)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
        root = Path(folder)
        make_root(root)
        chaos = Chaos(root, random.Random(arguments.seed))
        for _ in range(arguments.rounds):
            with running(root, arguments.port) as up:
                for kind in arguments.kinds:
                    chaos.kill(up, kind)
        with running(root, arguments.port) as up:
            chaos.settle(up)
    said = {"benchmark": "chaos", "rounds": arguments.rounds, "kinds": arguments.kinds, **chaos.told()}
    print(json.dumps({**said, "cores": os.cpu_count(), "python": platform.python_version(), "dagster": version("dagster")}))
    sys.exit(1 if chaos.faults else 0)


class Chaos:
    """What was posted, how it ended, and what went wrong."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.root, self.draw = root, draw
        self.posted = 0  # units
        self.keys = 0
        self.ended: dict[str, Counter[str]] = defaultdict(Counter)
        self.slowest: dict[str, float] = defaultdict(float)
        self.faults: list[str] = []

    def kill(self, up: Up, kind: str) -> None:
        jobs = [self.post(up, "/api/v1/ingest/sales-daily", self.rows()), self.post(up, "/api/v1/jobs", trial())]
        deadline = time.monotonic() + 90
        if "run" in kind:
            while not self.victims(up, kind) and time.monotonic() < deadline:
                time.sleep(0.02)
        time.sleep(self.draw.uniform(0, 3))
        while not (victims := self.victims(up, kind)) and time.monotonic() < deadline:
            jobs.append(self.post(up, "/api/v1/jobs", trial()))  # those before have ended already
            time.sleep(self.draw.uniform(2, 6))
        if not victims:
            self.faults.append(f"{kind}: there was nothing to kill")
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        for job_id in filter(None, jobs):
            try:
                job = up.ended(job_id)
            except TimeoutError as error:
                self.faults.append(f"{kind}: {error}")
                continue
            self.ended[kind][job["status"]] += 1
        self.slowest[kind] = max(self.slowest[kind], time.monotonic() - killed)
        self.wait_for(up)

    def victims(self, up: Up, kind: str) -> list[int]:
        own = up.processes()
        code = own.get("code-server")
        runs = runs_of(code) if code else []
        if kind == "run":
            return runs
        if kind == "code-server and run":
            return [code, *runs] if code and runs else []
        return [own[kind]] if kind in own else []

    def rows(self) -> dict[str, Any]:
        """One more line of the first day after the generated ones, of a store and product by turns."""
        store, product = self.keys % 3 + 1, self.keys % 4 + 1
        day = f"2025-{self.keys // 12 % 12 + 1:02}-{self.keys // 144 + 1:02}"
        self.posted += 5
        record = {"date": day, "store_code": f"S{store:03}", "sku": f"SKU-{product:04}", "quantity": 5, "unit_price": 2.0}
        return {"records": [record]}

    def post(self, up: Up, path: str, body: dict[str, Any]) -> str | None:
        """The job of a request, which is sent again with its key until it is answered."""
        self.keys += 1
        headers = {"Idempotency-Key": f"chaos-{self.keys}"}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError, ValueError):
                answer = up.client.post(path, json=body, headers=headers)
                if answer.status_code == 202:
                    return answer.headers["Location"].rpartition("/")[2]
                if answer.status_code < 500:
                    self.faults.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                    return None
            time.sleep(1)
        self.faults.append(f"{path}: not taken within two minutes")
        return None

    def wait_for(self, up: Up) -> None:
        """Until everything that `up` starts is there again and takes jobs."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError, ValueError):
                if len(up.processes()) == 4 and up.client.get("/api/v1/config/providers/health").json().get("status") == "ok":
                    return
            time.sleep(0.5)
        self.faults.append("not all processes came back within two minutes")

    def settle(self, up: Up) -> None:
        """Hold what is served against what was posted, and look at every kept snapshot."""
        self.post(up, "/api/v1/ingest/sales-daily", self.rows())
        deadline, units = time.monotonic() + 400, -1
        url = f"/api/v1/analytics/kpis?start_date={FIRST_DAY}&end_date=2025-12-31"
        while units != self.posted and time.monotonic() < deadline:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                units = up.client.get(url).json()["metrics"]["total_units"]
            time.sleep(1)
        if units != self.posted:
            self.faults.append(f"{self.posted} units were posted, {units} are served")
        published = Published(self.root / "data")
        for manifest in manifests(published):
            datasets = {manifest.parts[name].dataset_id for name in ("catalogue", "kpis")}
            if datasets != {manifest.dataset_id}:
                self.faults.append(f"snapshot {manifest.id} mixes {datasets}")
            self.faults += damage(published, manifest)
        for job in pages(up):
            if job["status"] not in ("completed", "failed", "cancelled"):
                self.faults.append(f"job {job['job_id']} is {job['status']} for ever")

    def told(self) -> dict[str, Any]:
        ended = {kind: dict(count) for kind, count in self.ended.items()}
        return {
            "jobs": sum(sum(each.values()) for each in self.ended.values()),
            "ended": ended,
            "ended_s": {kind: round(value, 1) for kind, value in self.slowest.items()},
            "units": self.posted,
            "faults": self.faults,
        }


def trial() -> dict[str, Any]:
    return {"job_type": "train", "params": {"model_type": "xgboost", "horizon": 14}}


def runs_of(code_server: int) -> list[int]:
    """The processes of runs: what the process that has loaded the graph was forked to."""
    found = []
    for pid in children_of(code_server):
        with suppress(OSError):
            if "forkserver" in Path(f"/proc/{pid}/cmdline").read_text():
                found += children_of(pid)
    return found


def pages(up: Up) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = up.client.get(f"/api/v1/jobs?page_size=100&page={len(found) // 100 + 1}").json()
        found += page["items"]
        if len(found) >= page["total"]:
            return found


if __name__ == "__main__":
    main()
