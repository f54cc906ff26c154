"""Jobs: each is one Dagster run, launched and watched over GraphQL; Dagster's run storage is their only record."""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from assets_config.contract.cancels import Cancels
from assets_config.contract.launch import run_config, selection
from serving.orchestrator.dagster import LOCATION, Dagster, Hook
from serving.orchestrator.job import FIELDS, FINAL, TYPE_TAG, Job, error_of, job_of
from serving.orchestrator.once import Once
from serving.problems import Conflict, NotFound, OrchestratorUnavailable, RateLimited
from serving.settings import Settings

CANCEL_TRIES = 25  # a fifth of a second apart
KEY_TAG = "demandgraph/idempotency_key"
NEWEST = 5_000  # runs that are listed
OVERLAP = 5.0  # seconds that are asked for again: what was being written then is seen now
PAGE = 50  # runs a GraphQL request: each costs Dagster some milliseconds

LAUNCH = """mutation Launch($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""
RUNS = f"""query Runs($filter: RunsFilter, $cursor: String, $limit: Int) {{
  runsOrError(filter: $filter, cursor: $cursor, limit: $limit) {{ __typename
  ... on Runs {{ results {{ {FIELDS} }} }} }} }}"""
RUN = f"""query Run($id: ID!) {{ runOrError(runId: $id) {{ __typename ... on Run {{ {FIELDS} stepKeysToExecute
  stats {{ ... on RunStatsSnapshot {{ stepsSucceeded stepsFailed }} }}
  assetMaterializations {{ metadataEntries {{ label
    ... on IntMetadataEntry {{ intValue }} ... on JsonMetadataEntry {{ jsonString }} }} }} }} }} }}"""
FAILURES = """query Logs($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
  ... on ExecutionStepFailureEvent { stepKey error { message className cause { message className } } }
  ... on RunFailureEvent { message error { message className } } } } } }"""
RETRY = """mutation Retry($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""
CANCEL = """mutation T($id: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $id, terminatePolicy: $policy) { __typename } }"""
QUEUE = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  waiting: runsOrError(filter: { statuses: [QUEUED] }) { ... on Runs { count } } }"""
TAGGED = """query Tagged($filter: RunsFilter) { runsOrError(filter: $filter, limit: 1) { ... on Runs { results { runId } } } }"""


class Jobs:
    """The jobs of one Dagster instance."""

    def __init__(self, dagster_url: str, data: Path, *, most_waiting: int = 500, on_request: Sequence[Hook] = ()) -> None:
        """`most_waiting`: jobs that may wait for others; `on_request` sees what is sent to Dagster before it goes."""
        self.dagster = Dagster(dagster_url, on_request=on_request)
        self._once = Once(data / "landing" / "idempotency")
        self._cancels = Cancels(data)
        self._most_waiting = most_waiting
        self._index: dict[str, Job] = {}
        self._refreshed = -1.0
        self._changed: float | None = None  # when Dagster last changed one of them, by its clock
        self._refresh: asyncio.Task[None] | None = None

    def hold_by(self, settings: Settings) -> None:
        """Have so many jobs wait from now on."""
        self._most_waiting = settings.max_waiting_jobs

    async def close(self) -> None:
        """End what is under way, then the connections: a socket that a question still holds would be left open."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)
        await self.dagster.close()

    async def check(self) -> None:
        """Raises OrchestratorUnavailable, unless Dagster answers and its daemon takes runs from the queue; RateLimited where
        so many wait that one more is refused."""
        answer = await self.dagster.ask(QUEUE)
        statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
        queue = [each for each in statuses if each["daemonType"] == "QUEUED_RUN_COORDINATOR"]
        if not any(each["healthy"] for each in queue):
            raise OrchestratorUnavailable(
                "Dagster's daemon is not running, so that a job would wait without end. Start it with `demandgraph up`.",
                headers={"Retry-After": "15"},
            )
        waiting = answer["waiting"].get("count") or 0
        if waiting >= self._most_waiting:
            raise RateLimited(
                f"{waiting} jobs wait already; {self._most_waiting} may. Send it again once some of them have run.",
                headers={"Retry-After": "10"},
            )

    async def refuse_reused_key(self, job_type: str, params: Struct, key: str) -> None:
        """Raises Conflict, where `create` would: the key was used for another body in the last 24 hours."""
        self._once.refuse_other(key, _body(job_type, params))

    def is_repeated(self, job_type: str, params: Struct, key: str | None) -> bool:
        """Whether this key and body started a job in the last 24 hours, so that `create` gives that one again."""
        return key is not None and self._once.is_known(key, _body(job_type, params))

    async def create(self, job_type: str, params: Struct, *, request_id: str, idempotency_key: str | None) -> Job:
        """Launch a run.

        With a key, the same key and body within 24 hours give the same job. Raises Conflict for the same key with
        another body, OrchestratorUnavailable or RateLimited where Dagster cannot take it; nothing is half-done then.
        """
        tags = _tags(request_id, idempotency_key)
        return await self._keyed(_body(job_type, params), idempotency_key, lambda: self._launch(job_type, params, tags))

    async def retry(self, job_id: str, *, request_id: str, idempotency_key: str | None) -> Job:
        """Run a failed or cancelled job again, from the step that failed on. Raises NotFound, Conflict as `create`."""
        job = await self.get(job_id)
        if job.status not in ("failed", "cancelled"):
            raise Conflict(f"Job {job.job_id} is {job.status}; only failed and cancelled jobs can be run again.")
        tags = _tags(request_id, idempotency_key)
        return await self._keyed(json.dumps(["retry", job.job_id]), idempotency_key, lambda: self._relaunch(job, tags))

    async def _keyed(self, body: str, key: str | None, launch: Callable[[], Awaitable[str]]) -> Job:
        """Launch; the job that the same key and body launched before, where they did. Raises Conflict for another body."""
        if key is None:
            return await self.get(await launch())
        return await self.get(await self._once.run(key, body, launch, lambda: self._launched_for(key)))

    async def _launched_for(self, key: str) -> str | None:
        """The run that was launched for a key, by whichever worker."""
        tags = [{"key": KEY_TAG, "value": _hash(key)}]
        runs = (await self.dagster.ask(TAGGED, {"filter": {"tags": tags}}))["runsOrError"].get("results", [])
        return runs[0]["runId"] if runs else None

    async def get(self, job_id: str) -> Job:
        """A job with its progress and, where it failed, the reason. Raises NotFound."""
        job = self._said(await self._run(job_id))
        if job.status == "failed":
            reason = await self._reason(job.dagster_run_id)
            return msgspec.structs.replace(job, error_type=reason[0], error_message=reason[1])
        return job

    async def _run(self, job_id: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = (await self.dagster.ask(RUN, {"id": _dashed(job_id)}))["runOrError"]
        if answer["__typename"] != "Run":
            raise NotFound(f"No job has the id '{job_id}'; /api/v1/jobs lists them.")
        return answer

    async def cancel(self, job_id: str) -> Job:
        """End a job that waits or runs. Raises NotFound, or Conflict where it has ended.

        Dagster refuses this of a run whose process is just starting, and a process may lose the signal. So that it is asked for
        is written down first: it is asked again here for some seconds, and from then on by the daemon until the job has ended.
        """
        job = await self.get(job_id)
        if job.status in FINAL:
            raise Conflict(f"Job {job.job_id} is {job.status} already; only pending and running jobs can be cancelled.")
        self._cancels.ask(job.dagster_run_id)
        policy = "SAFE_TERMINATE"
        for _ in range(CANCEL_TRIES):
            told = (await self.dagster.ask(CANCEL, {"id": job.dagster_run_id, "policy": policy}))["terminateRun"]
            run = await self._run(job_id)
            job = self._said(run)
            if told["__typename"] == "TerminateRunSuccess" and run["status"] == "STARTED":
                policy = "MARK_AS_CANCELED_IMMEDIATELY"  # a launcher such as Celery's ends the process and says nothing of it
            if job.status in FINAL:
                break
            await asyncio.sleep(0.2)
        return job

    async def newest(self, *, within: float = 1.0) -> list[Job]:
        """The newest runs, newest first, as Dagster told them at most so many seconds ago; it is asked only for what changed."""
        oldest = time.monotonic() - within
        while self._refreshed <= oldest:
            if self._refresh is None:
                self._refresh = asyncio.create_task(self._ask_for_changes())
            await asyncio.shield(self._refresh)  # a client that hangs up does not stop what others wait for
        return sorted(self._index.values(), key=lambda job: (job.created_at, job.job_id), reverse=True)

    async def _ask_for_changes(self) -> None:
        """Take over the runs that changed since the last time; all of them the first time."""
        began = time.monotonic()
        asked = {} if self._changed is None else {"updatedAfter": self._changed - OVERLAP}
        changed, cursor, read = self._changed or 0.0, None, 0
        try:
            while read < NEWEST:
                answer = (await self.dagster.ask(RUNS, {"filter": asked, "cursor": cursor, "limit": PAGE}))["runsOrError"]
                runs = answer.get("results", [])
                for run in runs:
                    job = self._said(run)
                    self._index[job.job_id] = job
                    changed = max(changed, run["updateTime"] or 0.0)
                read += len(runs)
                if len(runs) < PAGE:
                    break
                cursor = runs[-1]["runId"]
            self._changed = changed  # newest come first: only what was read to its end is known
            if len(self._index) > NEWEST:
                newest = sorted(self._index.values(), key=lambda job: (job.created_at, job.job_id))[-NEWEST:]
                self._index = {job.job_id: job for job in newest}
            self._refreshed = began  # not where Dagster is away: the next one shall hear of it too
        finally:
            self._refresh = None

    async def _launch(self, job_type: str, params: Struct, tags: Mapping[str, str]) -> str:
        await self.check()
        said = json.dumps(msgspec.to_builtins(params), sort_keys=True)
        execution = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": LOCATION,
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in selection(job_type, params)],
            },
            "runConfigData": run_config(job_type, params),
            "executionMetadata": {
                "tags": _listed({**tags, TYPE_TAG: job_type, "demandgraph/params": said}),
            },
        }
        return _launched((await self.dagster.ask(LAUNCH, {"p": execution}))["launchRun"])

    async def _relaunch(self, job: Job, tags: Mapping[str, str]) -> str:
        await self.check()
        has_begun = job.status == "failed" and job.progress is not None and job.progress.steps_done > 0
        again = {
            "parentRunId": job.dagster_run_id,
            "strategy": "FROM_FAILURE" if has_begun else "ALL_STEPS",
            "extraTags": _listed(tags),
        }
        return _launched((await self.dagster.ask(RETRY, {"p": again}))["launchRunReexecution"])

    def _said(self, run: Mapping[str, Any]) -> Job:
        """A run as a job; one that shall end is `cancelling` until it has, and `cancelled` where it broke down over that."""
        job = job_of(run)
        if job.status in ("completed", "cancelled") or not self._cancels.is_asked(job.dagster_run_id):
            return job
        return msgspec.structs.replace(job, status="cancelled" if job.status == "failed" else "cancelling")

    async def _reason(self, run_id: str) -> tuple[str | None, str | None]:
        answer = (await self.dagster.ask(FAILURES, {"id": run_id}))["logsForRun"]
        events = answer.get("events", [])
        for kind in ("ExecutionStepFailureEvent", "RunFailureEvent"):
            for event in events:
                if event["__typename"] == kind and event.get("error"):
                    return error_of(event["error"])
                if event["__typename"] == kind and event.get("message"):
                    return None, str(event["message"])  # as of `dead_runs`: its process was killed
        return None, "the run failed before a step began; see it in the Dagster UI"


def _dashed(job_id: str) -> str:
    """The id of the Dagster run that a job is; what is no id is asked for as it is."""
    try:
        return str(UUID(job_id))
    except ValueError:
        return job_id


def _launched(answer: Mapping[str, Any]) -> str:
    """The id of a run that was launched. Raises OrchestratorUnavailable."""
    if answer["__typename"] != "LaunchRunSuccess":
        # Parameters were validated before, so that this is a code location that is away or has another graph.
        raise OrchestratorUnavailable(
            f"Dagster did not take the run ({answer['__typename']}): its code location is not there. Try again soon.",
            headers={"Retry-After": "5"},
        )
    return str(answer["run"]["runId"])


def _tags(request_id: str, key: str | None) -> dict[str, str]:
    """What a run is tagged with, so that it is known whose it is."""
    tags = {"demandgraph/origin": "api", "demandgraph/request_id": request_id}
    return tags if key is None else {**tags, KEY_TAG: _hash(key)}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in tags.items()]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _body(job_type: str, params: Struct) -> str:
    return json.dumps([job_type, msgspec.to_builtins(params)], sort_keys=True)
