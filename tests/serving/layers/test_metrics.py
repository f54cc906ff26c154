"""What is counted: every request once, whoever answered it, and the state of what is served."""

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests
from serving.layers import metrics
from serving.layers.metrics import BUCKETS, Meter, Times
from serving.library import Library
from tests.serving.conftest import client_of, publish_sold, tear
from tests.serving.served import PATIENCE, Server, server
from tests.serving.test_snapshot import DOUBLED, KPIS

ROUTE = "/api/v1/analytics/kpis"
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def read(text: str) -> dict[tuple[str, str], float]:
    """Every sample by name and labels."""
    lines = (LINE.match(line) for line in text.splitlines() if line and not line.startswith("#"))
    return {(line[1], line[2] or ""): float(line[3]) for line in lines if line}


def total(samples: dict[tuple[str, str], float], name: str, *labels: str) -> float:
    return sum(value for (each, said), value in samples.items() if each == name and all(label in said for label in labels))


def test_requests_are_counted_by_route_method_and_status(root: Path) -> None:
    with client_of(root) as client:
        before = read(client.get("/metrics").text)
        for path in (KPIS, KPIS, f"{KPIS}&nothing=1", "/api/v1/none/such", "/jobs/1"):
            client.get(path, follow_redirects=False)
        client.head(KPIS)
        client.request("BREW", "/livez")
        after = read(client.get("/metrics").text)

    def grown(name: str, *labels: str) -> float:
        return total(after, name, *labels) - total(before, name, *labels)

    assert grown("demandgraph_requests_total", f'route="{ROUTE}"', 'method="GET"', 'status="200"') == 2
    assert grown("demandgraph_requests_total", f'route="{ROUTE}"', 'method="HEAD"', 'status="200"') == 1
    assert grown("demandgraph_requests_total", f'route="{ROUTE}"', 'status="422"') == 1
    assert grown("demandgraph_requests_total", 'route="(none)"', 'status="404"') == 1
    assert grown("demandgraph_requests_total", 'route="/jobs/{job_id}"', 'status="308"') == 1
    assert grown("demandgraph_requests_total", 'method="OTHER"') == 1
    assert grown("demandgraph_request_seconds_count", f'route="{ROUTE}"') == 4
    assert grown("demandgraph_cache_answers_total", 'result="hit"') == 2
    assert grown("demandgraph_cache_answers_total", 'result="miss"') == 1


@given(st.lists(st.sampled_from([*BUCKETS, 0.0, 0.0002, 3.0, 99.0]), min_size=1))
def test_times_that_are_told_at_once_are_counted_as_one_by_one(took: list[float]) -> None:
    one_by_one, at_once = CollectorRegistry(), CollectorRegistry()
    first = Histogram("s", "", ["route"], buckets=BUCKETS, registry=one_by_one)
    for each in took:
        first.labels("/").observe(each)
    Times("s", "", ["route"], buckets=BUCKETS, registry=at_once).labels("/").observe_all(took)

    assert read(generate_latest(at_once).decode()) == pytest.approx(read(generate_latest(one_by_one).decode()))


