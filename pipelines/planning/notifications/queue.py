"""Who is to be told of what became of which alert. No clock and no file of its own."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from assets_config.contract.alerts import Alert
from assets_config.contract.notifications import (
    AlertEvent,
    Channel,
    Notification,
    NotificationPreference,
    NotificationTemplate,
)
from pipelines.planning.notifications.journal import Queued

Told = Mapping[tuple[str, str], str]  # alert and event -> severity that was told


def told_so_far(rows: Iterable[Notification]) -> dict[tuple[str, str], str]:
    """Which events of which alerts were decided to be told, and how severe they were."""
    return {(row.alert_id, row.event): row.severity for row in rows}


def events_of(alert: Alert, told: Told) -> list[AlertEvent]:
    """What became of an alert and nobody was told of yet. An alert that is snoozed is silent, and one that nobody was told of
    when it was open is not told when it is resolved."""
    opened = told.get((alert.alert_id, "opened"))
    if opened is None:
        return ["opened"] if alert.state in ("open", "acknowledged") else []
    found: list[AlertEvent] = []
    if alert.state == "open" and alert.severity == "critical" and opened == "warn":
        found.append("escalated")
    elif alert.state in ("acknowledged", "resolved"):
        found.append("acknowledged" if alert.state == "acknowledged" else "resolved")
    return [event for event in found if (alert.alert_id, event) not in told]


def queue(
    alerts: Iterable[Alert],
    told: Told,
    preferences: Sequence[NotificationPreference],
    templates: Mapping[str, NotificationTemplate],
    *,
    at: datetime,
) -> list[Queued]:
    """The notifications of every event that is new, one a channel; by e-mail one a user. `at` is UTC without a zone."""
    found: dict[str, Queued] = {}
    for alert in alerts:
        for event in events_of(alert, told):
            for channel, preference in targets(alert, preferences):
                made = _queued(alert, event, channel, preference, templates[event], at)
                known = found.get(made.notification_id)
                if known is None or made.due_at < known.due_at:  # of those who share a channel, who is awake decides
                    found[made.notification_id] = made
    return list(found.values())


def targets(alert: Alert, preferences: Sequence[NotificationPreference]) -> Iterator[tuple[Channel, NotificationPreference]]:
    """The channels that are told of an alert, with the preference that asks for it."""
    for each in preferences:
        rules = msgspec.json.decode(each.rules, type=list[str])
        if not each.enabled or (rules and alert.rule not in rules) or (each.severity == "critical" and alert.severity == "warn"):
            continue
        for channel in msgspec.json.decode(each.channels, type=list[Channel]):
            yield channel, each


def awake_at(preference: NotificationPreference, at: datetime) -> datetime:
    """The time itself, or the end of the user's quiet hours that it lies in; both UTC without a zone."""
    if preference.quiet_from is None or preference.quiet_until is None:
        return at
    zone = ZoneInfo(preference.time_zone)
    local = at.replace(tzinfo=UTC).astimezone(zone)
    begin, end = time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_until)
    now = local.time()
    is_quiet = begin <= now < end if begin <= end else now >= begin or now < end
    if not is_quiet:
        return at
    day = local.date() if now < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


def facts_of(alert: Alert, event: str) -> dict[str, str]:
    """What a template may name; contract.notifications.SAMPLE has the same names."""
    return {
        "title": alert.title,
        "rule": alert.rule,
        "entity": alert.entity,
        "severity": alert.severity,
        "event": event,
        "value": f"{alert.value:.6g}",
        "threshold": f"{alert.threshold:.6g}",
        "window": alert.window.isoformat(),
        "opened_at": f"{alert.opened_at:%Y-%m-%d %H:%M}",
        "as_of": alert.as_of.isoformat(),
        "note": alert.note or "",
        "alert_id": alert.alert_id,
    }


def _queued(
    alert: Alert,
    event: AlertEvent,
    channel: Channel,
    preference: NotificationPreference,
    template: NotificationTemplate,
    at: datetime,
) -> Queued:
    facts, is_mail = facts_of(alert, event), channel == "email"
    recipient = preference.user if is_mail else None
    said = "\n".join([alert.alert_id, event, channel, recipient or ""])
    return Queued(
        notification_id=hashlib.sha256(said.encode()).hexdigest()[:32],
        alert_id=alert.alert_id,
        event=event,
        severity=alert.severity,
        channel=channel,
        recipient=recipient,
        address=preference.email if is_mail else None,
        subject=" ".join(template.subject.format_map(facts).split()),
        body=template.body.format_map(facts),
        facts=facts,
        at=at,
        due_at=at if alert.severity == "critical" else awake_at(preference, at),
    )
