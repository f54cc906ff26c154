"""What holds for many assets at once: how fresh they must be, and which follow what they are made of by themselves."""

from datetime import timedelta

from dagster import (
    AssetSelection,
    AssetSpec,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    DefaultSensorStatus,
    FreshnessPolicy,
)

from assets_config.contract.graph import DATA_STAGES, ON_REQUEST
from assets_config.contract.tables import PARTS, STATE, TRIALS
from pipelines.publish.parts import TABLE_KEYS

DAILY = FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=26))
WEEKLY = FreshnessPolicy.time_window(fail_window=timedelta(days=10), warn_window=timedelta(days=8))
"""A schedule's period and some hours for the run; late from there on, and failed where a second one was missed."""
DECIDED = {
    "planning/notification",
    "planning/notification_delivery",
    *(TABLE_KEYS[table] for part in (STATE, TRIALS) for table in PARTS[part]),
    *ON_REQUEST,
}
"""Made when people decide or ask for something, which may be never: no age is too old."""


def follows(parents: AssetSelection) -> AutomationCondition:
    """Made again when one of these parents was, however that came about, once none of them is being made any more."""
    updated = AutomationCondition.any_deps_match(
        AutomationCondition.newly_updated() | AutomationCondition.will_be_requested()
    ).allow(parents)
    return (
        updated.since_last_handled()
        & ~AutomationCondition.any_deps_in_progress().allow(parents)
        & ~AutomationCondition.any_deps_missing()
        & ~AutomationCondition.in_progress()
    ).with_label("its parents were made again")


FOLLOWS = {
    "kpis/kpi_daily": follows(AssetSelection.groups("core")),
    "kpis/cubes": follows(AssetSelection.groups("core", "kpis")),
    "publish/snapshot": follows(AssetSelection.groups("kpis")),
}
"""KPIs follow sales, and the snapshot follows KPIs: seconds, and no model. Forecasts are made when one asks, or on schedule."""

follow_inputs = AutomationConditionSensorDefinition(
    "follow_inputs",
    target=AssetSelection.groups("kpis", "publish"),
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Make KPIs and the snapshot again where what they are made of was made without them, as from this UI.",
    run_tags={"demandgraph/job_type": "materialize"},
)


def with_policies(spec: AssetSpec) -> AssetSpec:
    """The spec of an asset with what holds for it."""
    key = spec.key.to_user_string()
    stage = key.split("/")[0]
    freshness = None if key in DECIDED else DAILY if stage in DATA_STAGES else WEEKLY
    followed = spec.replace_attributes(automation_condition=FOLLOWS.get(key))
    return followed if freshness is None else followed.replace_attributes(freshness_policy=freshness)
