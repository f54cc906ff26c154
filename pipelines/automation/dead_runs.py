"""Runs that shall end or have lost their process: Dagster alone would keep them as started, and they would hold the queue."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultRunLauncher,
    DefaultSensorStatus,
    RunsFilter,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from assets_config.contract.cancels import Cancels
from pipelines.resources import Storage

UNDER_WAY = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
TO_END = (DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED)
PROCESS_TAG = ".dagster/demandgraph/process"  # the UI hides what begins so
"""Of a run: its id, its process, and when that began. A retry has its parent's too: one of another id says nothing."""

PATIENCE = 20.0  # seconds that a process may take to end by itself once it was told
REMEMBERED = 120.0  # seconds for which a run that ended is looked at again: the queue may have let it start meanwhile


@sensor(
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Mark runs whose process was killed as failed, so that those which wait go on.",
)
def dead_runs(context: SensorEvaluationContext) -> SkipReason:
    """End the runs that a client asked to end, and mark as failed those whose process on this machine is gone."""
    ended = end_cancelled_runs(context.instance, Cancels(Storage().warehouse().root), now=time.time())
    failed = fail_dead_runs(context.instance)
    told = [f"{len(ended)} were asked to end: {', '.join(ended)}"] if ended else []
    told += [f"{len(failed)} had lost their process: {', '.join(failed)}"] if failed else []
    return SkipReason("; ".join(told) or "every run has its process, and none shall end")


def end_cancelled_runs(instance: DagsterInstance, cancels: Cancels, *, now: float) -> list[str]:
    """End the runs that were asked to end, and forget those that have; gives those that were told to.

    Dagster ends what waits or runs, and refuses what is just starting: that is asked again at the next tick. A process that does
    not end by itself is killed: an interrupt that arrives while xgboost calls back into Python is lost. A run that left the
    queue at the moment of its cancelling is cancelled again.
    """
    told = []
    for run_id, since in cancels.asked().items():
        run = instance.get_run_by_id(run_id)
        if run is not None and run.status == DagsterRunStatus.FAILURE:
            instance.report_run_canceled(run, message="It was asked to end, and broke down over that.")
        elif run is None or (run.is_finished and now - since > REMEMBERED):
            cancels.forget(run_id)
        elif run.status in TO_END and instance.run_coordinator is not None:
            instance.run_coordinator.cancel_run(run_id)
            told.append(run_id)
        elif run.status == DagsterRunStatus.CANCELING and now - since > PATIENCE:
            _kill(instance, run)
            told.append(run_id)
    return told


def fail_dead_runs(instance: DagsterInstance) -> list[str]:
    """The ids of the runs that were marked, as cancelled where they were told to end."""
    marked: list[str] = []
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return marked  # runs may have their processes on other machines
    for run in instance.get_runs(RunsFilter(statuses=UNDER_WAY)):
        process = process_of(instance, run)
        if process is not None and not is_alive(run, process):
            _mark(instance, run, f"The process of this run ({process}) was killed.")
            marked.append(run.run_id)
    return marked


def process_tag(run_id: str) -> dict[str, str]:
    """What this process tags a run with that it executes, so that no later process of the same number is taken for it."""
    process = os.getpid()
    began = _began(process)
    return {} if began is None else {PROCESS_TAG: f"{run_id} {process} {began}"}


def process_of(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """The process that executes a run, as it told itself, else as its executor recorded it; None before it has begun."""
    said = _said(run)
    if said is not None:
        return said[0]
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        metadata: Mapping = event.engine_event_data.metadata if event else {}
        pid = metadata.get("pid")
        if event and event.step_key is None and pid is not None:
            return int(str(pid.value))
    return None


def is_alive(run: DagsterRun, process: int) -> bool:
    """Whether the process of a run runs, and not another that has its number by now, as after a restart of a container."""
    said = _said(run)
    return exists(process) and (said is None or _began(process) == said[1])


def exists(process: int) -> bool:
    """Whether a process runs; one that ended and that nobody has asked after does not."""
    try:
        os.kill(process, 0)
        return _stat(process)[0] != "Z"
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):  # it is another user's, or this system has no /proc
        return True


def _said(run: DagsterRun) -> tuple[int, str] | None:
    """The process that a run is tagged with, and when that began; None where Dagster's own code server started it."""
    run_id, _, said = run.tags.get(PROCESS_TAG, "").partition(" ")
    process, _, began = said.partition(" ")
    return (int(process), began) if run_id == run.run_id else None


def _began(process: int) -> str | None:
    """When a process began, in ticks of a boot of the machine; None where there is none, or no /proc."""
    try:
        return f"{_stat(process)[19]} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    except OSError:
        return None


def _stat(process: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _kill(instance: DagsterInstance, run: DagsterRun) -> None:
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return  # its process may be on another machine; Dagster's own monitoring marks it
    process = process_of(instance, run)
    if process is not None and is_alive(run, process):
        os.kill(process, signal.SIGKILL)
    _mark(instance, run, f"It was asked to end and did not within {PATIENCE:.0f} s: its process was killed.")


def _mark(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.is_finished:
        return  # it ended while it was looked at
    if now.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(now, message=why)
    else:
        instance.report_run_failed(now, why)
