"""A publishing process is killed at random instants: readers never notice, and the next one publishes."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from assets_config.contract.integrity import damage
from assets_config.contract.layout import Published
from pipelines.publish.snapshot import current, manifests
from tests.serving.conftest import client_of, publish_tiny

KPIS = "/api/v1/analytics/kpis?start_date=2024-10-01&end_date=2024-10-31"
PROGRAM = """
import sys
from pathlib import Path
from tests.serving.conftest import make_tiny, publish_made

root = Path(sys.argv[1])
for scale in sys.stdin:
    make_tiny(root, scale=int(scale))
    print("publishing", flush=True)
    publish_made(root)
    print("published", flush=True)
"""


class Publisher:
    """A process that publishes the tiny source once for each scale it is sent."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, scale: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{scale}\n")
        self.process.stdin.flush()
        assert self.line() == "publishing"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_killing_a_publish_is_never_noticed_by_readers(tmp_path: Path) -> None:
    draw = random.Random(9)
    publish_tiny(tmp_path)
    published = Published(tmp_path)
    served, took, interrupted = {current(published): 1}, 0.1, 0
    with client_of(tmp_path) as client:
        one = client.get(KPIS).json()["metrics"]["total_units"]
        for scale in range(2, 22):
            publisher = Publisher(tmp_path)
            before = current(published)
            publisher.begin(scale)
            time.sleep(draw.uniform(0, took))
            publisher.kill()

            after = current(published)
            if after == before:
                interrupted += 1
            else:
                served[after] = scale
            body = client.get(KPIS).json()
            assert body["metadata"]["snapshot_id"] == after
            assert body["metadata"]["stale"] is False
            assert body["metrics"]["total_units"] == one * served[after]
            assert [damage(published, manifest) for manifest in manifests(published) if manifest.id == after] == [[]]

            if scale % 5 == 0:  # the next run publishes, and says how long one takes
                publisher = Publisher(tmp_path)
                publisher.begin(scale)
                began = time.monotonic()
                assert publisher.line() == "published"
                took = time.monotonic() - began
                publisher.kill()
                served[current(published)] = scale
                assert client.get(KPIS).json()["metrics"]["total_units"] == one * scale

    assert interrupted > 0, "no kill came before the pointer moved: the test proves nothing"
    last = publish_tiny(tmp_path, scale=2)
    assert current(published) == last.id
    leftovers = list(published.root.rglob("*.tmp"))
    assert leftovers == []
