"""A real server of several processes over a data root, for as long as a test needs it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from demandgraph.ports import any_free_port

PATIENCE = 60.0
KEY = "the-key-of-the-tests-0123456789"
MAY_ALL = {"DEMANDGRAPH_API_KEYS": f"tests:admin:{KEY}", "DEMANDGRAPH_READ_RATE": "0", "DEMANDGRAPH_WRITE_RATE": "0"}


class Server:
    """`python -m serving`, and the processes that it started."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.log = log

    def workers(self) -> set[int]:
        """The pids of the processes that answer."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if _is_worker(pid)}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask over a connection of its own, so that any worker may answer."""
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=30)

    def waits_for(self, workers: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.workers()) < workers or not self.is_ready():
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether somebody answers."""
        try:
            return self.get("/livez").status_code == 200
        except httpx.HTTPError:
            return False


def _is_worker(pid: str) -> bool:
    try:
        said = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return not re.search(r"resource_tracker|forkserver", said)


@contextmanager
def server(root: Path, *, workers: int, **environment: str) -> Iterator[Server]:
    """Start it and wait until it answers; stopped at the end."""
    port = any_free_port()
    log = root / "serving.log"
    settings = {**os.environ, **MAY_ALL, "DEMANDGRAPH_DATA": str(root), "DEMANDGRAPH_DAGSTER_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "serving", "--port", str(port), "--workers", str(workers)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=settings | environment, stdout=output, stderr=output) as process,
    ):
        try:
            found = Server(process, port, log)
            found.waits_for(workers)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
