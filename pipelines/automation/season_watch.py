"""The watch on season plans: sales that are off the plan, weeks that came in, decisions that nobody took in time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor

from assets_config.contract.launch import run_config, selection
from assets_config.contract.plans import SeasonReviewParams
from pipelines.automation.jobs import asset_job
from pipelines.planning.season.watch import errands
from pipelines.resources import Storage

AGAIN = timedelta(minutes=10)

season_review = asset_job(
    "season_review",
    selection("variance_check", SeasonReviewParams()),
    "Work out what follows for every season plan, and publish. Forecasts again only what is due.",
)


@sensor(
    job=season_review,
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Go on with season plans: forecast again what is off, hold new weeks against plans, let deadlines pass.",
)
def season_watch(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
    """Forecast a plan again when its sales are more than a fifth off; hold new weeks against plans; let deadlines pass."""
    now = datetime.now(UTC)
    found = errands(Storage().warehouse(), now=now.replace(tzinfo=None))
    if not found:
        yield SkipReason("no plan waits for anything but people and sales")
    again = int(now.timestamp() // AGAIN.total_seconds())  # what still waits then was not carried out: its run was killed
    for each in found:
        context.log.info(each.why)
        if each.reforecast is None:
            yield RunRequest(run_key=f"{each.key} {again}", tags={"demandgraph/job_type": "variance_check"})
            continue
        said = json.dumps(msgspec.to_builtins(each.reforecast), sort_keys=True)
        tags = {"demandgraph/job_type": "reforecast", "demandgraph/params": said}
        config = run_config("reforecast", each.reforecast)
        yield RunRequest(run_key=f"{each.key} {again}", run_config=config, tags=tags)
