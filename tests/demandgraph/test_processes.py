import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from demandgraph.processes import Child, stop
from tests.demandgraph.conftest import ends, runs

FAMILY = """
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(grandchild.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def child(tmp_path: Path, program: str) -> Child:
    return Child("probe", [sys.executable, "-c", program], environment=dict(os.environ), log=tmp_path / "probe.log")


def first_line(process: Child) -> str:
    while not process.tail():
        time.sleep(0.02)
    return process.tail()


def test_stop_ends_grandchildren_too(tmp_path: Path) -> None:
    parent = child(tmp_path, FAMILY)
    parent.start()
    grandchild = int(first_line(parent))

    stop([parent])

    assert parent.exit_code == -signal.SIGTERM
    assert ends(grandchild)


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    stubborn = child(tmp_path, STUBBORN)
    stubborn.start()
    first_line(stubborn)

    stop([stubborn], patience=0.3)

    assert stubborn.exit_code == -signal.SIGKILL


def test_a_second_start_appends_to_the_log(tmp_path: Path) -> None:
    once = child(tmp_path, "print('again')")

    for _ in range(2):
        once.start()
        assert once.ended(within=60)

    assert once.tail() == "again\nagain"
    assert once.exit_code == 0


def test_a_killed_parent_leaves_nothing_behind(tmp_path: Path) -> None:
    script = f"""
import os, sys, time
from pathlib import Path
from demandgraph.processes import Child, Guard
command = [sys.executable, "-c", {FAMILY!r}]
child = Child("probe", command, environment=dict(os.environ), log=Path({str(tmp_path / "log")!r}))
Guard().add(child.start())
while not child.tail():
    time.sleep(0.02)
print(child.group, child.tail(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(runs(pid) for pid in pids)

        parent.kill()

    assert len(pids) == 2
    assert all(ends(pid) for pid in pids)
