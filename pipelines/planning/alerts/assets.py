"""Assets of alerts."""

from typing import Any

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.alerts import SetAlertRuleParams, UpdateAlertParams
from pipelines.commands import commands
from pipelines.planning.inventory.assets import inventory_policy, stock_risk
from pipelines.report import GRAPH_POOL, job_of, now, table_made, upstream
from pipelines.resources import Storage, settings

GROUP: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"], "pool": GRAPH_POOL}
STATE = {**GROUP, "pool": None}  # changed under a lock of its own, beside a run of the graph


class RuleConfig(Config):
    """What to change of the rules. Left empty: they stay as they were set, the others as alerts.yaml says."""

    set_alert_rule: str | None = Field(default=None, description="Rule and changes, as JSON (contract.alerts.SetAlertRuleParams).")


@asset(**STATE, kinds={"polars"}, deps=upstream("core/sales_daily"))
def alert_rule(context: AssetExecutionContext, config: RuleConfig, storage: Storage) -> MaterializeResult:
    """What is worth an alert: the rules of alerts.yaml with what people set over them."""
    from assets_config.alerts import alert_rules
    from pipelines.planning.alerts.rules import RULES, change_rules

    warehouse, told = storage.warehouse(), commands(config, set_alert_rule=SetAlertRuleParams)
    change_rules(warehouse, alert_rules(settings().config), told, at=now(), by=job_of(context))
    return table_made(warehouse, RULES)


class AlertConfig(Config):
    """What to do with an alert. Left empty: every rule is looked at."""

    update_alert: str | None = Field(default=None, description="Alert and action, as JSON (contract.alerts.UpdateAlertParams).")


@asset(
    **GROUP,
    kinds={"polars"},
    deps=[
        *upstream("core/dim_store", "core/dim_product", "core/id_map", "core/ingest_batch", "backtests/backtest_metric"),
        *upstream("backtests/backtest", "forecasts/model_run", "forecasts/forecast", "forecasts/forecast_accuracy"),
        *upstream("forecasts/forecast_value_added", "forecasts/interval_coverage"),
        *upstream("planning/variance_week", "planning/markdown"),
        *(inventory_policy, stock_risk, alert_rule),
    ],
)
def alert(context: AssetExecutionContext, config: AlertConfig, storage: Storage) -> MaterializeResult:
    """What rules found: opened where a value passes its threshold, resolved where it falls well below; or a command carried out."""
    from pipelines.planning.alerts.found import frames
    from pipelines.planning.alerts.rules import RULES, rules_of
    from pipelines.planning.alerts.state import ALERTS, change_alert, look, read_book
    from pipelines.planning.alerts.told import told

    warehouse, at = storage.warehouse(), now()
    before = read_book(warehouse).alerts
    if config.update_alert is not None:
        changed = change_alert(
            warehouse, msgspec.json.decode(config.update_alert, type=UpdateAlertParams), at=at, by=job_of(context)
        )
        return table_made(warehouse, ALERTS, told=told(before, {changed.alert_id: changed}))
    measured, as_of = frames(warehouse)
    book = look(warehouse, measured, rules_of(warehouse.read(RULES)), as_of=as_of, at=at)
    states: dict[str, int] = {}
    for each in book.alerts.values():
        states[each.state] = states.get(each.state, 0) + 1
    return table_made(warehouse, ALERTS, alerts_of=states, told=told(before, book.alerts))


ASSETS = [alert_rule, alert]
