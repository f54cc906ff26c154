"""Alerts: their published tables, the commands that people give, and when one is refused."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.columns import CalendarDay, column
from assets_config.contract.state import NOT_NUL

AlertState = Literal["open", "acknowledged", "snoozed", "resolved"]
Severity = Literal["warn", "critical"]
AlertAction = Literal["acknowledge", "snooze", "resolve", "reopen"]
RuleKey = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,49}(?!\n)$", description="A rule of /alert-rules.")]
AlertId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="An alert of /alerts.")]
Threshold = Annotated[float, Meta(ge=-1e9, le=1e9)]
Note = Annotated[str, Meta(max_length=2000, pattern=NOT_NUL)]


class Alert(Struct, frozen=True):
    """Something that a rule found, from the day on which it began until it was resolved."""

    alert_id: Annotated[str, column("Hash of rule, entity and window: what is found once is one alert.")]
    rule: Annotated[str, column("Rule that found it; read it at /alert-rules.")]
    entity: Annotated[str, column("What it is about, for example store:S001/product:SKU-0001.")]
    window: Annotated[CalendarDay, column("Last day of sales when it began.")]
    state: Annotated[AlertState, column("open, acknowledged, snoozed or resolved.")]
    severity: Annotated[Severity, column("warn or critical; it falls only where the value falls well below.")]
    title: Annotated[str, column("What was found, in words.")]
    value: Annotated[float, column("What was measured last.")]
    threshold: Annotated[float, column("Value above which it opened.")]
    evidence: Annotated[str, column("What it was found from, names and values as JSON.")]
    store_id: Annotated[int | None, column("Store that it is about; null where it is about no single one.")]
    product_id: Annotated[int | None, column("Product that it is about; null where it is about no single one.")]
    opened_at: Annotated[datetime, column("When it was opened, UTC.")]
    changed_at: Annotated[datetime, column("When its state or severity last changed, UTC.")]
    changed_by: Annotated[str | None, column("Job that changed it; null where the rule did.")]
    snoozed_until: Annotated[datetime | None, column("Until when nobody is to be told of it, UTC; null unless snoozed.")]
    note: Annotated[str | None, column("What people said of it.")]
    as_of: Annotated[CalendarDay, column("Last day of sales when it was measured last.")]


class AlertRule(Struct, frozen=True):
    """What is worth an alert, as it holds now."""

    rule: Annotated[str, column("Name of the rule.")]
    about: Annotated[str, column("What is measured; larger is worse.")]
    enabled: Annotated[bool, column("Whether it is looked at; alerts of a rule that is not are resolved.")]
    warn: Annotated[float, column("A value above it opens an alert.")]
    critical: Annotated[float | None, column("A value above it makes the alert critical; null: it never is.")]
    clear: Annotated[float, column("At this value or below the alert is resolved.")]
    opens_after: Annotated[int, column("Times that it must be found, each time in other data.")]
    clears_after: Annotated[int, column("Times that it must be found gone, each time in other data.")]
    changed_at: Annotated[datetime | None, column("When it was set by a person, UTC; null: it is as alerts.yaml says.")]
    changed_by: Annotated[str | None, column("Job that set it; null: it is as alerts.yaml says.")]


class AlertsParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Look at every rule again."""


class AlertChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with an alert."""

    action: Annotated[
        AlertAction | None,
        Meta(description="acknowledge: somebody sees to it; snooze: nobody is told until then; resolve; reopen. Null: a note."),
    ] = None
    until: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="End of a snooze, with a time zone; for snooze only.")
    ] = None
    note: Annotated[Note | None, Meta(description="It replaces an earlier note; empty: none.")] = None


class UpdateAlertParams(AlertChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledge, snooze, resolve or reopen an alert, or say something of it."""

    alert_id: AlertId


class RuleChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a rule. What is not given stays."""

    enabled: Annotated[bool | None, Meta(description="Whether it is looked at.")] = None
    warn: Annotated[Threshold | None, Meta(description="A value above it opens an alert.")] = None
    critical: Annotated[Threshold | None, Meta(description="A value above it makes the alert critical.")] = None
    clear: Annotated[Threshold | None, Meta(description="At this value or below the alert is resolved.")] = None
    reset: Annotated[bool, Meta(description="Take the rule as alerts.yaml says, before what is given here.")] = False


class SetAlertRuleParams(RuleChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the thresholds of a rule, or whether it is looked at."""

    rule: RuleKey


ALLOWED: dict[AlertAction, tuple[AlertState, ...]] = {
    "acknowledge": ("open", "snoozed"),
    "snooze": ("open", "acknowledged", "snoozed"),
    "resolve": ("open", "acknowledged", "snoozed"),
    "reopen": ("acknowledged", "snoozed"),
}
"""The states that an action may start from; a resolved alert stays resolved."""


def why_not_update(command: UpdateAlertParams, state: AlertState, *, now: datetime) -> str | None:
    """Why an alert may not be changed so, as a sentence; None where it may. `now` has a time zone."""
    if command.action == "snooze" and not _is_to_come(command.until, now):
        return "A snooze needs `until`, a time to come."
    if command.action is not None and state not in ALLOWED[command.action]:
        allowed = " or ".join(ALLOWED[command.action])
        return f"Alert {command.alert_id} is {state}: {command.action} takes one that is {allowed}."
    return None


def _is_to_come(until: datetime | None, now: datetime) -> bool:
    try:
        return until is not None and until.astimezone(UTC) > now
    except OverflowError:  # in the last or first hours that there are, which UTC does not have
        return False


def why_not_set_rule(warn: float, critical: float | None, clear: float) -> str | None:
    """Why thresholds contradict each other, as a sentence; None where they do not."""
    if clear > warn:
        return f"clear ({clear:g}) must not lie above warn ({warn:g}): an alert would be opened and resolved at once."
    if critical is not None and critical < warn:
        return f"critical ({critical:g}) must not lie below warn ({warn:g})."
    return None
