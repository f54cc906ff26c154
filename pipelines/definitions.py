"""The asset graph, top-down: the stages in reading order, checks, what runs by itself, resources."""

from types import ModuleType

from dagster import Definitions, ExecutorDefinition, in_process_executor, map_asset_specs, multiprocess_executor

from pipelines.automation.dead_runs import dead_runs
from pipelines.automation.delivery import deliver, delivery
from pipelines.automation.failures import failed_runs
from pipelines.automation.inbox import ingest, landing_inbox
from pipelines.automation.policies import follow_inputs, with_policies
from pipelines.automation.schedules import JOBS, SCHEDULES
from pipelines.automation.season_watch import season_review, season_watch
from pipelines.automation.variance import sales_off_forecast
from pipelines.backtests import assets as backtests
from pipelines.core import assets as core
from pipelines.features import assets as features
from pipelines.forecasts import assets as forecasts
from pipelines.knowledge import assets as knowledge
from pipelines.kpis import assets as kpis
from pipelines.models import assets as models
from pipelines.planning import assets as planning
from pipelines.publish import assets as publish
from pipelines.resources import Storage, duckdb_resource, settings
from pipelines.sources import assets as sources
from pipelines.trials import assets as trials

STAGES: tuple[ModuleType, ...] = (
    sources,
    core,
    features,
    models,
    backtests,
    trials,
    forecasts,
    planning,
    kpis,
    knowledge,
    publish,
)
EXECUTORS: dict[str, ExecutorDefinition] = {"in_process": in_process_executor, "multiprocess": multiprocess_executor}

defs = Definitions(
    assets=[*map_asset_specs(with_policies, [asset for stage in STAGES for asset in stage.ASSETS])],
    asset_checks=[*forecasts.CHECKS, *planning.CHECKS, *knowledge.CHECKS, *publish.CHECKS],
    jobs=[*JOBS, ingest, deliver, season_review],
    sensors=[dead_runs, landing_inbox, delivery, season_watch, sales_off_forecast, failed_runs, follow_inputs],
    schedules=SCHEDULES,
    resources={"storage": Storage(), "duckdb": duckdb_resource()},
    executor=EXECUTORS[settings().executor],
)
