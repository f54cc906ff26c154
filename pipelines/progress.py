"""Runs assets in this process with a progress bar, recorded in the same Dagster instance that the UI shows."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from dagster import AssetKey, AssetSelection, DagsterEventType, DagsterInstance, EventLogEntry, ExecuteInProcessResult, RunsFilter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from assets_config.contract.durable import locked
from pipelines import stop
from pipelines.automation.dead_runs import UNDER_WAY, fail_dead_runs, process_of, process_tag
from pipelines.core.ledger import rejections
from pipelines.errors import PublishError
from pipelines.publish.snapshot import current
from pipelines.report import GRAPH_POOL
from pipelines.warehouse import Warehouse

LOOK_AGAIN = 0.5  # seconds


@contextmanager
def turn(instance: DagsterInstance, warehouse: Warehouse, told: Callable[[str], None]) -> Iterator[None]:
    """Wait until nobody else writes tables of the graph, and let none begin from the command line meanwhile.

    Dagster lets none begin either: it counts a run of the command line in the pool, from when the run is recorded on.
    """
    with locked(warehouse.folder / ".graph.lock"):
        while writing := _writing(instance):
            told(f"waiting for Dagster run {writing[0][:8]}")
            fail_dead_runs(instance)
            time.sleep(LOOK_AGAIN)
        told("starting")
        yield


def _writing(instance: DagsterInstance) -> list[str]:
    """The ids of the runs under way that write tables of the graph."""
    found = []
    for run in instance.get_runs(RunsFilter(statuses=UNDER_WAY)):
        pools = run.run_op_concurrency.all_pools if run.run_op_concurrency else None
        if GRAPH_POOL in (pools or ()) and process_of(instance, run) is not None:  # one without may never have one
            found.append(run.run_id)
    return found


def run_with_progress(keys: Sequence[str], *, run_config: Mapping[str, Any], run_id: str, warehouse: Warehouse) -> int:
    """Materialise the assets, telling of each step as it ends; gives the exit status 0 or 1.

    The reason of a failure is printed as the person who has to mend it wants it: the message, not the stack.
    """
    from pipelines.definitions import defs

    console = Console(file=os.fdopen(os.dup(2), "w"))  # while a step runs, 2 itself is the file of what it says
    instance = DagsterInstance.get()
    selected = AssetSelection.assets(*(AssetKey(key.split("/")) for key in keys))
    job = defs.resolve_implicit_global_asset_job_def()
    bar = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console) as progress, ExitStack() as held:
        task = progress.add_task("waiting for its turn", total=len(keys))
        held.enter_context(turn(instance, warehouse, lambda why: progress.update(task, description=why)))
        began = time.monotonic()

        def told(event: EventLogEntry, _: str) -> None:
            if event.dagster_event is None or event.step_key is None:
                return
            if event.dagster_event.event_type == DagsterEventType.STEP_START:
                progress.update(task, description=event.step_key.replace("__", "/"))
            if event.dagster_event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
                progress.advance(task)

        def cancelled() -> None:
            progress.stop()
            run = instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished:
                instance.report_run_canceled(run, message="It was stopped by Ctrl-C or SIGTERM at the command line.")

        stop.recorded_by(cancelled)
        instance.watch_event_logs(run_id, None, told)
        result = stop.beside(
            lambda: job.execute_in_process(
                run_config={**run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                instance=instance,
                asset_selection=list(selected.resolve(defs.resolve_asset_graph())),
                run_id=run_id,
                raise_on_error=False,
                tags={"demandgraph/origin": "cli", **process_tag(run_id)},
            )
        )
    seconds = time.monotonic() - began
    if not result.success:
        _print(console, _reasons(result))
        return 1
    console.print(f"{len(keys)} assets in {seconds:.1f} s")
    _print(console, rejections(warehouse) if "core/ingest_batch" in keys else ())
    if "publish/snapshot" in keys:
        served = current(warehouse.published)
        if served is None:
            raise PublishError("nothing is published, though publish ran")
        console.print(f"snapshot {served}")
    return 0


def _reasons(result: ExecuteInProcessResult) -> Iterator[str]:
    """Which steps failed, and why."""
    for event in result.all_node_events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error.cause or event.step_failure_data.error
            reason = error.message.strip().removeprefix(f"pipelines.errors.{error.cls_name}: ")
            yield f"failed {(event.step_key or '').replace('__', '/')}: {reason}"


def _print(console: Console, sentences: Iterable[str]) -> None:
    """As they are: what a person's file is called may look like markup."""
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
