"""Processes are killed, and at the end all are stopped: no job is lost, what died is started again, and nothing stays behind."""

import os
import re
import signal
import subprocess

import httpx

from demandgraph.ports import is_free
from tests.demandgraph.conftest import ends
from tests.end_to_end.running import Running, children, place_of, until

EXPORT = {"tables": ["dim_store"]}  # which are there whatever other tests did to the sales


def test_no_job_is_lost_when_all_of_dagster_is_killed(up: Running) -> None:
    """What waits runs once the daemon is back, what runs ends, and a job that is sent meanwhile is refused or taken whole."""
    posted = [up.start("export", EXPORT) for _ in range(2)]  # one runs, one waits
    victims = [pid for pid, words in children(up.process.pid) if re.search(r"api grpc|dagster_webserver|dagster._daemon", words)]
    assert len(victims) == 3

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    refused = up.client.post("/jobs", json={"job_type": "kpis"})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert {until(lambda job=job: ended(up, job)) for job in posted} <= {"completed", "failed"}
    body = {"job_type": "export", "params": EXPORT}
    taken = until(lambda: sent(up, body))  # the code server may be last to be back
    assert up.ended(place_of(taken))["status"] == "completed"


def test_a_killed_api_is_started_again(up: Running) -> None:
    [api] = [pid for pid, words in children(up.process.pid) if "serving" in words]
    workers = [pid for pid, group in processes() if group == api and pid != api]
    assert workers

    os.kill(api, signal.SIGKILL)

    assert all(ends(pid) for pid in workers)
    until(lambda: answers(f"{up.api}/readyz"))
    assert up.process.poll() is None


def test_ctrl_c_leaves_nothing_running(up: Running) -> None:
    groups = [pid for pid, _ in children(up.process.pid)]
    members = [pid for pid, group in processes() if group in groups]
    assert len(groups) == 5

    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(timeout=60) == 0
    assert all(ends(pid) for pid in members)
    assert all(is_free(int(url.rpartition(":")[2])) for url in (up.api, up.dagster))


def ended(up: Running, job: str) -> str | None:
    """How a job ended; None while it has not, or nobody can be asked."""
    answer = up.reader.get(job)
    return answer.json()["status"] if answer.status_code == 200 and answer.json()["completed_at"] else None


def sent(up: Running, body: dict[str, object]) -> httpx.Response | None:
    answer = up.client.post("/jobs", json=body)
    return answer if answer.status_code != 503 else None


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def processes() -> list[tuple[int, int]]:
    """Every process with its group."""
    lines = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(group)) for pid, group in (line.split() for line in lines.splitlines())]
