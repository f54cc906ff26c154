"""The one state machine of alerts: what was measured, what was known, and what is so now. No clock and no file of its own.

    a value above warn, found opens_after times      -> open
    open --acknowledge--> acknowledged, --snooze--> snoozed --its end--> open
    a value at clear or below, found clears_after times, or nothing measured any more -> resolved, for good

What began on one day is one alert: its key is rule, entity and the day of data on which it began, and it is not opened again while
that lasts, whoever resolved it. The same data, looked at again, count once.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from assets_config.contract.alerts import Alert, AlertRule, Severity, UpdateAlertParams

Key = tuple[str, str]  # rule, entity


class Measured(Struct, frozen=True):
    """One value of one rule; larger is worse."""

    rule: str
    entity: str
    value: float
    title: str
    evidence: str  # a JSON object
    store_id: int | None = None
    product_id: int | None = None


class Signal(Struct, frozen=True):
    """How often in a row a rule was found for an entity, or found gone; kept from the first time until it is gone."""

    rule: str
    entity: str
    since: date
    found: int
    gone: int
    dataset_id: str  # the data that were counted last

    @property
    def key(self) -> Key:
        return self.rule, self.entity


class Book(Struct, frozen=True):
    """All that is known of alerts: signals by rule and entity, alerts by id."""

    signals: dict[Key, Signal]
    alerts: dict[str, Alert]


def alert_id(rule: str, entity: str, window: date) -> str:
    """32 hex digits: the same rule, entity and window are the same alert."""
    return hashlib.sha256(f"{rule}\n{entity}\n{window.isoformat()}".encode()).hexdigest()[:32]


def looked_at(
    book: Book, measured: Iterable[Measured], rules: Mapping[str, AlertRule], *, dataset_id: str, as_of: date, at: datetime
) -> Book:
    """What is so after every enabled rule was looked at; the same data and rules, looked at again, change nothing.

    Takes    values of any rules (those that are not enabled are passed over); `at`: now, in UTC without a zone.
    """
    now = {(each.rule, each.entity): each for each in measured if each.rule in rules and rules[each.rule].enabled}
    signals: dict[Key, Signal] = {}
    alerts = {number: _woken(alert, at) for number, alert in book.alerts.items()}
    for key in sorted(now.keys() | book.signals.keys()):
        value, signal, rule = now.get(key), book.signals.get(key), rules.get(key[0])
        number = alert_id(*key, signal.since) if signal else ""
        if value is None or rule is None:  # gone at once: what it is about is no longer there, or nobody looks
            if number in alerts:
                alerts[number] = resolved(alerts[number], at, "it is no longer measured")
            continue
        counted = _counted(signal, value, rule, dataset_id, as_of)
        if counted is None or counted.gone >= rule.clears_after:
            if number in alerts:
                alerts[number] = resolved(_seen(alerts[number], value, rule, as_of, at), at, None)
            continue
        signals[key] = counted
        number = alert_id(*key, counted.since)
        if number in alerts:
            alerts[number] = _seen(alerts[number], value, rule, as_of, at)
        elif counted.found >= rule.opens_after:
            alerts[number] = _opened(number, value, rule, counted.since, as_of, at)
    return Book(signals, alerts)


def resolved(alert: Alert, at: datetime, note: str | None) -> Alert:
    """The alert resolved by nobody in particular; one that is so already stays as it is."""
    if alert.state == "resolved":
        return alert
    return replace(alert, state="resolved", changed_at=at, changed_by=None, snoozed_until=None, note=alert.note or note)


def updated(alert: Alert, command: UpdateAlertParams, *, at: datetime, by: str) -> Alert:
    """An alert after a command that may be carried out; what the command does not give stays."""
    note = alert.note if command.note is None else command.note or None
    if command.action is None:
        return replace(alert, note=note, changed_at=at, changed_by=by) if note != alert.note else alert
    states: Any = {"acknowledge": "acknowledged", "snooze": "snoozed", "resolve": "resolved", "reopen": "open"}
    until = None
    if command.action == "snooze" and command.until is not None:
        until = command.until.astimezone(UTC).replace(tzinfo=None)
    return replace(alert, state=states[command.action], note=note, changed_at=at, changed_by=by, snoozed_until=until)


def severity_of(value: float, rule: AlertRule, before: Severity | None) -> Severity:
    """Critical above its threshold; once it is, until the value is as far below it as clear is below warn."""
    if rule.critical is None:
        return "warn"
    if value > rule.critical:
        return "critical"
    return "critical" if before == "critical" and value > rule.critical - (rule.warn - rule.clear) else "warn"


def _counted(signal: Signal | None, value: Measured, rule: AlertRule, dataset_id: str, as_of: date) -> Signal | None:
    """The signal after one more look; None where there is nothing to remember."""
    is_same = signal is not None and signal.dataset_id == dataset_id
    if value.value > rule.warn:
        if signal is None:
            return Signal(value.rule, value.entity, as_of, 1, 0, dataset_id)
        return signal if is_same and not signal.gone else replace(signal, found=signal.found + 1, gone=0, dataset_id=dataset_id)
    if signal is None:
        return None
    if value.value <= rule.clear:
        return signal if is_same and signal.gone else replace(signal, gone=signal.gone + 1, dataset_id=dataset_id)
    if signal.found < rule.opens_after:
        return None  # found, but not in a row
    return signal if is_same else replace(signal, gone=0, dataset_id=dataset_id)


def _opened(number: str, value: Measured, rule: AlertRule, since: date, as_of: date, at: datetime) -> Alert:
    return Alert(
        alert_id=number,
        rule=value.rule,
        entity=value.entity,
        window=since,
        state="open",
        severity=severity_of(value.value, rule, None),
        title=value.title,
        value=value.value,
        threshold=rule.warn,
        evidence=value.evidence,
        store_id=value.store_id,
        product_id=value.product_id,
        opened_at=at,
        changed_at=at,
        changed_by=None,
        snoozed_until=None,
        note=None,
        as_of=as_of,
    )


def _seen(alert: Alert, value: Measured, rule: AlertRule, as_of: date, at: datetime) -> Alert:
    """An alert with what was measured now. A resolved one stays as it was when it was resolved."""
    if alert.state == "resolved":
        return alert
    severity = severity_of(value.value, rule, alert.severity)
    changed = {} if severity == alert.severity else {"changed_at": at, "changed_by": None}
    return replace(alert, value=value.value, title=value.title, evidence=value.evidence, severity=severity, as_of=as_of, **changed)


def _woken(alert: Alert, at: datetime) -> Alert:
    """A snoozed alert is open again after its time."""
    if alert.state != "snoozed" or alert.snoozed_until is None or alert.snoozed_until > at:
        return alert
    return replace(alert, state="open", changed_at=at, changed_by=None, snoozed_until=None)
