"""A small published data root, and `demandgraph up` over it, for the scripts that time or kill what runs jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

KEY = "the-key-of-the-benchmarks-0123456789"
PYTHON = (sys.executable, "-P")
SOURCES = "sources: [{name: small, kind: generator, about: a small chain, stores: 3, products: 4, start: 2024-08-04}]\n"
MODELS = """\
models:
  - {type: xgboost, params: {rounds: 8, max_leaves: 8, seed: 42, nthread: 1}}
evaluation: {horizon: 14, n_splits: 3}
"""
ENDED = ("completed", "failed", "cancelled")
PATIENCE = 300.0


def environment_of(root: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DEMANDGRAPH_DATA": str(root / "data"),
        "DAGSTER_HOME": str(root / "data/dagster"),
        "DEMANDGRAPH_CONFIG": str(root / "config"),
        "DEMANDGRAPH_API_KEYS": f"benchmarks:admin:{KEY}",
        "DEMANDGRAPH_READ_RATE": "0",
        "DEMANDGRAPH_WRITE_RATE": "0",
        **more,
    }


def make_root(root: Path) -> None:
    """Generate a small chain, run the graph over it, and publish."""
    (root / "config").mkdir(parents=True)
    (root / "config/sources.yaml").write_text(SOURCES)
    (root / "config/models.yaml").write_text(MODELS)
    command = [*PYTHON, "-m", "demandgraph", "--data", str(root / "data"), "materialize", "--source", "small"]
    subprocess.run(command, env=environment_of(root), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Up:
    """A running `demandgraph up`."""

    def __init__(self, process: subprocess.Popen[str], port: int, dagster_port: int) -> None:
        self.process = process
        self.dagster = f"http://127.0.0.1:{dagster_port}"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=60)

    def post(self, job_type: str, params: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        body = {"job_type": job_type, "params": dict(params or {})}
        return self.client.post("/api/v1/jobs", json=body, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        said: dict[str, Any] = self.client.get(f"/api/v1/jobs/{job_id}").json()
        return said

    def ended(self, job_id: str, *, every: float = 0.2, patience: float = PATIENCE) -> dict[str, Any]:
        """The job once it has ended; asked for again while somebody is being restarted."""
        deadline = time.monotonic() + patience
        while True:
            try:
                job = self.job(job_id)
                if job.get("status") in ENDED:
                    return job
            except (httpx.HTTPError, ValueError):
                job = {}
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} did not end within {patience:.0f} s: {job}")
            time.sleep(every)

    def snapshot(self) -> str:
        return str(self.client.get("/api/v1/system/info").json()["metadata"]["snapshot_id"])

    def processes(self) -> dict[str, int]:
        """The processes that `up` started, by name."""
        names = {"code-server": "api grpc", "webserver": "dagster_webserver", "daemon": "dagster._daemon", "api": "-m serving"}
        found = {}
        for pid in children_of(self.process.pid):
            with suppress(OSError):
                said = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                found |= {name: pid for name, words in names.items() if words in said}
        return found


@contextmanager
def running(root: Path, port: int, *, workers: int = 1, **environment: str) -> Iterator[Up]:
    """`demandgraph up` on a port and the next one, once all of it answers; stopped at the end."""
    command = [*PYTHON, "-m", "demandgraph", "--data", str(root / "data"), "up", "--port", str(port)]
    command += ["--dagster-port", str(port + 1), "--workers", str(workers)]
    with subprocess.Popen(
        command, env=environment_of(root, **environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        if process.poll() is not None:
            raise RuntimeError(said)
        try:
            yield Up(process, port, port + 1)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def children_of(pid: int) -> list[int]:
    """The processes that any thread of a process started; none where it is gone."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(each) for each in path.read_text().split()]
    return found
