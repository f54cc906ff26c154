"""Who is told of alerts, how, and what came of it: published tables, commands, and when one is refused."""

from datetime import datetime
from string import Formatter
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.alerts import RuleKey, Severity
from assets_config.contract.columns import column
from assets_config.contract.state import NOT_NUL

Channel = Literal["log", "file", "webhook", "email"]
AlertEvent = Literal["opened", "escalated", "acknowledged", "resolved"]
NotificationState = Literal["waiting", "delivered", "dead"]
Outcome = Literal["delivered", "failed", "unknown"]
UserName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(?!\n)$", description="Who is told: lower case, digits, dots, - and _.")
]
NotificationId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="A notification of /notifications.")]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$", description="Time of day, 00:00 to 23:59.")]
Address = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}(?!\n)$", description="An e-mail address.")
]

SAMPLE = {
    "title": "SKU-0001 in S001 runs out with a chance of 0.9 before an order could arrive: 3 units are on hand and on order.",
    "rule": "stockout_risk",
    "entity": "store:S001/product:SKU-0001",
    "severity": "critical",
    "event": "opened",
    "value": "0.9",
    "threshold": "0.5",
    "window": "2024-12-31",
    "opened_at": "2025-01-01 06:00",
    "as_of": "2024-12-31",
    "note": "more is on its way",
    "alert_id": "0" * 32,
}
"""What a template may name, with values that it is tried with."""
MOST_SUBJECT, MOST_BODY = 500, 20_000  # letters, with the sample in it


class Notification(Struct, frozen=True):
    """That a channel is told of what became of an alert, once."""

    notification_id: Annotated[str, column("Hash of alert, event, channel and recipient; receivers know a repeated one by it.")]
    alert_id: Annotated[str, column("The alert; read it at /alerts/{alert_id}.")]
    event: Annotated[AlertEvent, column("What became of the alert.")]
    severity: Annotated[Severity, column("Severity of the alert then.")]
    channel: Annotated[Channel, column("log, file, webhook or email.")]
    recipient: Annotated[str | None, column("User that is told by e-mail; null for channels that all share.")]
    subject: Annotated[str, column("Its first line.")]
    state: Annotated[NotificationState, column("waiting, delivered, or dead: given up, see reason.")]
    attempts: Annotated[int, column("Times that it was tried.")]
    due_at: Annotated[datetime | None, column("When it is tried next, UTC; null unless it waits.")]
    reason: Annotated[str | None, column("What the last failed attempt met; null where none failed since it was delivered.")]
    created_at: Annotated[datetime, column("When it was decided to be sent, UTC.")]
    changed_at: Annotated[datetime, column("When something last happened to it, UTC.")]


class NotificationDelivery(Struct, frozen=True):
    """One attempt to deliver a notification."""

    notification_id: Annotated[str, column("The notification.")]
    attempt: Annotated[int, column("Number of the attempt, from 1.")]
    began_at: Annotated[datetime, column("When it began, UTC.")]
    ended_at: Annotated[datetime | None, column("When it ended, UTC; null where the process was killed.")]
    outcome: Annotated[Outcome, column("delivered; failed; unknown: killed while it was sent, it may have arrived.")]
    detail: Annotated[str, column("What the other side said, or what went wrong.")]


class NotificationPreference(Struct, frozen=True):
    """What a user is told of, and how."""

    user: Annotated[str, column("Who is told.")]
    enabled: Annotated[bool, column("Whether the user is told of anything.")]
    channels: Annotated[str, column("How, as a JSON list of log, file, webhook and email.")]
    severity: Annotated[Severity, column("The least severity that the user is told of.")]
    rules: Annotated[str, column("Of which rules, as a JSON list; empty: of all.")]
    email: Annotated[str | None, column("Where e-mail goes.")]
    quiet_from: Annotated[str | None, column("From this time of day on warnings wait; null: never.")]
    quiet_until: Annotated[str | None, column("Until this time of day they wait.")]
    time_zone: Annotated[str, column("Zone of these times, for example Europe/Berlin.")]
    changed_at: Annotated[datetime | None, column("When it was set, UTC; null: it is as notifications.yaml says.")]
    changed_by: Annotated[str | None, column("Job that set it; null: it is as notifications.yaml says.")]


