"""Assets of scenarios: what was asked, and the days that came of it."""

from typing import Any

from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.scenarios import DeleteScenarioParams, ScenarioParams
from pipelines.commands import commands
from pipelines.report import GRAPH_POOL, job_of, now, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"], "pool": GRAPH_POOL}


class ScenarioConfig(Config):
    """What to do to the saved scenarios. Left empty: they stay as they are."""

    scenario: str | None = Field(default=None, description="Scenario to work out, as JSON (contract.scenarios.ScenarioParams).")
    delete_scenario: str | None = Field(default=None, description="Scenario to delete, as JSON (DeleteScenarioParams).")


@asset(
    **GROUP,
    kinds={"xgboost", "polars"},
    deps=upstream(
        *("core/sales_daily", "core/dim_store", "core/dim_product"),
        *("forecasts/forecast", "models/fit", "features/panel", "planning/price_elasticity"),
    ),
)
def scenario(context: AssetExecutionContext, config: ScenarioConfig, storage: Storage) -> MaterializeResult:
    """The saved scenarios with their sums, each as it was worked out: as they were, but for what the config asks for."""
    from pipelines.planning.scenarios.state import change_scenarios

    warehouse = storage.warehouse()
    told = commands(config, scenario=ScenarioParams, delete_scenario=DeleteScenarioParams)
    change_scenarios(warehouse, told, at=now(), by=job_of(context))
    return table_made(warehouse, "planning/scenario")


@asset(**GROUP, kinds={"polars"}, deps=[scenario])
def scenario_day(storage: Storage) -> MaterializeResult:
    """The days of the saved scenarios, written together with their sums."""
    return table_made(storage.warehouse(), "planning/scenario_day")


ASSETS = [scenario, scenario_day]
