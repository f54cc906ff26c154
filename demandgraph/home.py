"""The Dagster home of a data root, and the environment in which every process of that root runs."""

import os
import shlex
from pathlib import Path

from assets_config.contract.durable import write_bytes
from assets_config.settings import layers

INSTANCE = """\
# Made by `demandgraph` and never overwritten: change what you like.
telemetry:
  enabled: false
python_logs:
  managed_python_loggers: [pipelines]  # what models and backtests say while they run is shown beside the steps
nux:
  enabled: false  # no sign-up form over the first page
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1  # Dagster's default is 5: a job would wait that long before it starts
    max_user_code_failure_retries: 60  # a job that waits outlives a code server that is away, for five minutes
    user_code_failure_retry_delay: 5
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  cancel_timeout_seconds: 60
  max_runtime_seconds: 14400     # a run that hangs does not hold the queue for ever
  poll_interval_seconds: 30
  free_slots_after_run_end_seconds: 60
concurrency:
  pools: {granularity: run, default_limit: 1}  # of the runs that write tables of the graph, one at a time
  runs:
    max_concurrent_runs: RUNS  # the others run beside it: as many as there were processors when this was made
retention:
  schedule: {purge_after_days: 30}
  sensor:
    purge_after_days: {skipped: 2, success: 30, failure: 30}
  auto_materialize:
    purge_after_days: {skipped: 2, success: 30, failure: 30}
"""

WORKSPACE = """\
# Made by `demandgraph up` at each start: the code server that it runs.
load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: demandgraph
"""


class Home:
    """`<data>/dagster`: run storage, event log and schedules, seen alike by the UI, the command line and the API."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "dagster"
        self.instance = self.folder / "dagster.yaml"
        self.workspace = self.folder / "workspace.yaml"
        self.running = self.folder / "up.json"  # held locked by the `up` that runs

    def make(self) -> None:
        """Make the folder, and dagster.yaml where there is none, or an empty one: Dagster would go by its own defaults."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.instance.exists() or not self.instance.stat().st_size:
            runs = max(2, os.cpu_count() or 1)
            write_bytes(self.instance, INSTANCE.replace("RUNS", str(runs)).encode())  # whole or not at all: the disk may be full

    def write_workspace(self, *, code_server_port: int) -> None:
        self.workspace.write_text(WORKSPACE.format(port=code_server_port), encoding="utf-8")


def data_root(given: str | None) -> Path:
    """The root under which all state lies: --data, else DEMANDGRAPH_DATA, else `data` here."""
    return Path(given or setting("DEMANDGRAPH_DATA") or "data").absolute()


def command(data: Path, words: str) -> str:
    """A command of ours as it is typed for this data root."""
    return f"demandgraph {words}" + ("" if data == data_root(None) else f" --data {shlex.quote(str(data))}")


def setting(name: str) -> str | None:
    """A setting of ours as the environment or `.env` has it; None where the default holds."""
    found = layers(os.environ).find(name)
    return found[0] if found else None


def environment(data: Path) -> dict[str, str]:
    """The environment of a child process: this one, with the data root and its Dagster home."""
    return {
        **os.environ,
        "DEMANDGRAPH_DATA": str(data),
        "DAGSTER_HOME": str(Home(data).folder),
        "PYTHONUNBUFFERED": "1",
    }
