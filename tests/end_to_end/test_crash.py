"""A publishing process is killed at random instants: readers never notice, and the next one publishes."""

import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from assets_config.contract.integrity import damage
from assets_config.contract.layout import Published
from pipelines.publish.snapshot import current, manifests
from tests.serving.conftest import client_of, publish_sold, publish_tiny, sell

KPIS = "/api/v1/analytics/kpis?start_date=2024-10-01&end_date=2024-10-31"
PROGRAM = """
import os, select, signal, sys
from pathlib import Path
from tests.serving.conftest import publish_made

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        publish_made(Path(sys.argv[1]))
        os._exit(0)
    if line.strip():
        select.select([], [], [], float(line))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}", flush=True)
"""


class Publisher:
    """Publishes in a process of its own, that it kills after some seconds; without them the process comes to its end."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def publish(self, *, kill_after: float | None = None) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{'' if kill_after is None else kill_after}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def test_killing_a_publish_is_never_noticed_by_readers(root: Path) -> None:
    draw = random.Random(9)
    published, publisher = Published(root), Publisher(root)
    served, took, interrupted = {publish_sold(root, pl.lit(1)).id: 1}, 0.1, 0
    with client_of(root) as client:
        one = client.get(KPIS).json()["metrics"]["total_units"]
        assert one > 0
        for units in range(2, 22):
            sell(root, pl.lit(units))
            before = current(published)
            publisher.publish(kill_after=draw.uniform(0, took))

            after = current(published)
            if after == before:
                interrupted += 1
            else:
                served[after] = units
            body = client.get(KPIS).json()
            assert body["metadata"]["snapshot_id"] == after
            assert body["metadata"]["stale"] is False
            assert body["metrics"]["total_units"] == one * served[after]
            assert [damage(published, manifest) for manifest in manifests(published) if manifest.id == after] == [[]]

            if units % 5 == 0:  # the next run publishes, and says how long one takes
                began = time.monotonic()
                assert publisher.publish() == "ended 0"
                took = time.monotonic() - began
                served[current(published)] = units
                assert client.get(KPIS).json()["metrics"]["total_units"] == one * units
    publisher.end()

    assert interrupted > 0, "no kill came before the pointer moved: the test proves nothing"
    last = publish_tiny(root, scale=2)
    assert current(published) == last.id
    leftovers = list(published.root.rglob("*.tmp"))
    assert leftovers == []
