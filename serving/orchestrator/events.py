"""What happens while a job runs, event by event, from Dagster's own log.

`seq` is the place of an event in the log of its run, from 1. The log only grows, so every worker counts alike; entries of
Dagster that say nothing to a client are counted and left out.
"""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from serving.orchestrator.dagster import Dagster, time_of
from serving.orchestrator.jobs import error_of

EVENTS = """query Events($id: ID!, $after: String, $limit: Int) {
  logsForRun(runId: $id, afterCursor: $after, limit: $limit) { __typename ... on EventConnection { hasMore events {
    ... on MessageEvent { timestamp stepKey eventType }
    ... on MaterializationEvent { assetKey { path } metadataEntries { label ... on IntMetadataEntry { intValue } } }
    ... on AssetCheckEvaluationEvent { evaluation { assetKey { path } checkName success severity } }
    ... on ExecutionStepFailureEvent { error { message className cause { message className } } }
    ... on RunFailureEvent { error { message className cause { message className } } }
  } } } }"""
AT_ONCE = 500  # entries of Dagster's log a question
MOST_ASKED = 10  # questions a request

EventType = Literal["job_state", "step_start", "step_complete", "asset_materialized", "asset_check"]
STATES = {
    "RUN_ENQUEUED": "pending",
    "RUN_STARTING": "running",
    "RUN_START": "running",
    "RUN_SUCCESS": "completed",
    "RUN_FAILURE": "failed",
    "RUN_CANCELING": "cancelling",
    "RUN_CANCELED": "cancelled",
}
STEPS = {"STEP_SUCCESS": "completed", "STEP_FAILURE": "failed", "STEP_SKIPPED": "skipped"}


class JobEvent(Struct, frozen=True):
    """One event of a job."""

    id: Annotated[str, Meta(description="Topic and seq; unique among all events.")]
    seq: Annotated[int, Meta(description="Place in the job's log, from 1, with gaps; send it as `after` for what follows.")]
    topic: Annotated[str, Meta(description="job:{job_id}.")]
    type: Annotated[EventType, Meta(description="What happened; says which members `data` has.")]
    data: Annotated[
        dict[str, Any],
        Meta(
            description="job_state: status, error_type, error_message. step_start: step. step_complete: step, status, error_type, "
            "error_message. asset_materialized: asset, rows. asset_check: asset, check, passed, severity."
        ),
    ]
    ts: Annotated[datetime, Meta(description="When it happened, UTC.")]


async def events_of(dagster: Dagster, run_id: str, *, after: int, limit: int) -> tuple[list[JobEvent], int, bool]:
    """The events after a place in the log; the place to go on from; and whether the log has more already."""
    found: list[JobEvent] = []
    topic, seq = f"job:{run_id.replace('-', '')}", after
    for _ in range(MOST_ASKED):
        cursor = json.dumps({"type": "OFFSET", "value": seq}).encode()
        asked = {"id": run_id, "after": base64.b64encode(cursor).decode(), "limit": AT_ONCE}
        log = (await dagster.ask(EVENTS, asked))["logsForRun"]
        entries = log.get("events", [])
        for n, entry in enumerate(entries):
            seq += 1
            told = _told(entry)
            if told is not None:
                found.append(JobEvent(f"{topic}:{seq}", seq, topic, told[0], told[1], _time(entry)))
            if len(found) == limit:
                return found, seq, n + 1 < len(entries) or bool(log.get("hasMore"))
        if not log.get("hasMore"):
            return found, seq, False
    return found, seq, True


def _time(entry: Mapping[str, Any]) -> datetime:
    at = time_of(float(entry["timestamp"]) / 1000)
    assert at is not None
    return at


def _told(entry: Mapping[str, Any]) -> tuple[EventType, dict[str, Any]] | None:
    """Type and data of an entry; None for one that says nothing to a client."""
    kind, step = entry.get("eventType"), (entry.get("stepKey") or "").replace("__", "/")
    error_type, error_message = error_of(entry.get("error"))
    error = {"error_type": error_type, "error_message": error_message}
    if kind in STATES:
        return "job_state", {"status": STATES[kind], **error}
    if kind == "STEP_START":
        return "step_start", {"step": step}
    if kind in STEPS:
        return "step_complete", {"step": step, "status": STEPS[kind], **error}
    if kind == "ASSET_MATERIALIZATION":
        rows = {each["label"]: each.get("intValue") for each in entry["metadataEntries"]}.get("dagster/row_count")
        return "asset_materialized", {"asset": "/".join(entry["assetKey"]["path"]), "rows": rows}
    if kind == "ASSET_CHECK_EVALUATION":
        said = entry["evaluation"]
        asset = "/".join(said["assetKey"]["path"])
        severity = said["severity"].lower()
        return "asset_check", {"asset": asset, "check": said["checkName"], "passed": said["success"], "severity": severity}
    return None
