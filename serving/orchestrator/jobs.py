"""Jobs: each is one Dagster run, launched and watched over GraphQL; Dagster's run storage is their only record."""

import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from assets_config.contract.jobs import run_config, selection
from assets_config.contract.names import JobOrigin, JobStatus
from serving.orchestrator.dagster import LOCATION, Dagster, Hook, time_of
from serving.problems import Conflict, NotFound, OrchestratorUnavailable

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
NAMES_OF_ERRORS = re.compile(r"^[A-Za-z_][\w.]*: ")  # the message says what is wrong; error_type says the rest
RESULT = "result"  # label of the metadata in which an asset says what its job answers with
FINAL = ("completed", "failed", "cancelled")
CANCEL_TRIES = 3  # two seconds apart
NEWEST = 5_000  # runs that are listed
PAGE = 50  # runs a GraphQL request: each costs Dagster some milliseconds
KEEP_KEYS = 24 * 3600

LAUNCH = """mutation Launch($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""
FIELDS = "runId status jobName creationTime startTime endTime updateTime tags { key value } assetSelection { path }"
RUNS = f"""query Runs($cursor: String, $limit: Int) {{ runsOrError(cursor: $cursor, limit: $limit) {{ __typename
  ... on Runs {{ results {{ {FIELDS} }} }} }} }}"""
RUN = f"""query Run($id: ID!) {{ runOrError(runId: $id) {{ __typename ... on Run {{ {FIELDS} stepKeysToExecute
  stats {{ ... on RunStatsSnapshot {{ stepsSucceeded stepsFailed }} }}
  assetMaterializations {{ metadataEntries {{ label ... on JsonMetadataEntry {{ jsonString }} }} }} }} }} }}"""
FAILURES = """query Logs($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
  ... on ExecutionStepFailureEvent { stepKey error { message className cause { message className } } }
  ... on RunFailureEvent { error { message className } } } } } }"""
RETRY = """mutation Retry($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""
CANCEL = """mutation T($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) { __typename } }"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


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


class Jobs:
    """The jobs of one Dagster instance."""

    def __init__(self, dagster_url: str, data: Path, *, on_request: Sequence[Hook] = ()) -> None:
        """`on_request` sees what is sent to Dagster before it goes."""
        self.dagster = Dagster(dagster_url, on_request=on_request)
        self._keys = data / "landing" / "idempotency"
        self._index: dict[str, Job] = {}
        self._refreshed = -1.0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        await self.dagster.close()

    async def check(self) -> None:
        """Raises OrchestratorUnavailable, unless Dagster answers and its daemon takes runs from the queue."""
        answer = await self.dagster.ask(DAEMONS)
        statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
        queue = [each for each in statuses if each["daemonType"] == "QUEUED_RUN_COORDINATOR"]
        if not any(each["healthy"] for each in queue):
            raise OrchestratorUnavailable(
                "Dagster's daemon is not running, so that a job would wait without end. Start it with `demandgraph up`.",
                headers={"Retry-After": "15"},
            )

    async def refuse_reused_key(self, job_type: str, params: Struct, key: str) -> None:
        """Raises Conflict, where `create` would: the key was used for another body in the last 24 hours."""
        known = _read(self._path(key))
        if known is not None and known["body"] != _body(job_type, params) and not _is_old(self._path(key)):
            raise _reused(key)

    def is_repeated(self, job_type: str, params: Struct, key: str | None) -> bool:
        """Whether this key and body started a job in the last 24 hours, so that `create` gives that one again."""
        if key is None:
            return False
        known = _read(self._path(key))
        return known is not None and known["body"] == _body(job_type, params) and not _is_old(self._path(key))

    async def create(self, job_type: str, params: Struct, *, request_id: str, idempotency_key: str | None) -> Job:
        """Launch a run.

        With a key, the same key and body within 24 hours give the same job. Raises Conflict for the same key with
        another body, OrchestratorUnavailable where Dagster cannot take it; nothing is half-done then.
        """
        return await self._once(
            _body(job_type, params), idempotency_key, lambda: self._launch(job_type, params, request_id, idempotency_key)
        )

    async def retry(self, job_id: str, *, request_id: str, idempotency_key: str | None) -> Job:
        """Run a failed or cancelled job again, from the step that failed on. Raises NotFound, Conflict as `create`."""
        job = await self.get(job_id)
        if job.status not in ("failed", "cancelled"):
            raise Conflict(f"Job {job.job_id} is {job.status}; only failed and cancelled jobs can be run again.")
        body = json.dumps(["retry", job.job_id])
        return await self._once(body, idempotency_key, lambda: self._relaunch(job, request_id))

    async def _once(self, body: str, key: str | None, launch: Callable[[], Awaitable[Job]]) -> Job:
        """Launch; the job that the same key and body launched before, where they did. Raises Conflict for another body."""
        if key is None:
            return await launch()
        async with self._lock:
            path = self._path(key)
            known = _claim(path, body)
            if known is not None:
                return await self._earlier(known, body, key)
            try:
                job = await launch()
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            _write(path, {"body": body, "run": job.dagster_run_id})
            return job

    async def get(self, job_id: str) -> Job:
        """A job with its progress and, where it failed, the reason. Raises NotFound."""
        run_id = _dashed(job_id)
        answer = (await self.dagster.ask(RUN, {"id": run_id}))["runOrError"]
        if answer["__typename"] != "Run":
            raise NotFound(f"No job has the id '{job_id}'; /api/v1/jobs lists them.")
        job = _job(answer)
        if job.status == "failed":
            reason = await self._reason(run_id)
            return msgspec.structs.replace(job, error_type=reason[0], error_message=reason[1])
        return job

    async def cancel(self, job_id: str) -> Job:
        """End a job that waits or runs. Raises NotFound, or Conflict where it has ended."""
        job = await self.get(job_id)
        if job.status in FINAL:
            raise Conflict(f"Job {job.job_id} is {job.status} already; only pending and running jobs can be cancelled.")
        for _ in range(CANCEL_TRIES):  # a process that is just starting may lose the signal
            await self.dagster.ask(CANCEL, {"id": job.dagster_run_id})
            for _ in range(10):
                job = await self.get(job_id)
                if job.status in FINAL:
                    return job
                await asyncio.sleep(0.2)
        return job

    async def newest(self) -> list[Job]:
        """The newest runs, newest first; asked of Dagster at most once a second, and only what may have changed."""
        async with self._lock:
            if time.monotonic() - self._refreshed >= 1:
                await self._refresh()
                self._refreshed = time.monotonic()
        return sorted(self._index.values(), key=lambda job: (job.created_at, job.job_id), reverse=True)

    async def _refresh(self) -> None:
        cursor: str | None = None
        seen: set[str] = set()
        while len(seen) < NEWEST:
            answer = (await self.dagster.ask(RUNS, {"cursor": cursor, "limit": PAGE}))["runsOrError"]
            runs = answer.get("results", [])
            jobs = [_job(run) for run in runs]
            news = [job for job in jobs if self._index.get(job.job_id) != job]
            self._index.update((job.job_id, job) for job in jobs)
            seen |= {job.job_id for job in jobs}
            if len(runs) < PAGE or not news:
                break
            cursor = runs[-1]["runId"]
        for job in [job for job in self._index.values() if job.status not in FINAL and job.job_id not in seen]:
            self._index[job.job_id] = await self.get(job.job_id)

    async def _launch(self, job_type: str, params: Struct, request_id: str, key: str | None) -> Job:
        await self.check()
        tags = {
            "demandgraph/job_type": job_type,
            "demandgraph/params": json.dumps(msgspec.to_builtins(params), sort_keys=True),
            "demandgraph/origin": "api",
            "demandgraph/request_id": request_id,
        }
        if key is not None:
            tags["demandgraph/idempotency_key"] = hashlib.sha256(key.encode()).hexdigest()[:32]
        execution = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": LOCATION,
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in selection(job_type, params)],
            },
            "runConfigData": run_config(job_type, params),
            "executionMetadata": {"tags": [{"key": name, "value": value} for name, value in tags.items()]},
        }
        return await self._launched((await self.dagster.ask(LAUNCH, {"p": execution}))["launchRun"])

    async def _relaunch(self, job: Job, request_id: str) -> Job:
        await self.check()
        has_begun = job.status == "failed" and job.progress is not None and job.progress.steps_done > 0
        again = {
            "parentRunId": job.dagster_run_id,
            "strategy": "FROM_FAILURE" if has_begun else "ALL_STEPS",
            "extraTags": [{"key": "demandgraph/origin", "value": "api"}, {"key": "demandgraph/request_id", "value": request_id}],
        }
        return await self._launched((await self.dagster.ask(RETRY, {"p": again}))["launchRunReexecution"])

    async def _launched(self, answer: Mapping[str, Any]) -> Job:
        if answer["__typename"] != "LaunchRunSuccess":
            # Parameters were validated before, so that this is a code location that is away or has another graph.
            raise OrchestratorUnavailable(
                f"Dagster did not take the run ({answer['__typename']}): its code location is not there. Try again soon.",
                headers={"Retry-After": "5"},
            )
        return await self.get(answer["run"]["runId"])

    def _path(self, key: str) -> Path:
        return self._keys / hashlib.sha256(key.encode()).hexdigest()

    async def _earlier(self, known: Mapping[str, str], body: str, key: str) -> Job:
        if known["body"] != body:
            raise _reused(key)
        for _ in range(50):
            if known.get("run"):
                return await self.get(known["run"])
            await asyncio.sleep(0.1)  # another worker is launching it
            known = _read(self._path(key)) or known
        raise OrchestratorUnavailable("A request with this key is being launched; try again.", headers={"Retry-After": "5"})

    async def _reason(self, run_id: str) -> tuple[str | None, str | None]:
        answer = (await self.dagster.ask(FAILURES, {"id": run_id}))["logsForRun"]
        events = answer.get("events", [])
        for kind in ("ExecutionStepFailureEvent", "RunFailureEvent"):
            for event in events:
                if event["__typename"] == kind and event.get("error"):
                    return error_of(event["error"])
        return None, "the run failed before a step began; see it in the Dagster UI"


def error_of(said: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Type and message of an error as Dagster tells it; of its cause where it has one."""
    if not said:
        return None, None
    error = said.get("cause") or said
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


def _job(run: Mapping[str, Any]) -> Job:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    status = STATES.get(run["status"], "pending")
    stats, planned = run.get("stats") or {}, run.get("stepKeysToExecute")
    progress = None
    if planned is not None and "stepsSucceeded" in stats:
        progress = Progress(stats["stepsSucceeded"] + stats["stepsFailed"], len(planned))
    assets = ["/".join(each["path"]) for each in run.get("assetSelection") or []]
    return Job(
        job_id=run["runId"].replace("-", ""),
        job_type=tags.get("demandgraph/job_type", "materialize"),
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


def _dashed(job_id: str) -> str:
    plain = job_id.replace("-", "").lower()
    if len(plain) != 32 or not all(letter in "0123456789abcdef" for letter in plain):
        return job_id
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


def _body(job_type: str, params: Struct) -> str:
    return json.dumps([job_type, msgspec.to_builtins(params)], sort_keys=True)


def _reused(key: str) -> Conflict:
    return Conflict(f"The Idempotency-Key '{key}' was used for another body in the last 24 hours.")


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > KEEP_KEYS
    except FileNotFoundError:
        return False


def _claim(path: Path, body: str) -> dict[str, str] | None:
    """Take a key for us; what an earlier taker wrote where it is taken and not yet 24 hours old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if _is_old(path):
        path.unlink(missing_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _read(path) or {"body": body}
    with os.fdopen(handle, "w") as file:
        json.dump({"body": body}, file)
    return None


def _read(path: Path) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _write(path: Path, content: Mapping[str, str]) -> None:
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(json.dumps(dict(content)))
    beside.replace(path)
