"""Several processes that serve one data root: they agree on what is served, heal, and stop without cutting anyone off."""

import asyncio
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests, rollback
from tests.serving.conftest import publish_sold
from tests.serving.served import KEY, PATIENCE, Server, server
from tests.serving.test_snapshot import DOUBLED, KPIS


def snapshots_said(served: Server, asks: int = 40) -> set[str]:
    """What so many requests say, each over a connection of its own."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: served.get(KPIS), range(asks)))
    assert {answer.status_code for answer in answers} == {200}
    return {answer.json()["metadata"]["snapshot_id"] for answer in answers}


def test_after_a_publish_every_worker_says_the_new_snapshot(root: Path) -> None:
    with server(root, workers=3) as served:
        first = manifests(Published(root))[0].id
        assert snapshots_said(served) == {first}
        for _ in range(3):
            manifest = publish_sold(root, DOUBLED)
            assert snapshots_said(served) == {manifest.id}

        rollback(Published(root), first)

        assert snapshots_said(served) == {first}


def test_workers_end_with_a_server_that_is_killed(root: Path) -> None:
    with server(root, workers=2) as served:
        workers = served.workers()

        served.process.kill()

        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "a worker goes on"
            time.sleep(0.1)


def test_a_publish_while_all_ask_loses_and_mixes_nothing(root: Path) -> None:
    with server(root, workers=2) as served:
        units = {manifests(Published(root))[0].id: served.get(KPIS).json()["metrics"]["total_units"]}
        heard: list[tuple[str, int]] = []
        over = asyncio.Event()

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=served.url, timeout=30) as client:
                while not over.is_set():
                    answer = await client.get(KPIS)
                    assert answer.status_code == 200
                    body = answer.json()
                    heard.append((body["metadata"]["snapshot_id"], body["metrics"]["total_units"]))

        async def publish() -> None:
            for _ in range(3):
                latest = list(units.values())[-1]
                manifest = await asyncio.to_thread(publish_sold, root, DOUBLED)
                units[manifest.id] = 2 * latest
            await asyncio.sleep(0.2)
            over.set()

        async def together() -> None:
            await asyncio.gather(publish(), *(ask() for _ in range(8)))

        asyncio.run(together())

    assert list(units)[-1] in {snapshot for snapshot, _ in heard} <= set(units)
    assert all(units[snapshot] == said for snapshot, said in heard)


def test_a_killed_worker_is_started_again_and_the_others_go_on(root: Path) -> None:
    with server(root, workers=2) as served:
        before = served.workers()
        os.kill(min(before), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while len(served.workers() - {min(before)}) < 2 or not served.is_ready():
            assert time.monotonic() < deadline, served.log.read_text()[-2000:]
            time.sleep(0.05)

        assert max(before) in served.workers()
        assert len(snapshots_said(served)) == 1


def test_a_stop_waits_for_what_is_under_way(root: Path) -> None:
    body = b'[{"date": "2024-06-01"}]'
    head = f"POST /api/v1/ingest/sales-daily HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n"
    with server(root, workers=2) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
            time.sleep(0.3)
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[5:])
            said = b""
            while chunk := connection.recv(65536):
                said += chunk
                if b"\r\n\r\n" in said and said.rstrip().endswith(b"}"):
                    break

        assert served.process.wait(30) == 0

    assert said.startswith(b"HTTP/1.1 503"), "the whole body came in, and met the absent orchestrator"
    assert b'"code":"ORCHESTRATOR_UNAVAILABLE"' in said
