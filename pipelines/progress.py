"""Runs assets in this process with a progress bar, recorded in the same Dagster instance that the UI shows."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import AssetKey, AssetSelection, DagsterEventType, DagsterInstance, EventLogEntry
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines import stop
from pipelines.automation.dead_runs import process_tag
from pipelines.core.ledger import rejections
from pipelines.errors import PublishError
from pipelines.publish.snapshot import current
from pipelines.warehouse import Warehouse


def run_with_progress(keys: Sequence[str], *, run_config: Mapping[str, Any], run_id: str, warehouse: Warehouse) -> int:
    """Materialise the assets, telling of each step as it ends; gives the exit status 0 or 1.

    The reason of a failure is printed as the person who has to mend it wants it: the message, not the stack.
    """
    from pipelines.definitions import defs

    console = Console(file=os.fdopen(os.dup(2), "w"))  # while a step runs, 2 itself is the file of what it says
    instance = DagsterInstance.get()
    began = time.monotonic()
    selected = AssetSelection.assets(*(AssetKey(key.split("/")) for key in keys))
    job = defs.resolve_implicit_global_asset_job_def()
    bar = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console) as progress:
        task = progress.add_task("starting", total=len(keys))

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
        for event in result.all_node_events:
            if event.is_step_failure and event.step_failure_data.error:
                error = event.step_failure_data.error.cause or event.step_failure_data.error
                reason = error.message.strip().removeprefix(f"pipelines.errors.{error.cls_name}: ")
                step = (event.step_key or "").replace("__", "/")
                console.print(f"failed {step}: {reason}", markup=False, highlight=False, soft_wrap=True)
        return 1
    console.print(f"{len(keys)} assets in {seconds:.1f} s")
    for sentence in rejections(warehouse) if "core/ingest_batch" in keys else ():
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if "publish/snapshot" in keys:
        served = current(warehouse.published)
        if served is None:
            raise PublishError("nothing is published, though publish ran")
        console.print(f"snapshot {served}")
    return 0
