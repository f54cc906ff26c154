"""How `up` starts, watches and stops. Its servers are stand-ins; those of tests/end_to_end/up/ run the real ones."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from demandgraph.home import Home
from demandgraph.ports import HOST, any_free_port
from demandgraph.running import Running, claim
from demandgraph.up import Up
from demandgraph.welcome import key_lines
from tests.demandgraph.conftest import Publish, ends

STAND_IN = """
import sys
from pathlib import Path
from rich.console import Console
from demandgraph import health, processes, up
from demandgraph.ports import any_free_port

for question in ("api_answers", "code_server_answers", "dagster_answers", "daemon_answers"):
    setattr(health, question, lambda *_: True)
up.PYTHON = (sys.executable, {stand_in!r})
up.RESTARTS = 1
console = Console(soft_wrap=True)
root = Path({data!r})
sys.exit(up.Up(root, console, port=any_free_port(), dagster_port=any_free_port(), workers=None).run())
"""


@contextmanager
def start(tmp_path: Path, data: Path, *, api: str = "time.sleep(200)") -> Iterator[subprocess.Popen[str]]:
    """An `up` whose servers only sleep; `api` is what its API does instead."""
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(
        "import sys, time, os\n"
        f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        f"if sys.argv[2] == 'pipelines': print('ran', *sys.argv[3:], flush=True)\n"
        f"if sys.argv[2] == 'serving': {api}\n"
        "time.sleep(200)\n"
    )
    script = STAND_IN.format(stand_in=str(stand_in), data=str(data))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"`up` never said {words!r}:\n{said}")


def pids(tmp_path: Path, number: int) -> list[int]:
    """The processes that were started so far, once there are so many."""
    file = tmp_path / "pids"
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_text().count("\n") < number:
        assert time.monotonic() < deadline, f"never started {number} processes"
        time.sleep(0.02)
    return [int(line) for line in file.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_process(tmp_path: Path, data: Path, publish: Publish, number: int) -> None:
    publish("20260102T000000Z-00000000")
    with start(tmp_path, data) as process:
        said = read_until(process, "Ctrl-C")
        started = pids(tmp_path, 4)

        process.send_signal(number)

        assert process.wait(timeout=60) == 0
    assert said.count("curl ") == 3
    assert "start_date=2024-01-02&end_date=2024-12-31" in said
    assert all(ends(pid) for pid in started)


def test_the_key_that_is_told_of_is_of_this_data_root(data: Path) -> None:
    assert f"`demandgraph keys new --role operator --data {data}`" in "".join(key_lines(data, "dg_x"))
    assert f"$(demandgraph keys new --role admin --data {data})" in "".join(key_lines(data, None))


def test_a_kill_leaves_no_process(tmp_path: Path, data: Path, publish: Publish) -> None:
    publish("20260102T000000Z-00000000")
    with start(tmp_path, data) as process:
        read_until(process, "Ctrl-C")
        started = pids(tmp_path, 4)

        process.kill()

        process.wait(timeout=60)
    assert all(ends(pid) for pid in started)


def test_a_server_that_dies_is_started_again(tmp_path: Path, data: Path, publish: Publish) -> None:
    publish("20260102T000000Z-00000000")
    with start(tmp_path, data) as process:
        read_until(process, "Ctrl-C")
        os.kill(pids(tmp_path, 4)[0], signal.SIGKILL)

        read_until(process, "ended with exit code -9")
        started = pids(tmp_path, 5)

        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert all(ends(pid) for pid in started)


def test_a_server_that_keeps_dying_ends_all(tmp_path: Path, data: Path, publish: Publish) -> None:
    publish("20260102T000000Z-00000000")

    with start(tmp_path, data, api="sys.exit('no such [thing]')") as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "no such [thing]" in said
    assert "api" in said
    assert all(ends(pid) for pid in pids(tmp_path, 1))


def test_a_failed_first_materialisation_ends_up(tmp_path: Path, data: Path) -> None:
    with start(tmp_path, data) as process:
        read_until(process, "else the preset demo_minimal")
        for pid in pids(tmp_path, 1):
            os.kill(pid, signal.SIGKILL)

        said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The first materialisation failed" in said
    assert all(ends(pid) for pid in pids(tmp_path, 1))


def test_the_first_materialisation_leaves_the_source_to_the_data_root(tmp_path: Path, data: Path) -> None:
    with start(tmp_path, data) as process:
        said = read_until(process, "ran ")

    assert said.endswith("ran materialize\n")


def test_a_lost_pointer_is_set_to_the_newest_snapshot(tmp_path: Path, data: Path, publish: Publish) -> None:
    publish("20260101T000000Z-00000000")
    publish("20260102T000000Z-00000000")
    (data / "published/current.json").unlink()

    with start(tmp_path, data) as process:
        said = read_until(process, "ran ")

    assert said.endswith("ran rollback 20260102T000000Z-00000000\n")


def test_a_taken_port_is_named_with_one_that_works(data: Path) -> None:
    output = io.StringIO()
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]

        code = Up(data, Console(file=output), port=taken, dagster_port=any_free_port(), workers=None).run()

    assert code == 1
    assert f"{HOST}:{taken} is taken by another program; --port " in output.getvalue().replace("\n", " ")


def test_a_second_up_on_one_root_is_refused(data: Path) -> None:
    output = io.StringIO()
    Home(data).make()

    with claim(Home(data), Running(port=1, dagster_port=2, code_server_port=3)):
        code = Up(data, Console(file=output), port=any_free_port(), dagster_port=any_free_port(), workers=1).run()

    assert code == 1
    assert "Another `demandgraph up` runs" in output.getvalue()


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """`up` takes SIGINT and SIGTERM for itself; pytest gets them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
