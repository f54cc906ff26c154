"""Assets of notifications."""

from typing import Any

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.notifications import RetryNotificationParams, SetPreferenceParams, SetTemplateParams
from pipelines.commands import commands
from pipelines.planning.alerts.assets import alert
from pipelines.report import GRAPH_POOL, job_of, now, table_made, upstream
from pipelines.resources import Storage, settings

GROUP: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"], "pool": GRAPH_POOL}
STATE = {**GROUP, "pool": None}  # changed under a lock of its own, beside a run of the graph


class PreferenceConfig(Config):
    """What to change of the preferences. Left empty: they stay as they were set."""

    set_preference: str | None = Field(default=None, description="As JSON (contract.notifications.SetPreferenceParams).")


@asset(**STATE, kinds={"polars"}, deps=upstream("core/sales_daily"))
def notification_preference(context: AssetExecutionContext, config: PreferenceConfig, storage: Storage) -> MaterializeResult:
    """What each user is told of, and how: as notifications.yaml says, and as people set it over that."""
    from assets_config.notifications import notification_rules
    from pipelines.planning.notifications.state import PREFERENCES, change_preferences

    warehouse, told = storage.warehouse(), commands(config, set_preference=SetPreferenceParams)
    change_preferences(warehouse, notification_rules(settings().config), told, at=now(), by=job_of(context))
    return table_made(warehouse, PREFERENCES)


class TemplateConfig(Config):
    """What to change of the templates. Left empty: they stay as they were set."""

    set_template: str | None = Field(default=None, description="As JSON (contract.notifications.SetTemplateParams).")


@asset(**STATE, kinds={"polars"}, deps=upstream("core/sales_daily"))
def notification_template(context: AssetExecutionContext, config: TemplateConfig, storage: Storage) -> MaterializeResult:
    """In which words each event of an alert is told: as notifications.yaml says, and as people set it over that."""
    from assets_config.notifications import notification_rules
    from pipelines.planning.notifications.state import TEMPLATES, change_templates

    warehouse, told = storage.warehouse(), commands(config, set_template=SetTemplateParams)
    change_templates(warehouse, notification_rules(settings().config), told, at=now(), by=job_of(context))
    return table_made(warehouse, TEMPLATES)


class RetryConfig(Config):
    """What to try again. Left empty: what is due."""

    retry_notification: str | None = Field(default=None, description="As JSON (contract.notifications.RetryNotificationParams).")


@asset(**GROUP, kinds={"polars"}, deps=[alert, notification_preference, notification_template])
def notification(context: AssetExecutionContext, config: RetryConfig, storage: Storage) -> MaterializeResult:
    """Who was told of which event of which alert, once; sends what is due, by log, file, webhook and e-mail."""
    from pipelines.planning.notifications.channels import Outlets
    from pipelines.planning.notifications.deliver import NOTIFICATIONS, deliver

    warehouse, held, said = storage.warehouse(), settings(), config.retry_notification
    outlets = Outlets(
        file=warehouse.root / "notifications" / "alerts.jsonl",
        webhook_url=held.webhook_url,
        webhook_secret=held.webhook_secret,
        smtp_url=held.smtp_url,
        mail_from=held.mail_from,
    )
    retry = None if said is None else msgspec.json.decode(said, type=RetryNotificationParams)
    deliver(warehouse, outlets, now=now, retry=retry, by=job_of(context))
    made = warehouse.read(NOTIFICATIONS)
    for row in made.filter(state="dead").head(20).iter_rows(named=True):
        context.log.warning(f"{row['channel']}: {row['subject']}: given up: {row['reason']}")
    states = dict(made.group_by("state").len().sort("state").iter_rows())
    return table_made(warehouse, NOTIFICATIONS, notifications_of=states)


@asset(**GROUP, kinds={"polars"}, deps=[notification])
def notification_delivery(storage: Storage) -> MaterializeResult:
    """Every attempt to deliver a notification, and what came of it."""
    from pipelines.planning.notifications.deliver import DELIVERIES, write_deliveries

    warehouse = storage.warehouse()
    write_deliveries(warehouse)
    return table_made(warehouse, DELIVERIES)


ASSETS = [notification_preference, notification_template, notification, notification_delivery]
