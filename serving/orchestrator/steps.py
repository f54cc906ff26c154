"""The steps of a job, as Dagster counted them: what each made, how it ended, and what it took."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from serving.orchestrator.dagster import Dagster, time_of

STEPS = """query Steps($id: ID!) { runOrError(runId: $id) { ... on Run { stepKeysToExecute
  stepStats { stepKey status startTime endTime materializations { assetKey { path }
    metadataEntries { label ... on IntMetadataEntry { intValue } } } } } } }"""
ROWS, PEAK = "dagster/row_count", "peak memory [MiB]"
StepStatus = Literal["waiting", "running", "completed", "failed", "skipped"]
STATUSES: Mapping[str | None, StepStatus] = {
    "IN_PROGRESS": "running",
    "SUCCESS": "completed",
    "FAILURE": "failed",
    "SKIPPED": "skipped",
}


class StepSaid(Struct, frozen=True):
    """One step of a job."""

    step: Annotated[str, Meta(description="What it makes or checks: an asset's key, such as core/sales_daily.")]
    stage: Annotated[str, Meta(description="Stage of the pipeline, from sources to publish.")]
    step_index: Annotated[int, Meta(description="Position, from 0: those that began first, then those that wait.")]
    total_steps: Annotated[int, Meta(description="Number of steps of the job. [steps]")]
    status: Annotated[StepStatus, Meta(description="How it is; waiting: it has not begun, and will not where the job has ended.")]
    started_at: Annotated[datetime | None, Meta(description="When it began, UTC; null while it waits.")]
    seconds: Annotated[float | None, Meta(description="Time that it took; null until it has ended. [s]")]
    rows: Annotated[int | None, Meta(description="Rows of the tables that it made; null where it made none. [rows]")]
    peak_memory_mb: Annotated[int | None, Meta(description="Most memory that its process had until then; null: not told. [MiB]")]


class JobMetrics(Struct, frozen=True):
    """What a job took."""

    queued_seconds: Annotated[float | None, Meta(description="Time that it waited; null while it waits. [s]")]
    run_seconds: Annotated[float | None, Meta(description="Time from its start to its end; null until it has ended. [s]")]
    rows: Annotated[int, Meta(description="Rows of the tables that it made so far. [rows]")]
    peak_memory_mb: Annotated[int | None, Meta(description="Most memory that a process of it had; null: not told yet. [MiB]")]


async def steps_of(dagster: Dagster, run_id: str) -> list[StepSaid]:
    """The steps of a run, in the order in which they began. Raises OrchestratorUnavailable."""
    run = (await dagster.ask(STEPS, {"id": run_id}))["runOrError"]
    begun = sorted(run.get("stepStats") or (), key=lambda each: (each["startTime"] or float("inf"), each["stepKey"]))
    known = {each["stepKey"] for each in begun}
    waiting = [{"stepKey": key} for key in run.get("stepKeysToExecute") or () if key not in known]
    many = len(begun) + len(waiting)
    return [_step(each, n, many) for n, each in enumerate([*begun, *waiting])]


def metrics_of(run: Mapping[str, Any]) -> JobMetrics:
    """What a run took so far, from its times and what its assets said."""
    created, began, ended = (run[name] for name in ("creationTime", "startTime", "endTime"))
    rows, peak = _counted(run["assetMaterializations"])
    queued = None if began is None else round(max(began - created, 0), 3)
    return JobMetrics(queued, _took(began, ended), rows or 0, peak)


def _step(said: Mapping[str, Any], n: int, many: int) -> StepSaid:
    step = said["stepKey"].replace("__", "/")
    made = said.get("materializations", ())
    rows, peak = _counted(made)
    began = said.get("startTime")
    return StepSaid(
        step,
        made[0]["assetKey"]["path"][0]
        if made
        else step.partition("/")[0],  # a step that makes several tables has a name of its own
        n,
        many,
        STATUSES.get(said.get("status"), "waiting"),
        time_of(began),
        _took(began, said.get("endTime")),
        rows,
        peak,
    )


def _took(began: float | None, ended: float | None) -> float | None:
    return None if began is None or ended is None else round(max(ended - began, 0), 3)


def _counted(materializations: Iterable[Mapping[str, Any]]) -> tuple[int | None, int | None]:
    """The rows that were made in sum, and the most memory that was had; None where none of them says so."""
    entries = [entry for made in materializations for entry in made["metadataEntries"]]
    rows, peaks = (
        [entry["intValue"] for entry in entries if entry["label"] == label and entry.get("intValue") is not None]
        for label in (ROWS, PEAK)
    )
    return sum(rows) if rows else None, max(peaks, default=None)
