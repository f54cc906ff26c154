"""What was decided to be sent and what came of it: lines of JSON that are only added, each on the disk before what follows it.

A killed process leaves a line in part at most: it is cut off. An attempt that began and did not end was killed while it sent.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from assets_config.contract.alerts import Severity
from assets_config.contract.durable import sync, write_bytes
from assets_config.contract.notifications import AlertEvent, Channel, Notification, NotificationDelivery, Outcome

KEPT = 20_000
"""Notifications that are kept, the newest, besides those that wait and those of alerts that are kept."""


class Queued(Struct, frozen=True, tag="queued", tag_field="line"):
    """A notification, as it will be sent."""

    notification_id: str
    alert_id: str
    event: AlertEvent
    severity: Severity
    channel: Channel
    recipient: str | None  # user
    address: str | None  # where e-mail goes
    subject: str
    body: str
    facts: dict[str, str]
    at: datetime
    due_at: datetime


class Began(Struct, frozen=True, tag="began", tag_field="line"):
    """An attempt begins."""

    notification_id: str
    at: datetime


class Ended(Struct, frozen=True, tag="ended", tag_field="line"):
    """An attempt ended; without a time at which it is due again, for good."""

    notification_id: str
    at: datetime
    outcome: Outcome
    detail: str
    due_at: datetime | None = None


class Again(Struct, frozen=True, tag="again", tag_field="line"):
    """A person asked to try it again."""

    notification_id: str
    at: datetime
    by: str


Line = Queued | Began | Ended | Again


class Held(Struct, frozen=True):
    """A notification and all that happened to it."""

    queued: Queued
    row: Notification
    deliveries: list[NotificationDelivery]
    tries: int  # since it was queued, or a person asked to try it again
    is_sending: bool  # an attempt began and did not end


class Journal:
    """The journal of one data root. Whoever adds to it holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """Every whole line."""
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        decoder = msgspec.json.Decoder(Line)
        return [decoder.decode(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines; they are on the disk when this returns."""
        if not lines:
            return
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(handle, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(handle, 1, size - 1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
                file.seek(0, os.SEEK_END)
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self.path.parent)

    def forget(self, alerts: Iterable[str]) -> None:
        """Leave out old notifications of alerts that are kept no more, where there are many."""
        lines = self.lines()
        held, kept = folded(lines), set(alerts)
        done = [each.row for each in held.values() if each.row.state != "waiting" and each.row.alert_id not in kept]
        old = {row.notification_id for row in sorted(done, key=lambda row: row.created_at)[:-KEPT]}
        if old:
            left = [line for line in lines if line.notification_id not in old]
            write_bytes(self.path, b"".join(msgspec.json.encode(line) + b"\n" for line in left))


def folded(lines: Iterable[Line]) -> dict[str, Held]:
    """What became of every notification, by its id, in the order in which they were queued."""
    found: dict[str, Held] = {}
    for line in lines:
        before = found.get(line.notification_id)
        if isinstance(line, Queued):
            if before is None:
                found[line.notification_id] = Held(line, _row(line), [], 0, False)
        elif before is not None:
            found[line.notification_id] = _after(before, line)
    return found


def _row(line: Queued) -> Notification:
    return Notification(
        *(line.notification_id, line.alert_id, line.event, line.severity, line.channel, line.recipient, line.subject),
        *("waiting", 0, line.due_at, None, line.at, line.at),
    )


def _after(held: Held, line: Began | Ended | Again) -> Held:
    row = replace(held.row, changed_at=line.at)
    if isinstance(line, Again):
        return replace(held, row=replace(row, state="waiting", due_at=line.at), tries=0)
    if isinstance(line, Began):
        number = len(held.deliveries) + 1
        begun = NotificationDelivery(line.notification_id, number, line.at, None, "unknown", "it is being sent")
        row = replace(row, attempts=number)
        return replace(held, row=row, deliveries=[*held.deliveries, begun], tries=held.tries + 1, is_sending=True)
    *earlier, last = held.deliveries
    ended = replace(last, ended_at=None if line.outcome == "unknown" else line.at, outcome=line.outcome, detail=line.detail)
    if line.outcome == "delivered":
        row = replace(row, state="delivered", due_at=None, reason=None)
    else:
        row = replace(row, state="waiting" if line.due_at else "dead", due_at=line.due_at, reason=line.detail)
    return replace(held, row=row, deliveries=[*earlier, ended], is_sending=False)
