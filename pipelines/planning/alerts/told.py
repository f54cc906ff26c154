"""What became of alerts in one look or by one command, as those who follow the topic `alerts` are told."""

from collections.abc import Mapping
from typing import Any

from assets_config.contract.alerts import Alert

MOST = 200
"""That are told of one look, the critical ones first: on the first day of a large chain thousands may open."""
FIELDS = ("alert_id", "rule", "entity", "state", "severity", "title", "value", "threshold", "store_id", "product_id", "changed_by")


def told(before: Mapping[str, Alert], after: Mapping[str, Alert]) -> list[dict[str, Any]]:
    """What is new, as {type, data}; nothing of alerts that are as they were or kept no more."""
    changed = [alert for number, alert in after.items() if _kind(before.get(number), alert)]
    changed.sort(key=lambda alert: (alert.severity != "critical", alert.rule, alert.entity))
    return [
        {"type": _kind(before.get(alert.alert_id), alert), "data": {name: getattr(alert, name) for name in FIELDS}}
        for alert in changed[:MOST]
    ]


def _kind(was: Alert | None, alert: Alert) -> str | None:
    if was is None:
        return "alert_opened"
    if (was.state, was.severity) == (alert.state, alert.severity):
        return None
    return "alert_resolved" if alert.state == "resolved" else "alert_changed"
