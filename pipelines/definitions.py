"""The asset graph, top-down: the stages in reading order, checks, the nightly verification, resources."""

from types import ModuleType

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    Definitions,
    ExecutorDefinition,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    multiprocess_executor,
)

from pipelines.backtests import assets as backtests
from pipelines.core import assets as core
from pipelines.dead_runs import dead_runs
from pipelines.features import assets as features
from pipelines.forecasts import assets as forecasts
from pipelines.inbox import ingest, landing_inbox
from pipelines.kpis import assets as kpis
from pipelines.models import assets as models
from pipelines.planning.scenarios import assets as scenarios
from pipelines.planning.season import assets as season
from pipelines.publish import assets as publish
from pipelines.resources import Storage, duckdb_resource, settings
from pipelines.season_watch import season_review, season_watch
from pipelines.sources import assets as sources

STAGES: tuple[ModuleType, ...] = (sources, core, features, models, backtests, forecasts, season, scenarios, kpis, publish)
EXECUTORS: dict[str, ExecutorDefinition] = {"in_process": in_process_executor, "multiprocess": multiprocess_executor}


verification = define_asset_job(
    "verify_published",
    selection=AssetSelection.checks(*forecasts.CHECKS, *season.CHECKS, *publish.CHECKS),
    description="Check artifacts and published files against their checksums, and that explanations add up.",
)

nightly = ScheduleDefinition(
    name="nightly_verification",
    job=verification,
    cron_schedule="17 3 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
)

defs = Definitions(
    assets=[asset for stage in STAGES for asset in stage.ASSETS],
    asset_checks=[*forecasts.CHECKS, *season.CHECKS, *publish.CHECKS],
    jobs=[verification, ingest, season_review],
    sensors=[dead_runs, landing_inbox, season_watch],
    schedules=[nightly],
    resources={"storage": Storage(), "duckdb": duckdb_resource()},
    executor=EXECUTORS[settings().executor],
)
