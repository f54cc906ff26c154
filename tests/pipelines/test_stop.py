"""A command that is stopped ends at once, says so in one line, and publishes nothing from then on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from demandgraph.home import Home, environment

PROGRAM = """
import sys, time
from pathlib import Path
from pipelines import stop

def work():
    print("ready", flush=True)
    time.sleep(0.5)
    stop.publishes(Path(sys.argv[1]).touch)

stop.on_signal()
stop.recorded_by(lambda: time.sleep(float(sys.argv[2])))
stop.beside(work)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_materialisation_that_is_stopped_is_recorded_as_cancelled_and_publishes_nothing(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    Home(tmp_path).make()
    command = [sys.executable, "-m", "pipelines", "materialize", "--preset", "demo_minimal"]
    with subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (tmp_path / "warehouse/core/dim_store/data.parquet").exists():
            assert process.poll() is None
            time.sleep(0.02)

        os.killpg(process.pid, number)  # as a terminal does

        _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert said.endswith("\nstopped\n"), said
    assert "Traceback" not in said
    assert not (tmp_path / "published/current.json").exists()
    with DagsterInstance.from_config(str(Home(tmp_path).folder)) as instance:
        [run] = instance.get_runs()
        assert run.status == DagsterRunStatus.CANCELED


@pytest.mark.parametrize("recording", [2, 60])
def test_what_was_about_to_be_published_is_not_and_recording_takes_seconds_at_most(tmp_path: Path, recording: float) -> None:
    pointer = tmp_path / "pointer"
    command = [sys.executable, "-c", PROGRAM, pointer, str(recording)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        process.send_signal(signal.SIGINT)

        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "stopped\n")
    assert not pointer.exists()
