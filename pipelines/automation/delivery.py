"""The watch over notifications: what is due again after a failure, or after quiet hours, is sent."""

from datetime import UTC, datetime

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor

from assets_config.contract.launch import selection
from assets_config.contract.notifications import DeliverParams
from pipelines.automation.jobs import asset_job
from pipelines.planning.notifications.deliver import due
from pipelines.resources import Storage

deliver = asset_job(
    "deliver",
    selection("deliver", DeliverParams()),
    "Tell of what became of alerts, try again what is due, publish.",
)


@sensor(
    job=deliver,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Deliver notifications that are due: after a failure, or when quiet hours end.",
)
def delivery(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Start a delivery when a notification is due. Once a minute at most, so that one that takes longer is not started twice."""
    now = datetime.now(UTC)
    waiting = due(Storage().warehouse(), now.replace(tzinfo=None))
    if not waiting:
        return SkipReason("no notification is due")
    context.log.info(f"{len(waiting)} notifications are due")
    return RunRequest(run_key=f"{now:%Y%m%d%H%M}", tags={"demandgraph/job_type": "deliver"})
