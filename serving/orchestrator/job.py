"""One job, as the API tells the Dagster run that it is."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from assets_config.contract.names import JobOrigin, JobStatus
from serving.orchestrator.dagster import time_of
from serving.orchestrator.steps import JobMetrics, metrics_of

STATES: dict[str, JobStatus] = {
    "QUEUED": "pending",
    "NOT_STARTED": "pending",
    "MANAGED": "pending",
    "STARTING": "running",
    "STARTED": "running",
    "SUCCESS": "completed",
    "FAILURE": "failed",
    "CANCELING": "cancelling",
    "CANCELED": "cancelled",
}
TYPE_TAG = "demandgraph/job_type"
NAMES_OF_ERRORS = re.compile(r"^[A-Za-z_][\w.]*: ")  # the message says what is wrong; error_type says the rest
RESULT = "result"  # label of the metadata in which an asset says what its job answers with
FINAL = ("completed", "failed", "cancelled")
"""Statuses that a job keeps."""

FIELDS = "runId status jobName creationTime startTime endTime updateTime tags { key value } assetSelection { path }"
"""What is asked of each run."""


class Progress(Struct, frozen=True):
    """How far a job is."""

    steps_done: Annotated[int, Meta(description="Steps that ended, well or not. [steps]")]
    steps_planned: Annotated[int, Meta(description="Steps of the whole job. [steps]")]


class Job(Struct, frozen=True):
    """One Dagster run as the API tells it."""

    job_id: Annotated[str, Meta(description="Use it in /jobs/{job_id} and its events; 32 hex digits.")]
    job_type: Annotated[str, Meta(description="One of /jobs/types; `materialize` for runs that were started in the Dagster UI.")]
    status: Annotated[JobStatus, Meta(description="pending, running, cancelling; at its end completed, failed or cancelled.")]
    origin: Annotated[JobOrigin, Meta(description="Who started it.")]
    params: Annotated[dict[str, Any], Meta(description="Its parameters, as the job type has them.")]
    result: Annotated[
        dict[str, Any] | None,
        Meta(description="What it made: `assets` and what /jobs/types says; null before it is completed; `assets` alone in lists."),
    ]
    error_message: Annotated[str | None, Meta(description="Why it failed; null unless it did, and in lists.")]
    error_type: Annotated[str | None, Meta(description="Kind of the error; null unless it failed, and in lists.")]
    created_at: Annotated[datetime, Meta(description="When it was asked for, UTC.")]
    started_at: Annotated[datetime | None, Meta(description="When it began to run, UTC.")]
    completed_at: Annotated[datetime | None, Meta(description="When it ended, well or not, UTC.")]
    updated_at: Annotated[datetime | None, Meta(description="When something last happened to it, UTC.")]
    run_id: Annotated[str | None, Meta(description="Model run that came of it, for /registry/runs/{run_id}; null where none did.")]
    dagster_run_id: Annotated[str, Meta(description="The Dagster run that carries it out.")]
    progress: Annotated[Progress | None, Meta(description="How far it is; null in lists.")]
    retry_of: Annotated[str | None, Meta(description="Job that it runs again; null where it is no retry.")] = None
    metrics: Annotated[JobMetrics | None, Meta(description="What it took; null in lists.")] = None


def error_of(said: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Type and message of an error as Dagster tells it; of its cause where it has one."""
    if not said:
        return None, None
    error = said.get("cause") or said
    if error.get("className") == "DagsterExecutionInterruptedError":
        return error["className"], "its process was told to stop, as when `demandgraph up` ends; run it again"
    return error.get("className"), NAMES_OF_ERRORS.sub("", str(error["message"]).strip())[:2000]


def filtered(jobs: Sequence[Job], *, job_type: str | None, status: JobStatus | None, origin: JobOrigin | None) -> list[Job]:
    """Those jobs that match all of what is given."""
    return [
        job
        for job in jobs
        if (job_type is None or job.job_type == job_type)
        and (status is None or job.status == status)
        and (origin is None or job.origin == origin)
    ]


def job_of(run: Mapping[str, Any]) -> Job:
    """A run as a job, without its error: that takes a question of its own."""
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    status = STATES.get(run["status"], "pending")
    stats, planned = run.get("stats") or {}, run.get("stepKeysToExecute")
    progress = None
    if planned is not None and "stepsSucceeded" in stats:
        progress = Progress(stats["stepsSucceeded"] + stats["stepsFailed"], len(planned))
    assets = ["/".join(each["path"]) for each in run.get("assetSelection") or []]
    return Job(
        job_id=run["runId"].replace("-", ""),
        job_type=tags.get(TYPE_TAG, "materialize"),
        status=status,
        origin=_origin(tags),
        params=json.loads(tags["demandgraph/params"]) if "demandgraph/params" in tags else {"assets": assets},
        result={"assets": assets, **_told(run.get("assetMaterializations") or ())} if status == "completed" else None,
        error_message=None,
        error_type=None,
        created_at=time_of(run["creationTime"]) or datetime.now(UTC),
        started_at=time_of(run["startTime"]),
        completed_at=time_of(run["endTime"]) if status in FINAL else None,
        updated_at=time_of(run["updateTime"]),
        run_id=None,
        dagster_run_id=run["runId"],
        progress=progress,
        retry_of=tags["dagster/parent_run_id"].replace("-", "") if "dagster/parent_run_id" in tags else None,
        metrics=metrics_of(run) if "assetMaterializations" in run else None,
    )


def _told(materializations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the assets of a run say that a job of theirs answers with."""
    found: dict[str, Any] = {}
    for made in materializations:
        for entry in made["metadataEntries"]:
            if entry["label"] == RESULT and "jsonString" in entry:
                found |= json.loads(entry["jsonString"])
    return found


def _origin(tags: Mapping[str, str]) -> JobOrigin:
    if "demandgraph/origin" in tags:
        return "cli" if tags["demandgraph/origin"] == "cli" else "api"
    if "dagster/schedule_name" in tags:
        return "schedule"
    return "sensor" if "dagster/sensor_name" in tags else "ui"
