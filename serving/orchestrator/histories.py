"""Topics that assets tell of themselves: what became of alerts, season plans and sessions, whichever run it was that did it.

Each time that it is made, such an asset tells what is new as metadata `told`: a JSON list of {type, data}, and `workflow_id` or
`session_id` where it is about a plan or a session. Dagster numbers these times over all assets; `seq` is a thousand times that
number, and the place in the list.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from serving.orchestrator.dagster import FRAGMENT, Dagster, time_of, values_of
from serving.orchestrator.events import Event
from serving.orchestrator.job import TYPE_TAG, error_of
from serving.problems import NotFound

HISTORY = (
    """query History($key: [String!]!, $limit: Int!, $cursor: String) { assetOrError(assetKey: {path: $key}) { ... on Asset {
  assetEventHistory(limit: $limit, cursor: $cursor, eventTypeSelectors: [MATERIALIZATION]) { cursor results {
    ... on MaterializationEvent { timestamp runId metadataEntries { ...Values } } } } } } }"""
    + FRAGMENT
)
RUN = """query Run($id: ID!) {
  runOrError(runId: $id) { ... on Run { creationTime endTime status tags { key value } } }
  logsForRun(runId: $id, limit: 1000) { ... on EventConnection { events {
    ... on ExecutionStepFailureEvent { error { message className cause { message className } } }
    ... on RunFailureEvent { error { message className cause { message className } } } } } } }"""
ALERTS, WORKFLOW, SESSION = "alerts", "workflow:", "session:"
AT_ONCE = 100  # times that an asset was made that are asked for at once
PLACES = 1000  # of each time
LAST = PLACES - 1  # the place after all that was told
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class History:
    """A source of events: what some assets told in the last times that they were made, and since."""

    has_more = False
    is_story = False
    assets: tuple[str, ...]
    pages = 1  # of AT_ONCE times each that are read at first

    def __init__(self, dagster: Dagster, topic: str) -> None:
        self.topic = topic
        self.seq = self.first = 0
        self.is_over = False
        self._dagster = dagster
        self._newest: int | None = None  # Dagster's number of the last time that was read; None before the first look

    async def read(self) -> list[Event]:
        """What was told since the last look. Raises OrchestratorUnavailable; nothing counts as read then.

        Asked again until nothing is new: what one asset did while another was asked must not come behind it.
        """
        found: dict[int, list[Event]] = {}
        newest, newer = self._newest, True
        if newest is None:
            for key in self.assets:
                found |= {at: events async for at, events in self._first_look(key)}
            newest = max(found, default=0)
        while newer:
            last = {at: events for key in self.assets async for at, events in self._since(key, newest) if at not in found}
            found |= last
            newer = bool(last)
        self._newest = max(found, default=newest)
        self.seq = max(self.seq, self._newest * PLACES + LAST)
        return [event for at in sorted(found) for event in found[at] if event.seq > self.first]

    async def _first_look(self, key: str) -> AsyncIterator[tuple[int, list[Event]]]:
        """What an asset told so far, newest first, by Dagster's number. It numbers the last of what it answers, and no other."""
        asked = await self._ask(key, 1, None)
        if asked is None:
            return
        (newest,), cursor = asked
        yield _number(cursor), self._events(newest, _number(cursor))
        for _ in range(self.pages):
            entries, after = await self._ask(key, AT_ONCE, cursor) or ([], cursor)
            for n, entry in enumerate(entries):
                if self._events(entry, 0):
                    _, numbered = await self._ask(key, n + 1, cursor) or ([], after)
                    yield _number(numbered), self._events(entry, _number(numbered))
            if len(entries) < AT_ONCE or self._is_before(entries[-1]):
                return
            cursor = after
        self.first = max(self.first, _number(cursor) * PLACES - 1)

    async def _since(self, key: str, newest: int) -> AsyncIterator[tuple[int, list[Event]]]:
        """What an asset told after a number, newest first."""
        cursor: str | None = None
        while (asked := await self._ask(key, 1, cursor)) is not None:
            (entry,), cursor = asked
            if _number(cursor) <= newest:
                return
            yield _number(cursor), self._events(entry, _number(cursor))

    async def _ask(self, key: str, limit: int, cursor: str | None) -> tuple[list[Mapping[str, Any]], str] | None:
        """When an asset was made before a place, newest first, and the place of the last; None where it was not."""
        asked = {"key": key.split("/"), "limit": limit, "cursor": cursor}
        asset = (await self._dagster.ask(HISTORY, asked))["assetOrError"]
        history = asset.get("assetEventHistory") or {"results": []}
        return (history["results"], str(history["cursor"])) if history["results"] else None

    def _events(self, entry: Mapping[str, Any], at: int) -> list[Event]:
        told = values_of(each for each in entry["metadataEntries"] if each["label"] == "told").get("told", [])
        job_id = entry["runId"].replace("-", "")
        return [
            self._event(at * PLACES + n, each["type"], {**each["data"], "job_id": job_id}, entry["timestamp"])
            for n, each in enumerate(told[:LAST])
            if self._concerns(each)
        ]

    def _event(self, seq: int, kind: Any, data: dict[str, Any], milliseconds: str | float) -> Event:
        ts = time_of(float(milliseconds) / 1000)
        assert ts is not None
        return Event(f"{self.topic}:{seq}", seq, self.topic, kind, data, ts)

    def _concerns(self, _: Mapping[str, Any]) -> bool:
        return True

    def _is_before(self, _: Mapping[str, Any]) -> bool:
        """Whether an entry is older than all that the topic tells."""
        return False


