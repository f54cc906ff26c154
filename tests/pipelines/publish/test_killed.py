"""A publish that is killed at any instant leaves a whole snapshot served, and the next one publishes."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets_config.contract.integrity import damage
from pipelines.publish.snapshot import current, manifests
from pipelines.warehouse import Warehouse
from tests.plant import rewrite

PROGRAM = """
import os, select, signal, sys
from pathlib import Path
from assets_config.declared import load_declarations
from pipelines.publish.snapshot import publish
from pipelines.warehouse import Warehouse
from tests.plant import rewrite

def publish_and_die(at):
    seen = 0
    def heard(event, _):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "shutil.copyfile"):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    if at:
        sys.addaudithook(heard)
    publish(Warehouse(Path(sys.argv[1])), measures=declared.published_measures(), kpis=declared.kpis)

declared = load_declarations()
for line in sys.stdin:
    kind, value = line.split()
    child = os.fork()
    if child == 0:
        publish_and_die(int(value) if kind == "step" else 0)
        os._exit(0)
    if kind == "after":
        select.select([], [], [], float(value))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "published", flush=True)
"""


class Publisher:
    """Publishes in a process of its own, that it kills at a step (the nth change of files) or after some seconds."""

    def __init__(self, root: Path) -> None:
        self.root, self.warehouse, self.changes = root, Warehouse(root), 0
        command = [sys.executable, "-c", PROGRAM, str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def publish(self, kind: str, value: float) -> bool:
        """Change each part a little, publish it; says whether the process came to its end."""
        self.changes += 1
        rewrite(self.warehouse, "kpis/kpi_daily", lambda frame: frame.with_columns(frame["units"] + 1))
        for key, column in (("forecasts/forecast", "yhat"), ("backtests/backtest_metric", "n")):
            frame = self.warehouse.read(key)
            self.warehouse.write(key, frame.with_columns(frame[column] + 1))
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind} {value}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said in ("killed", "published")
        return said == "published"

    def check_served(self) -> str:
        """The snapshot that is pointed to is kept and whole; gives its id."""
        published = self.warehouse.published
        served = current(published)
        [manifest] = [manifest for manifest in manifests(published) if manifest.id == served]
        assert damage(published, manifest) == []
        return manifest.id


@pytest.fixture
def publisher(own_root: Path) -> Iterator[Publisher]:
    made = Publisher(own_root)
    yield made
    made.process.communicate()
    assert made.process.returncode == 0


def check_next_publish(publisher: Publisher, before: str) -> None:
    assert publisher.publish("step", 0)
    published = publisher.warehouse.published
    assert publisher.check_served() > before
    assert list(published.root.rglob("*.tmp")) == []
    parts = {part.key for manifest in manifests(published) for part in manifest.parts.values()}
    assert {path.name for path in published.parts.iterdir()} == parts


def test_killed_before_any_change_of_files_the_last_snapshot_stays(publisher: Publisher) -> None:
    served = publisher.check_served()

    for step in range(1, 1600, 11):
        ended = publisher.publish("step", step)
        now = publisher.check_served()
        assert now >= served
        assert not ended or now > served
        served = now
        if ended:
            break
    else:
        pytest.fail("1600 changes of files and publish has not ended: widen the range")

    assert step > 50, "publish changes fewer files than it must: the kills prove nothing"
    check_next_publish(publisher, served)


def test_killed_at_random_instants_the_pointer_names_a_whole_snapshot(publisher: Publisher) -> None:
    draw, served, killed = random.Random(5), publisher.check_served(), 0

    for _ in range(20):
        killed += not publisher.publish("after", draw.uniform(0, 0.08))
        now = publisher.check_served()
        assert now >= served
        served = now

    assert killed > 0, "no kill came in time: the test proves nothing"
    check_next_publish(publisher, served)