class NotificationTemplate(Struct, frozen=True):
    """In which words an event of an alert is told."""

    event: Annotated[AlertEvent, column("What became of the alert.")]
    subject: Annotated[str, column("First line, with names in braces.")]
    body: Annotated[str, column("The text, with names in braces.")]
    changed_at: Annotated[datetime | None, column("When it was set, UTC; null: it is as notifications.yaml says.")]
    changed_by: Annotated[str | None, column("Job that set it; null: it is as notifications.yaml says.")]


class DeliverParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Tell of what became of alerts, and try again what is due."""


class RetryNotificationParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Try a notification again that was given up."""

    notification_id: NotificationId


class Preference(Struct, frozen=True, forbid_unknown_fields=True):
    """What a user is told of, and how. It replaces what was set before."""

    channels: Annotated[list[Channel], Meta(max_length=4, description="How; empty: not at all.")]
    enabled: Annotated[bool, Meta(description="Whether the user is told of anything.")] = True
    severity: Annotated[Severity, Meta(description="The least severity that the user is told of.")] = "warn"
    rules: Annotated[list[RuleKey], Meta(max_length=50, description="Of which rules; empty: of all.")] = []
    email: Annotated[Address | None, Meta(description="Where e-mail goes; needed for the channel email.")] = None
    quiet_from: Annotated[Clock | None, Meta(description="From this time of day on warnings wait; critical ones never do.")] = None
    quiet_until: Annotated[Clock | None, Meta(description="Until this time of day they wait.")] = None
    time_zone: Annotated[str, Meta(max_length=64, pattern=NOT_NUL, description="Zone of the times, as Europe/Berlin.")] = "UTC"


class SetPreferenceParams(Preference, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what a user is told of, and how."""

    user: UserName


class TemplateText(Struct, frozen=True, forbid_unknown_fields=True):
    """Words, with names in braces: {title}, {rule}, {entity}, {severity}, {value} ..."""

    subject: Annotated[str, Meta(min_length=1, max_length=200, pattern=NOT_NUL, description="First line.")]
    body: Annotated[str, Meta(min_length=1, max_length=5000, pattern=NOT_NUL, description="The text.")]


class SetTemplateParams(TemplateText, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say in which words an event of an alert is told."""

    event: Annotated[AlertEvent, Meta(description="What became of the alert.")]


def why_not_preference(given: Preference) -> tuple[str, str] | None:
    """The field that is at fault and why, as a sentence; None where none is."""
    if "email" in given.channels and given.email is None:
        return "email", "is needed for the channel email"
    if (given.quiet_from is None) != (given.quiet_until is None):
        return "quiet_until" if given.quiet_until is None else "quiet_from", "send quiet_from and quiet_until, or none of them"
    from zoneinfo import ZoneInfo  # here, since it loads how Python was built

    try:
        ZoneInfo(given.time_zone)
    except (ValueError, OSError, LookupError):  # unknown, a folder, or a path that leads elsewhere
        return "time_zone", "is no time zone; Europe/Berlin or UTC would be one"
    return None


def why_not_template(given: TemplateText) -> tuple[str, str] | None:
    """The field that is at fault and why, as a sentence; None where both can be filled in with SAMPLE.

    Names stand in braces, alone: no index, no attribute, no format, so that a text reads nothing but what it is given.
    """
    for field, text, most in (("subject", given.subject, MOST_SUBJECT), ("body", given.body, MOST_BODY)):
        try:
            for _, name, form, conversion in Formatter().parse(text):
                if name in SAMPLE and (form or conversion):
                    return field, f"{{{name}}} has a format or a conversion: write the name alone in its braces"
                if name is not None and name not in SAMPLE:
                    return field, f"{{{name}}} is unknown; known are {', '.join(f'{{{each}}}' for each in SAMPLE)}"
            if len(text.format_map(SAMPLE)) > most:
                return field, f"has more than {most} letters, filled in"
        except ValueError as error:
            return field, f"{error}; braces of the text itself are written twice"
    return None
