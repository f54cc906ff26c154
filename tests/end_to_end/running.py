"""A whole system that `demandgraph up` started, as a program beside it sees it: addresses, a key, jobs and their ends."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

from demandgraph.ports import any_free_port

T = TypeVar("T")
COMMAND = Path(sys.executable).with_name("demandgraph")
ENDED = ("completed", "failed", "cancelled")
PATIENCE = 600.0  # for a job behind twenty others, while every core is busy


class Running(NamedTuple):
    """Its clients ask below /api/v1; other tests may keep every core busy, so that they wait long."""

    process: subprocess.Popen[str]
    data: Path
    api: str
    dagster: str
    said: str
    client: httpx.Client  # with the key that was printed
    reader: httpx.Client  # without any

    def read(self, path: str, **params: str | None) -> Any:
        """The answer of a GET that succeeds, asked without a key."""
        answer = self.reader.get(
            httpx.URL(path).copy_merge_params({name: each for name, each in params.items() if each is not None})
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> str:
        """Send what is accepted as a job; gives the path of the job."""
        return place_of(self.client.post(path, json=body, headers={"Idempotency-Key": key} if key else {}))

    def start(self, job_type: str, params: dict[str, Any] | None = None, *, key: str | None = None) -> str:
        """POST /jobs; gives the path of the job."""
        return self.post("/jobs", {"job_type": job_type, "params": params or {}}, key=key)

    def ended(self, job: str) -> dict[str, Any]:
        """The job, once it has ended."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.read(job)
            return found if found["status"] in ENDED else None

        return until(look)

    def result(self, job: str) -> dict[str, Any]:
        """What a job answers with that has to end well."""
        found = self.ended(job)
        assert found["status"] == "completed", found
        result: dict[str, Any] = found["result"]
        return result

    def events(self, job: str, *, limit: int) -> list[dict[str, Any]]:
        """All events of a job, read page by page."""
        found: list[dict[str, Any]] = []
        after, has_more = 0, True
        while has_more:
            page = self.read(f"{job}/events", after=str(after), limit=str(limit))
            found += page["items"]
            after, has_more = page["next_after"], page["has_more"]
        return found

    def begun(self, job: str) -> None:
        """Wait until a job has begun its first step."""
        until(lambda: any(each["type"] == "step_start" for each in self.events(job, limit=100)))

    def served(self) -> str:
        """The id of the snapshot that is served."""
        return str(self.read("/dimensions/stores")["metadata"]["snapshot_id"])


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Running]:
    """`demandgraph up` over a data root, until it has said all it says; it is stopped at the end."""
    ports = any_free_port(), any_free_port()
    command = [COMMAND, "--data", data, "up", "--port", str(ports[0]), "--dagster-port", str(ports[1])]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            assert process.poll() is None, said
            keys = set(re.findall(r"dg_[\w-]{43}", said))
            assert len(keys) == 1, said
            api, dagster = (f"http://127.0.0.1:{port}" for port in ports)
            below = f"{api}/api/v1"
            with (
                httpx.Client(base_url=below, headers={"X-API-Key": keys.pop()}, timeout=30) as client,
                httpx.Client(base_url=below, timeout=30) as reader,
            ):
                yield Running(process, data, api, dagster, said, client, reader)
            process.terminate()
            process.wait(60)
        finally:
            process.kill()  # whatever came of the tests; its guard ends the others


def children(parent: int) -> list[tuple[int, str]]:
    """The children of a process with their command lines."""
    lines = subprocess.run(["ps", "-wweo", "ppid=,pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in lines.splitlines()]
    return [(int(pid), words) for ppid, pid, words in rows if int(ppid) == parent]


def place_of(answer: httpx.Response) -> str:
    """The path of the job that a write became."""
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"].removeprefix("/api/v1")


def until(look: Callable[[], T | None]) -> T:
    """What is found at last."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s"
        time.sleep(0.25)
    return found
