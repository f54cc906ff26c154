"""What happens, event by event, from Dagster's own log: what a job does, and what is published.

`seq` of a job's event is its place in the log of its run, from 1. The log only grows, so every worker counts alike; entries of
Dagster that say nothing to a client are counted and left out. `seq` of a publish is the id that Dagster gave the event.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from serving.library import SNAPSHOT_ID
from serving.orchestrator.dagster import FRAGMENT, Dagster, time_of, values_of
from serving.orchestrator.job import FINAL, error_of
from serving.problems import NotFound

EVENTS = (
    """query Events($id: ID!, $after: String, $limit: Int, $isFirst: Boolean!) {
  runOrError(runId: $id) @include(if: $isFirst) { ... on Run { stepKeysToExecute } }
  logsForRun(runId: $id, afterCursor: $after, limit: $limit) { __typename ... on EventConnection { hasMore events {
    ... on MessageEvent { timestamp stepKey eventType }
    ... on MaterializationEvent { assetKey { path } metadataEntries { ...Values } }
    ... on AssetCheckEvaluationEvent { evaluation { assetKey { path } checkName success severity } }
    ... on ExecutionStepFailureEvent { error { message className cause { message className } } }
    ... on RunFailureEvent { error { message className cause { message className } } }
  } } } }"""
    + FRAGMENT
)
PUBLISHES = (
    """query Publishes($name: String!, $cursor: String) { assetOrError(assetKey: {path: ["publish", $name]}) { ... on Asset {
  assetEventHistory(limit: 1, cursor: $cursor, eventTypeSelectors: [MATERIALIZATION]) { cursor results {
    ... on MaterializationEvent { timestamp runId metadataEntries { ...Values } } } } } } }"""
    + FRAGMENT
)
SYSTEM = "system"
PUBLISHERS = ("snapshot", "amendment", "pointer")  # assets of the stage publish after which another snapshot may be served
KEPT_PUBLISHES = 20  # that are told of those before the first look
EARLIER_PUBLISHES = 200  # before these that are told to who comes back from there
AT_ONCE = 500  # entries of Dagster's log a question
LONGEST = 4000  # letters of a value of an asset's metadata that is told

PublishType = Literal["snapshot_published"]
JobType = Literal["job_state", "step_start", "step_complete", "asset_materialized", "asset_check"]
AlertType = Literal["alert_opened", "alert_changed", "alert_resolved"]
AgentType = Literal["agent_started", "agent_progress", "agent_completed"]
PlanType = Literal["human_input_required", "decision_taken", "workflow_complete", "error"]
SessionType = Literal[
    "session_opened", "text_delta", "tool_call_start", "tool_call_end", "approval_required", "complete", "session_closed"
]
EventType = JobType | PublishType | AlertType | AgentType | PlanType | SessionType
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


class Event(Struct, frozen=True):
    """One event of one topic."""

    id: Annotated[str, Meta(description="Topic and seq; unique among all events.")]
    seq: Annotated[int, Meta(description="Place in the topic, rising, with gaps; send it as `after` for what follows.")]
    topic: Annotated[str, Meta(description="job:{job_id}, workflow:{workflow_id}, session:{session_id}, alerts, or system.")]
    type: Annotated[EventType, Meta(description="What happened; says which members `data` has.")]
    data: Annotated[
        dict[str, Any],
        Meta(
            description="job_state: status, error_type, error_message. step_start: step. step_complete: step, status, error_type, "
            "error_message, steps_done, steps_planned, progress_pct. asset_materialized: asset, rows, metadata. asset_check: "
            "asset, check, passed, severity. snapshot_published: snapshot_id, job_id, as_of. alert_...: the alert, and job_id. "
            "Of workflows: workflow_id, job_id, agent, and what docs/events.md lists. "
            "Of sessions: session_id, job_id, and what it lists."
        ),
    ]
    ts: Annotated[datetime, Meta(description="When it happened, UTC.")]


class JobLog:
    """A source of events: the log of one run, read from its beginning."""

    def __init__(self, dagster: Dagster, run_id: str) -> None:
        self.topic = f"job:{run_id.replace('-', '')}"
        self.seq = self.first = 0
        self.is_over, self.has_more, self.is_story = False, False, True
        self._dagster, self._run_id = dagster, run_id
        self._done = 0
        self._planned: int | None = None

    async def read(self) -> list[Event]:
        """The next page of the log. Raises NotFound, OrchestratorUnavailable; nothing counts as read then."""
        asked = {"id": self._run_id, "after": _cursor("OFFSET", self.seq), "limit": AT_ONCE, "isFirst": self._planned is None}
        answer = await self._dagster.ask(EVENTS, asked)
        log = answer["logsForRun"]
        if log["__typename"] == "RunNotFoundError":
            raise NotFound(f"No job has the id '{self.topic.partition(':')[2]}'; /api/v1/jobs lists them.")
        planned = answer.get("runOrError", {}).get("stepKeysToExecute")
        self._planned = self._planned if planned is None else len(planned)
        entries = log.get("events", [])
        self.has_more = bool(entries and log.get("hasMore"))
        return [event for entry in entries if (event := self._next(entry)) is not None]

    def _next(self, entry: Mapping[str, Any]) -> Event | None:
        self.seq += 1
        told = _told(entry)
        if told is None:
            return None
        kind, data = told
        if kind == "step_complete":
            self._done += 1
            data |= {"steps_done": self._done, "steps_planned": self._planned, "progress_pct": self._progress()}
        if kind == "job_state":
            self.is_over = data["status"] in FINAL
        return Event(f"{self.topic}:{self.seq}", self.seq, self.topic, kind, data, _time(entry))

    def _progress(self) -> float | None:
        return round(min(100 * self._done / self._planned, 100), 1) if self._planned else None


class PublishLog:
    """A source of events: every snapshot that a run published, from the newest few on, and earlier ones where somebody asks."""

    def __init__(self, dagster: Dagster) -> None:
        self.topic = SYSTEM
        self.seq = self.first = 0
        self.is_over, self.has_more, self.is_story = False, False, False
        self._dagster = dagster
        self._left = EARLIER_PUBLISHES

    async def read(self) -> list[Event]:
        """What was published since the last look. Raises OrchestratorUnavailable.

        Asked again until nothing is new: what one asset did while another was asked must not come behind it.
        """
        found: dict[int, Event | None] = {}
        most = KEPT_PUBLISHES if self.seq == 0 else AT_ONCE
        while True:
            newer = {
                seq: event for name in PUBLISHERS async for seq, event in self._since(name, self.seq, most) if seq not in found
            }
            if not newer:
                break
            found |= newer
        places = sorted(found)
        if self.seq == 0 and len(places) > most:
            self.first, places = places[-most - 1], places[-most:]
        self.seq = max(found, default=self.seq)
        return [event for seq in places if (event := found[seq]) is not None]

    async def read_back(self, place: int) -> list[Event]:
        """What was published after a place and was left out by the first look, as far back as is told. Raises as `read`."""
        most = self._left
        if most == 0:
            return []
        found = {seq: event for name in PUBLISHERS async for seq, event in self._since(name, place, most, until=self.first)}
        places = sorted(found)
        self.first = place if len(places) <= most else places[-most - 1]
        places = places[-most:]
        self._left -= len(places)
        return [event for seq in places if (event := found[seq]) is not None]

    async def _since(
        self, name: str, after: int, most: int, *, until: int | None = None
    ) -> AsyncIterator[tuple[int, Event | None]]:
        """What an asset did after a place, the newest first, and one more than `most`; None for what published nothing."""
        cursor = None if until is None else _cursor("STORAGE_ID", until + 1)  # it tells what is before
        for _ in range(most + 1):
            asset = (await self._dagster.ask(PUBLISHES, {"name": name, "cursor": cursor}))["assetOrError"]
            history = asset.get("assetEventHistory") or {"results": []}
            if not history["results"]:
                return
            cursor = str(history["cursor"])  # of one event: its id
            seq = int(json.loads(base64.b64decode(cursor))["value"])
            if seq <= after:
                return
            yield seq, _published(history["results"][0], seq)


def _cursor(kind: str, value: int) -> str:
    return base64.b64encode(json.dumps({"type": kind, "value": value}).encode()).decode()


def _published(entry: Mapping[str, Any], seq: int) -> Event | None:
    said = values_of(entry["metadataEntries"])
    snapshot = said.get("snapshot")
    if not isinstance(snapshot, str) or not SNAPSHOT_ID.match(snapshot):
        return None
    data = {"snapshot_id": snapshot, "as_of": said.get("as of"), "job_id": entry["runId"].replace("-", "")}
    return Event(f"{SYSTEM}:{seq}", seq, SYSTEM, "snapshot_published", data, _time(entry))


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
        said = values_of(entry["metadataEntries"], longest=LONGEST)
        rows = said.pop("dagster/row_count", None)
        said.pop("told", None)  # to those who follow alerts or a workflow
        return "asset_materialized", {"asset": "/".join(entry["assetKey"]["path"]), "rows": rows, "metadata": said}
    if kind == "ASSET_CHECK_EVALUATION":
        said = entry["evaluation"]
        asset = "/".join(said["assetKey"]["path"])
        severity = said["severity"].lower()
        return "asset_check", {"asset": asset, "check": said["checkName"], "passed": said["success"], "severity": severity}
    return None
