"""A run whose process was killed does not hold the queue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus

from pipelines.automation.dead_runs import fail_dead_runs


def test_a_killed_run_is_marked_as_failed_and_a_living_one_is_not(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(tmp_path), "DAGSTER_HOME": str(home)}
    command = [sys.executable, "-m", "pipelines", "materialize", "--preset", "demo_minimal"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "warehouse/core/dim_store/data.parquet").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        with DagsterInstance.from_config(str(home)) as instance:
            [run] = instance.get_runs()

            assert fail_dead_runs(instance) == []

            process.kill()
            process.wait()

            assert fail_dead_runs(instance) == [run.run_id]
            [failed] = instance.get_runs()
            assert failed.status == DagsterRunStatus.FAILURE
            assert failed.tags["demandgraph/origin"] == "cli"
