"""Dagster's code server with two changes: a run is a fork of a process that has loaded the graph, and tagged with its process.

    python -P -m pipelines.server api grpc ...    takes what `python -m dagster api grpc` takes

As Dagster starts them, each run is a new interpreter that loads all of Dagster and the graph before its first step (ADR 0026).
"""

import multiprocessing
from typing import Any


def main() -> None:
    from multiprocessing.forkserver import ensure_running

    from dagster._cli import main as dagster
    from dagster._grpc import server

    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["pipelines.preload"])

    class CodeServer(server.DagsterApiServer):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._mp_ctx = forks  # type: ignore[assignment]  # what runs are started by
            ensure_running()  # once the graph is known to load

    server.DagsterApiServer = CodeServer  # type: ignore[misc]
    server.start_run_in_subprocess = start_run  # type: ignore[attr-defined]
    dagster()


def start_run(arguments: str, *others: Any) -> None:
    """Execute a run in this process, which is started for it, once the run is tagged with it (pipelines.automation.dead_runs)."""
    from dagster import DagsterInstance, deserialize_value
    from dagster._grpc.impl import start_run_in_subprocess
    from dagster._grpc.types import ExecuteExternalJobArgs

    from pipelines.automation.dead_runs import process_tag

    run = deserialize_value(arguments, ExecuteExternalJobArgs)
    if run.instance_ref is not None:
        with DagsterInstance.from_ref(run.instance_ref) as instance:
            instance.add_run_tags(run.run_id, process_tag(run.run_id))
    start_run_in_subprocess(arguments, *others)


if __name__ == "__main__":  # each run imports the module that its parent was started as
    main()
