"""The landing zone's watch: files that were dropped into the inbox, and posted batches that no run has taken in."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor

from assets_config.contract.ingest import IngestParams
from assets_config.contract.landing import Landing
from assets_config.contract.launch import selection
from pipelines.automation.jobs import asset_job
from pipelines.resources import Storage
from pipelines.sources.audit import Audit
from pipelines.sources.land import inbox_fault, is_posted, told, waiting

AGAIN = timedelta(minutes=10)
FORGOTTEN = timedelta(minutes=2)
"""Age from which a posted batch that no run knows is taken in here: whoever posted it could not start a run."""

ingest = asset_job(
    "ingest",
    selection("ingest", IngestParams("0" * 32)),
    "Read the batches that wait, bring core tables and KPIs up to date, publish. Starts no model.",
)


@sensor(
    job=ingest,
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Read files that were dropped into landing/inbox/<kind>/, and posted batches that were left behind.",
)
def landing_inbox(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Start an ingest run when files lie in `landing/inbox/<kind>/`, or a posted batch was left behind. Once a set of files."""
    now = datetime.now(UTC)
    names, refused = arrivals(Storage().warehouse().root, now=now)
    if not names:
        stay = "".join(f"; inbox/{file} stays: {why}" for file, why in list(refused.items())[:10])
        return SkipReason(f"nothing waits in the landing zone{stay}")
    again = int(now.timestamp() // AGAIN.total_seconds())  # what still waits then was not taken in: its run was killed
    key = hashlib.sha256("\n".join([*names, str(again)]).encode()).hexdigest()[:32]
    context.log.info(f"{len(names)} arrivals: {', '.join(names[:10])}")
    return RunRequest(run_key=key, tags={"demandgraph/job_type": "ingest"})


def arrivals(root: Path, *, now: datetime) -> tuple[list[str], dict[str, str]]:
    """What waits to be taken in: files of the inbox with their time of change, and ids of forgotten batches.

    Forgotten are posted batches that no run knows, and those that a run began to read and did not end. And the files that
    cannot be taken in, with the reason.
    """
    landing = Landing(root)
    files, refused = [], {}
    for path in waiting(landing):
        fault = inbox_fault(landing, path)
        name = told(path.relative_to(landing.inbox))
        if fault:
            refused[name] = fault
        else:
            files.append(f"{name} {path.stat().st_mtime_ns}")
    states = Audit(landing.audit).states()
    forgotten = []
    for batch in landing.batches():
        last = states.get(batch.batch_id)
        since = last.at if last and last.state in ("received", "validating") else None if last else batch.received_at
        if since is not None and now - since > FORGOTTEN and (last is not None or is_posted(batch)):
            forgotten.append(batch.batch_id)
    return files + forgotten, refused
