"""Runs whose process was killed: Dagster keeps them as started, and with one run at a time they would hold the queue."""

import os

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    DefaultRunLauncher,
    DefaultSensorStatus,
    RunsFilter,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

UNDER_WAY = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


@sensor(
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Mark runs whose process was killed as failed, so that those which wait go on.",
)
def dead_runs(context: SensorEvaluationContext) -> SkipReason:
    """Mark as failed what is under way according to Dagster, while its process on this machine is gone."""
    failed = fail_dead_runs(context.instance)
    return SkipReason(f"{len(failed)} runs had lost their process: {', '.join(failed)}" if failed else "every run has its process")


def fail_dead_runs(instance: DagsterInstance) -> list[str]:
    """The ids of the runs that were marked."""
    failed: list[str] = []
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return failed  # runs may have their processes on other machines
    for run in instance.get_runs(RunsFilter(statuses=UNDER_WAY)):
        process = process_of(instance, run.run_id)
        if process is not None and not exists(process):
            instance.report_run_failed(run, f"The process of this run ({process}) was killed.")
            failed.append(run.run_id)
    return failed


def process_of(instance: DagsterInstance, run_id: str) -> int | None:
    """The process that executes a run, as its executor recorded it; None before it has begun."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if event and event.step_key is None and pid is not None:
            return int(str(pid.value))
    return None


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
