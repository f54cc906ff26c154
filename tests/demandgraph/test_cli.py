import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from demandgraph import cli
from demandgraph.cli import main, parser
from demandgraph.home import Home
from tests.demandgraph.conftest import Publish


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What would be run as a child, instead of running it."""
    seen: list[tuple[str, ...]] = []

    def run(data: Path, module: str, *arguments: str) -> int:
        seen.append((data.name, module, *arguments))
        return 3

    monkeypatch.setattr(cli, "_run", run)
    return seen


@pytest.mark.parametrize(
    ("given", "child"),
    [
        ("materialize", "pipelines materialize"),
        ("materialize --preset demo_minimal", "pipelines materialize --preset demo_minimal"),
        (
            "materialize --source m5 --path x --select core kpis",
            "pipelines materialize --source m5 --path x --select core kpis",
        ),
        ("serve", "serving"),
        ("serve --port 18200 --workers 2", "serving --port 18200 --workers 2"),
        ("rollback 20260101T000000Z-1a2b3c4d", "pipelines rollback 20260101T000000Z-1a2b3c4d"),
    ],
)
def test_options_and_exit_code_pass_through(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, child: str
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["--data", "root", *given.split()])

    assert code == 3
    assert commands == [("root", *child.split())]


def test_data_may_stand_after_the_command(commands: list[tuple[str, ...]]) -> None:
    main(["serve", "--data", "after"])

    assert commands == [("after", "serving")]


def test_the_port_may_be_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_PORT", "18200")

    assert parser().parse_args(["up"]).port == 18200
    assert parser().parse_args(["up", "--port", "18201"]).port == 18201


@pytest.mark.parametrize(
    "wrong",
    [
        ["serve", "--port", "0"],
        ["serve", "--port", "x"],
        ["serve", "--workers", "0"],
        ["up", "--workers", "65"],
        ["up", "--port", "18461", "--dagster-port", "18461"],
        ["materialize", "--preset", "a", "--source", "b"],
        ["fly"],
        [],
    ],
)
def test_a_wrong_command_line_is_refused(wrong: Sequence[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(wrong)

    assert refused.value.code == 2


def test_snapshots_are_printed_as_json(data: Path, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    publish("20260102T000000Z-00000000")

    code = main(["snapshots", "--json", "--data", str(data)])

    assert code == 0
    assert json.loads(capsys.readouterr().out)[0]["current"] is True


@pytest.mark.parametrize("command", ["serve", "rollback 20260101T000000Z-1a2b3c4d"])
def test_what_runs_no_graph_makes_nothing_in_the_data_root(monkeypatch: pytest.MonkeyPatch, data: Path, command: str) -> None:
    started: list[str] = []
    monkeypatch.setattr(os, "execve", lambda program, *_: started.append(program))

    main([*command.split(), "--data", str(data)])

    assert started == [sys.executable]

    assert not data.exists()


@pytest.mark.parametrize("command", ["up", "materialize", "keys new --role admin", "keys revoke x", "rollback x"])
def test_a_data_root_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    started = [sys.executable, "-P", "-m", "demandgraph", *command.split(), "--data", str(tmp_path / "file")]

    done = subprocess.run(started, capture_output=True, text=True, timeout=100)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "file") in done.stderr


def test_a_disk_without_room_for_the_records_of_runs_is_told_in_a_sentence(data: Path) -> None:
    Home(data).make()
    started = [sys.executable, "-P", "-m", "demandgraph", "materialize", "--data", str(data)]

    done = subprocess.run(["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *started], capture_output=True, text=True, timeout=100)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: a database of Dagster: " in done.stderr


def test_the_command_is_installed(data: Path) -> None:
    command = Path(sys.executable).with_name("demandgraph")

    said = subprocess.run([command, "--data", data, "snapshots"], capture_output=True, text=True, timeout=60)

    assert said.returncode == 0
    assert "Nothing is published" in said.stdout


def test_a_folder_of_the_same_name_is_not_run(data: Path, tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "__main__.py").write_text("raise SystemExit(77)")
    command = [sys.executable, "-P", "-m", "demandgraph", "--data", data, "serve", "--help"]

    code = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode

    assert code != 77


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_becomes_what_it_starts(data: Path, tmp_path: Path, number: int) -> None:
    script = f"""
import sys
from pathlib import Path
from demandgraph import cli
cli.PYTHON = (sys.executable,)
cli._run(Path({str(data)!r}), "probe")
"""
    (tmp_path / "probe.py").write_text(
        "import os, signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(30)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{process.pid}\n"

        process.send_signal(number)

        assert process.wait(timeout=60) == 5
