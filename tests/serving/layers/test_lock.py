"""A plain read holds up nobody: it keeps the interpreter's lock to its end, and leaves nothing to the garbage collector."""

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving import watch
from serving.app import create_asgi
from serving.layers.edge import Edge
from serving.layers.metrics import add_up
from tests.serving.conftest import settings_of

READS = [
    "kpis?start_date=2024-10-01&end_date=2024-12-{:02}",
    "kpis?start_date=2024-10-01&end_date=2024-12-{:02}&product_id=2",
    "kpis?start_date=2024-10-01&end_date=2024-12-{:02}&compare=previous",
    "timeseries?start_date=2024-10-01&end_date=2024-12-{:02}&granularity=month",
    "timeseries?start_date=2024-10-01&end_date=2024-12-{:02}&granularity=week&category=Bakery",
    "drilldowns?start_date=2024-10-01&end_date=2024-12-{:02}&dimension=store",
    "drilldowns?start_date=2024-10-01&end_date=2024-12-{:02}&dimension=category&store_id=S001",
    "drilldowns?start_date=2024-10-01&end_date=2024-12-{:02}&dimension=product&order_by=avg_unit_price",
]


@contextmanager
def waiting_thread() -> Iterator[Callable[[], int]]:
    """A thread that gives the lock away and waits for it again, all the time; gives how often it got it.

    Nobody has to hand the lock over meanwhile, so that whoever does does so by himself.
    """
    turns, is_over, interval = 0, False, sys.getswitchinterval()

    def wait() -> None:
        nonlocal turns
        while not is_over:
            time.sleep(0)
            turns += 1

    thread = threading.Thread(target=wait)
    thread.start()
    sys.setswitchinterval(1000)
    time.sleep(0.05)  # from here on it waits as long as that
    try:
        yield lambda: turns
    finally:
        sys.setswitchinterval(interval)
        is_over = True
        thread.join()


@pytest.fixture
def server(published_once: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """One that does not look at the pointer once a second beside the turn, for which it lets go of the lock."""
    monkeypatch.setattr(watch, "EVERY", 3600.0)
    found = create_asgi(settings_of(published_once))
    cache: Any = found.app.app.app  # type: ignore[attr-defined]
    asyncio.run(cache._library.lease())
    yield found
    cache._library.close()


def asked(server: Edge, path: str) -> int:
    """The status of the answer, without an event loop, which would let go of the lock between two turns."""
    path, _, query = path.partition("?")
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 80), "state": {},
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    answering: Any = server(scope, lambda: None, send)  # type: ignore[arg-type, return-value]
    answering.send(None)  # to the end of this turn of the loop: it is sent in the next (docs/adr/0028)
    assert not sent
    with pytest.raises(StopIteration):
        answering.send(None)
    return int(sent[0]["status"])


@pytest.mark.parametrize("read", READS)
def test_a_plain_read_never_lets_go_of_the_lock(read: str, server: Edge) -> None:
    asked(server, f"/api/v1/analytics/{read.format(1)}")
    with waiting_thread() as turns:
        before = turns()
        said = [asked(server, f"/api/v1/analytics/{read.format(day)}") for _ in range(5) for day in range(2, 31)]
        after = turns()
    assert set(said) == {200}
    assert after == before


def test_what_is_kept_is_nothing_for_the_garbage_collector_to_look_at(server: Edge) -> None:
    for day in range(1, 10):
        asked(server, f"/api/v1/analytics/{READS[0].format(day)}")
    add_up()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for day in range(10, 31):
            asked(server, f"/api/v1/analytics/{READS[0].format(day)}")
        add_up()
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 10


def test_a_thread_that_waits_would_have_got_it(server: Edge) -> None:
    with waiting_thread() as turns:
        before = turns()
        for _ in range(20_000):
            os.stat("/")
            if turns() > before:
                return
    raise AssertionError("the other thread never ran: this machine cannot tell")
