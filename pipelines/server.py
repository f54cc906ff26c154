"""Dagster's code server with one change: a run begins as a fork of a process that has loaded the graph.

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
    dagster()


if __name__ == "__main__":  # each run imports the module that its parent was started as
    main()