class AlertLog(History):
    """A source of events: what became of alerts in the last hundred looks at them and since."""

    assets = ("planning/alert",)

    def __init__(self, dagster: Dagster) -> None:
        super().__init__(dagster, ALERTS)


class WorkflowLog(History):
    """A source of events: a season plan from its first job on, until the season is over or will not be."""

    is_story = True
    assets = ("planning/season_plan", "planning/approval", "planning/season_step")
    pages = 20

    def __init__(self, dagster: Dagster, plan_id: str) -> None:
        super().__init__(dagster, f"{WORKFLOW}{plan_id}")
        self._plan_id = plan_id
        self._began = 0.0  # when its job was made, in seconds since 1970
        self._is_planned = False  # whether its job has ended
        self._own = 0  # the last place that its job told

    async def read(self) -> list[Event]:
        """What became of the plan since the last look. Raises NotFound for an id that no plan has."""
        run: Mapping[str, Any] = {}
        errors: list[Any] = []
        if not self._is_planned:
            answer = await self._dagster.ask(RUN, {"id": str(UUID(self._plan_id))})
            run, errors = answer["runOrError"], answer["logsForRun"].get("events", [])
            self._began = run.get("creationTime", 0.0)
        before = self._newest
        events = await super().read()
        of_plan = {"key": TYPE_TAG, "value": "season_plan"}
        if before is None and not events and of_plan not in run.get("tags", []):
            self._newest = None
            raise NotFound(f"No season plan has the id '{self._plan_id}'; /api/v1/workflows lists them.")
        self._own = max([self._own, *(event.seq for event in events if event.data["job_id"] == self._plan_id)])
        self._is_planned = self._is_planned or not run or run["status"] in ENDED
        if run.get("status") in ("FAILURE", "CANCELED"):
            events.append(self._failure(run, errors))
            events.sort(key=lambda event: event.seq)
        last = events[-1] if events else None
        self.is_over = self.is_over or (last is not None and (last.type == "workflow_complete" or not self._own))
        self.seq = max([self.seq, *(event.seq for event in events)])
        return events

    def _failure(self, run: Mapping[str, Any], errors: list[Any]) -> Event:
        """That its job has failed, after all that the job told."""
        found = next((error_of(each["error"]) for each in errors if each.get("error")), (None, None))
        said = found[1] or f"its job was {'cancelled' if run['status'] == 'CANCELED' else 'ended'} before it was planned"
        data = {"agent": "orchestrator", "error_type": found[0], "error_message": said, "job_id": self._plan_id}
        return self._event(self._own // PLACES * PLACES + LAST, "error", data, run["endTime"] * 1000)

    def _concerns(self, told: Mapping[str, Any]) -> bool:
        return told.get("workflow_id") == self._plan_id

    def _is_before(self, entry: Mapping[str, Any]) -> bool:
        return float(entry["timestamp"]) / 1000 < self._began


class SessionLog(History):
    """A source of events: a conversation with an agent from the job that opens it on, until it is closed."""

    is_story = True
    assets = ("planning/agent_session",)
    pages = 20

    def __init__(self, dagster: Dagster, session_id: str) -> None:
        super().__init__(dagster, f"{SESSION}{session_id}")
        self._session_id = session_id
        self._began = 0.0  # when its job was made, in seconds since 1970
        self._is_opened = False

    async def read(self) -> list[Event]:
        """What was said since the last look. Raises NotFound for an id that no session has."""
        run: Mapping[str, Any] = {}
        if not self._is_opened:
            run = (await self._dagster.ask(RUN, {"id": str(UUID(self._session_id))}))["runOrError"]
            if {"key": TYPE_TAG, "value": "open_session"} not in run.get("tags", []):
                raise NotFound(f"No session has the id '{self._session_id}'; POST /api/v1/agents/sessions opens one.")
            self._began = run["creationTime"]
        events = await super().read()
        self._is_opened = self._is_opened or bool(events)
        failed = not self._is_opened and run.get("status") in ("FAILURE", "CANCELED")
        self.is_over = self.is_over or failed or any(each.type == "session_closed" for each in events)
        return events

    def _concerns(self, told: Mapping[str, Any]) -> bool:
        return told.get("session_id") == self._session_id

    def _is_before(self, entry: Mapping[str, Any]) -> bool:
        return float(entry["timestamp"]) / 1000 < self._began


def _number(cursor: str) -> int:
    """The number that Dagster gave the event at a place in a history."""
    return int(json.loads(base64.b64decode(cursor))["value"])
