"""One system for all files of this folder, as a new user starts it, and where it posts notifications to."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.end_to_end.running import PATIENCE, Running, running

FILES = ("first_look", "jobs_end", "jobs_are_told", "jobs_beside", "data_arrives", "demo", "job_types", "kills")
"""In this order: what is read first is as it was made, data are taken out and replaced late, and processes killed last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files of this folder run in the order of FILES, before all others, since they take longest."""

    def place(item: pytest.Item) -> int:
        ours = item.path.parent == Path(__file__).parent
        return FILES.index(item.path.stem.removeprefix("test_")) if ours else len(FILES)

    items.sort(key=place)
    for item in items:
        if place(item) < len(FILES):
            item.add_marker(pytest.mark.timeout(PATIENCE + 60))  # a job waits for those before it


class Outlet(ThreadingHTTPServer):
    """What a webhook posts to: it is gone until it is opened."""

    is_open = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.told: list[str] = []


class Receiver(BaseHTTPRequestHandler):
    """Keeps the Idempotency-Key of each post."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Outlet)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(self.headers["Idempotency-Key"])
        self.send_response(204 if self.server.is_open else 410)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture(scope="session")
def outlet() -> Iterator[Outlet]:
    with Outlet() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, outlet: Outlet) -> Iterator[Running]:
    """The system on a fresh data root: `up` has made the demo before anybody asks."""
    webhook = f"http://127.0.0.1:{outlet.server_address[1]}/told"
    with running(tmp_path_factory.mktemp("up") / "data", DEMANDGRAPH_WEBHOOK_URL=webhook) as system:
        yield system