def test_a_look_that_the_system_refuses_is_not_the_last(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([OSError(24, "Too many open files"), None, None])

    class Refused(Meter):
        seen = 0

        def look(self) -> None:
            self.seen += 1
            if error := next(looks, None):
                raise error

    async def looked() -> int:
        meter = Refused(Library(Published(root)))
        async with meter.looking():
            await asyncio.sleep(0.1)
        return meter.seen

    monkeypatch.setattr(metrics, "EVERY", 0.01)

    assert asyncio.run(looked()) > 2


def test_no_label_is_taken_from_what_a_client_sends(client: TestClient) -> None:
    for n in range(20):
        client.get(f"/api/v1/dimensions/stores/odd{n}")
        client.get(f"/odd{n}")
        client.request(f"ODD{n}", "/livez")

    assert "odd" not in client.get("/metrics").text.lower()


def test_the_state_of_what_is_served_is_told(root: Path) -> None:
    with client_of(root) as client:
        client.get(KPIS)
        manifest = publish_sold(root, DOUBLED)
        client.get(KPIS)
        samples = read(client.get("/metrics").text)

        tear(root)
        client.get(KPIS)
        stale = read(client.get("/metrics").text)

    assert samples["demandgraph_snapshot_info", f'snapshot_id="{manifest.id}"'] == 1
    assert samples["demandgraph_snapshot_age_seconds", ""] > 0
    assert samples["demandgraph_snapshot_stale", ""] == 0
    assert stale["demandgraph_snapshot_stale", ""] == 1
    assert samples["demandgraph_orchestrator_up", ""] == 0
    assert samples["demandgraph_worker_snapshot_swaps", ""] == 1
    assert samples["demandgraph_worker_leases", ""] == 0
    assert samples["demandgraph_worker_cache_answers", ""] == 1
    assert samples["demandgraph_worker_cache_bytes", ""] > 0
    assert samples["demandgraph_worker_memory_bytes", ""] > 10 << 20


def test_before_anything_is_published_the_counters_are_told(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert ("demandgraph_snapshot_age_seconds", "") not in read(answer.text)


def counted(served: Server) -> float:
    return total(read(served.get("/metrics").text), "demandgraph_requests_total", f'route="{ROUTE}"', 'status="200"')


def test_workers_are_summed_and_told_apart_and_a_dead_one_counts_on(root: Path) -> None:
    with server(root, workers=3) as served:
        for _ in range(60):
            assert served.get(KPIS).status_code == 200
        deadline = time.monotonic() + PATIENCE
        while {counted(served) for _ in range(12)} != {60}:  # each process adds up once a second
            assert time.monotonic() < deadline
            time.sleep(0.1)
        samples = read(served.get("/metrics").text)
        pids = {int(re.findall(r'pid="(\d+)"', labels)[0]) for name, labels in samples if name == "demandgraph_worker_memory_bytes"}
        assert pids == served.workers()

        os.kill(min(pids), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while len(served.workers() - {min(pids)}) < 3 or not served.is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)

        assert counted(served) == 60
        assert f'pid="{min(pids)}"' not in served.get("/metrics").text


def test_counts_of_a_server_that_was_killed_are_swept_up_by_the_next_and_no_others(root: Path, tmp_path: Path) -> None:
    def counts() -> set[Path]:
        found = set(tmp_path.glob("demandgraph-counts-*"))
        for folder in found:
            os.utime(folder, (0, 0))  # as if they had been made long ago
        return found

    with server(root, workers=1, TMPDIR=str(tmp_path)):
        [running] = counts()
        with server(root, workers=1, TMPDIR=str(tmp_path)) as other:
            [killed] = counts() - {running}
            pids = other.workers()
            other.process.kill()
            other.process.wait()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

        with server(root, workers=1, TMPDIR=str(tmp_path)):
            left = counts()

    assert running in left
    assert killed not in left


def lines_of(served: Server, *names: str) -> dict[str, dict[str, Any]]:
    """The lines of the log of these requests."""
    lines = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return {line["request_id"]: line for line in lines if line.get("request_id") in names}


@pytest.mark.parametrize("workers", [2])
def test_each_request_is_a_line_of_json_that_says_what_was_read(workers: int, root: Path) -> None:
    with server(root, workers=workers) as served:
        served.get(KPIS, **{"X-Request-ID": "first"})
        served.get(KPIS, **{"X-Request-ID": "again"})
        served.get("/nothing", **{"X-Request-ID": "none"})
        deadline = time.monotonic() + PATIENCE
        while len(lines := lines_of(served, "first", "again", "none")) < 3:  # a line is written after its answer
            assert time.monotonic() < deadline
            time.sleep(0.05)

    first, again, none = (lines[name] for name in ("first", "again", "none"))
    manifest = manifests(Published(root))[0]
    for line in (first, again):
        assert (line["method"], line["route"], line["status"]) == ("GET", ROUTE, 200)
        assert (line["snapshot_id"], line["dataset_id"]) == (manifest.id, manifest.parts["kpis"].dataset_id)
        assert line["ms"] > 0
    assert first["cache"] == "miss"
    assert (none["route"], none["status"], none["snapshot_id"]) == (None, 404, None)
