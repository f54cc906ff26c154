"""What runs by itself, and when: data every day, forecasts every week, checks and tidying every night. Times are UTC."""

from dagster import AssetSelection, DefaultScheduleStatus, JobDefinition, ScheduleDefinition, define_asset_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets_config.contract.graph import DATA_STAGES
from pipelines.automation.jobs import asset_job, of_stages
from pipelines.automation.retention import tidying
from pipelines.forecasts import assets as forecasts
from pipelines.planning import assets as planning
from pipelines.publish import assets as publish

Job = JobDefinition | UnresolvedAssetJobDefinition
FORECAST_STAGES = ("features", "models", "backtests", "forecasts", "planning", "knowledge", "publish")
"""What is made anew from the data: fits, backtests and forecasts are of one panel; plans follow, and the
knowledge base holds their cards."""

verification = define_asset_job(
    "verify_published",
    selection=AssetSelection.checks(*forecasts.CHECKS, *planning.CHECKS, *publish.CHECKS),
    description="Check artifacts and published files against their checksums, and that explanations add up.",
)
data = asset_job(
    "daily_data",
    of_stages(DATA_STAGES),
    "Look at the source again, read what waits, bring core tables and KPIs up to date, publish. Starts no model.",
)
backtest = asset_job(
    "weekly_backtest",
    of_stages(FORECAST_STAGES),
    "Fit, backtest and forecast again from the newest data, plan stock, and publish.",
)


def _schedule(name: str, job: Job, cron: str, about: str, *, job_type: str, runs: bool = True) -> ScheduleDefinition:
    return ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=about,
        tags={"demandgraph/job_type": job_type},
        default_status=DefaultScheduleStatus.RUNNING if runs else DefaultScheduleStatus.STOPPED,
    )


SCHEDULES = [
    _schedule(
        "nightly_verification", verification, "17 3 * * *", "Are all published files as they were?", job_type="verify_published"
    ),
    _schedule("daily_data", data, "37 3 * * *", "New rows of the source, KPIs, a snapshot.", job_type="ingest"),
    _schedule("weekly_backtest", backtest, "17 4 * * 0", "Fits, backtests and forecasts, every Sunday.", job_type="materialize"),
    _schedule(
        *("daily_forecasts", backtest, "17 4 * * 1-6"),
        "The same on the other days: switch it on where forecasts of the day before are too old.",
        job_type="materialize",
        runs=False,
    ),
    _schedule("nightly_retention", tidying, "47 4 * * *", "Ended jobs that are too old go.", job_type="retention"),
]
JOBS: list[Job] = [verification, data, backtest, tidying]
