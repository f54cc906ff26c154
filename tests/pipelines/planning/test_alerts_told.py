"""What followers of alerts are told of one look: what is new, once, the worst first."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from assets_config.contract.alerts import Alert
from pipelines.planning.alerts.told import MOST, told

AT = datetime(2026, 1, 2)
OPEN = Alert("a", "r", "e", AT.date(), "open", "warn", "t", 6.0, 5.0, "{}", 1, 2, AT, AT, None, None, None, AT.date())


def kinds(before: Alert | None, after: Alert) -> list[Any]:
    return [each["type"] for each in told({} if before is None else {"a": before}, {"a": after})]


def test_an_alert_is_told_when_its_state_or_severity_is_another() -> None:
    resolved = replace(OPEN, state="resolved")

    assert kinds(None, OPEN) == ["alert_opened"]
    assert kinds(OPEN, replace(OPEN, value=9.0, note="x")) == []
    assert kinds(OPEN, replace(OPEN, severity="critical")) == ["alert_changed"]
    assert kinds(OPEN, replace(OPEN, state="snoozed")) == ["alert_changed"]
    assert kinds(OPEN, resolved) == ["alert_resolved"]
    assert kinds(resolved, resolved) == []
    assert told({"a": OPEN}, {}) == [], "forgotten, not resolved"


def test_of_more_than_can_be_told_the_critical_ones_are() -> None:
    many = {f"{n}": replace(OPEN, alert_id=f"{n}", severity="critical" if n >= 900 else "warn") for n in range(1000)}

    found = told({}, many)

    assert len(found) == MOST
    assert sum(each["data"]["severity"] == "critical" for each in found) == 100
    assert found[0]["data"].keys() >= {"alert_id", "rule", "entity", "state", "title", "value", "threshold"}
