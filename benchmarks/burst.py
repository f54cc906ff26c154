"""What happens when many jobs come at once, and what does a long list of them cost? One line of JSON; exit code 1 for a lost job.

    python benchmarks/burst.py                        200 jobs by 16 clients over two API workers; 1,000 runs in the storage
    python benchmarks/burst.py --jobs 50 --runs 200

Every job is sent twice with its Idempotency-Key, by two clients. `lost` and `twice` count jobs whose key has no run, or more than
one. `memory_mib` is the peak of all processes of `demandgraph up` together, and `before_mib` what they held before. Most jobs are
cancelled afterwards, the rest has to end. `list_p50_ms` and `list_p95_ms` are of GET /jobs with 1,000 runs and a new one a second.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from _up import ENDED, KEY, Up, children_of, environment_of, make_root, running

TRIAL = {"job_type": "train", "params": {"model_type": "naive"}}
FINISH = 4  # jobs that are not cancelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--port", type=int, default=18680)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
        root = Path(folder)
        make_root(root)
        with running(root, arguments.port, workers=2) as up:
            said = burst(up, arguments.jobs, arguments.clients)
            fill(root, arguments.runs)
            said |= listing(up)
    faulty = bool(said["lost"] or said["twice"] or said["refused"] or said["not_ended"])
    packages = {name: version(name) for name in ("dagster", "litestar", "granian")}
    said |= {"cores": os.cpu_count(), "python": platform.python_version(), **packages}
    print(json.dumps({"benchmark": "burst", "jobs": arguments.jobs, "clients": arguments.clients, **said}))
    sys.exit(1 if faulty else 0)


def burst(up: Up, jobs: int, clients: int) -> dict[str, Any]:
    """Send every job twice, from as many clients, and follow them all to their end."""
    before = memory(up)
    watch = Watch(up)
    watch.start()
    began = time.perf_counter()
    answers = asyncio.run(send(str(up.client.base_url), jobs, clients))
    seconds = time.perf_counter() - began
    ids: dict[int, set[str]] = {}
    for n, status, job_id, _ in answers:
        ids.setdefault(n, set())
        if status == 202:
            ids[n].add(job_id)
    known = sorted(each for found in ids.values() for each in found)
    runs = Counter(job["job_id"] for job in listed(up))
    for job_id in known[FINISH:]:
        up.client.delete(f"/api/v1/jobs/{job_id}")
    deadline = time.monotonic() + 300
    left = set(known)
    while left and time.monotonic() < deadline:
        left -= {job["job_id"] for job in listed(up) if job["status"] in ENDED}
        time.sleep(0.5)
    watch.over = True
    watch.join()
    took = sorted(each[3] for each in answers)
    return {
        "post_s": round(seconds, 1),
        "post_p95_ms": round(1000 * took[int(0.95 * (len(took) - 1))]),
        "lost": sum(1 for found in ids.values() if not found) + sum(1 for each in known if each not in runs),
        "twice": sum(1 for found in ids.values() if len(found) > 1) + sum(runs.values()) - len(runs),
        "refused": sum(1 for _, status, *_ in answers if status != 202),
        "not_ended": len(left),
        "before_mib": before >> 20,
        "memory_mib": watch.peak >> 20,
    }


async def send(url: str, jobs: int, clients: int) -> list[tuple[int, int, str, float]]:
    """Number, status, job and seconds of each answer. The second of a pair is sent by another client at about the same time."""
    waiting = [n for n in range(jobs) for _ in range(2)]
    answers = []

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": KEY}, timeout=120) as sender:
            while waiting:
                n = waiting.pop(0)
                began = time.perf_counter()
                body = {**TRIAL, "params": {**TRIAL["params"], "store_id": n % 3 + 1}}  # type: ignore[dict-item]
                answer = await sender.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": f"burst-{n}"})
                answers.append((n, answer.status_code, answer.json().get("job_id", ""), time.perf_counter() - began))

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


def fill(root: Path, runs: int) -> None:
    """Put ended runs into Dagster's storage, as months of use would."""
    os.environ.update(environment_of(root))
    from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
    from dagster._core.utils import make_new_run_id

    tags = {"demandgraph/job_type": "refresh", "demandgraph/origin": "api", "demandgraph/params": "{}"}
    with DagsterInstance.from_config(str(root / "data/dagster")) as instance:
        for _ in range(runs):
            instance.run_storage.add_run(
                DagsterRun(
                    job_name="__ASSET_JOB",
                    run_id=make_new_run_id(),
                    status=DagsterRunStatus.SUCCESS,
                    tags=tags,
                    asset_selection=frozenset({AssetKey(["publish", "snapshot"])}),
                )
            )


def listing(up: Up) -> dict[str, Any]:
    """Milliseconds of GET /jobs once the runs are known, while a job changes now and then."""
    total = len(listed(up))
    took = []
    for n in range(120):
        if n % 20 == 0:
            up.client.delete(f"/api/v1/jobs/{up.post('train').json()['job_id']}")
        began = time.perf_counter()
        answer = up.client.get("/api/v1/jobs?page_size=20")
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
        time.sleep(0.15)
    return {"runs": total, "list_p50_ms": round(median(took), 1), "list_p95_ms": round(quantiles(took, n=20)[-1], 1)}


def listed(up: Up) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = up.client.get(f"/api/v1/jobs?page_size=100&page={len(found) // 100 + 1}").json()
        found += page["items"]
        if len(found) >= page["total"] or not page["items"]:
            return found


class Watch(threading.Thread):
    """The peak of the memory of all processes, looked at ten times a second."""

    def __init__(self, up: Up) -> None:
        super().__init__(daemon=True)
        self.up, self.peak, self.over = up, 0, False

    def run(self) -> None:
        while not self.over:
            self.peak = max(self.peak, memory(self.up))
            time.sleep(0.1)


def memory(up: Up) -> int:
    """Resident bytes of `up` and all below it."""
    total, waiting = 0, [up.process.pid]
    while waiting:
        pid = waiting.pop()
        try:
            waiting += children_of(pid)
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


if __name__ == "__main__":
    main()
