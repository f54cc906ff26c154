"""Decide who is to be told, and tell: one process at a time, every step in the journal before the next.

An attempt is in the journal before anything is sent. Where a process was killed in between, the notification is sent again
under the same id, but for the file, which is looked into: no channel loses one, and whoever gets two can tell.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from assets_config.contract.durable import locked
from assets_config.contract.notifications import Notification, NotificationDelivery, RetryNotificationParams
from pipelines.errors import PipelineError
from pipelines.planning.alerts.state import read_book
from pipelines.planning.notifications.channels import Outlets, Undelivered, is_written, send
from pipelines.planning.notifications.journal import Again, Began, Ended, Held, Journal, Line, folded
from pipelines.planning.notifications.queue import queue, told_so_far
from pipelines.planning.notifications.state import preferences, templates
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

NOTIFICATIONS, DELIVERIES = "planning/notification", "planning/notification_delivery"
MOST_TRIES = 5
FIRST_WAIT = timedelta(minutes=1)
"""Before the second try; each further one waits twice as long."""
MOST_A_RUN, SECONDS_A_RUN = 2000, 120.0
"""What one run sends at most, and how long; the rest is due at the next."""
Now = Callable[[], datetime]  # UTC without a zone


def journal_of(warehouse: Warehouse) -> Journal:
    """The journal of what was queued and sent."""
    return Journal(warehouse.folder / "planning" / "notification" / "journal.jsonl")


def deliver(
    warehouse: Warehouse, outlets: Outlets, *, now: Now, retry: RetryNotificationParams | None = None, by: str = ""
) -> None:
    """Queue what is new, send what is due, and write planning/notification.

    Raises   PipelineError, for a retry of a notification that is not there or was not given up; nothing is sent then.
    """
    with locked(warehouse.folder / "planning" / "notification.lock"):
        journal, book = journal_of(warehouse), read_book(warehouse)
        held = folded(journal.lines())
        begun = [_recovered(each, outlets, now()) for each in held.values() if each.is_sending]
        if retry is not None:
            begun.append(_again(held, retry, now(), by))
        rows = [each.row for each in held.values()]
        new = queue(book.alerts.values(), told_so_far(rows), preferences(warehouse), templates(warehouse), at=now())
        journal.add([*begun, *new])
        _send_due(journal, outlets, now)
        journal.forget(book.alerts)
        found = [each.row for each in folded(journal.lines()).values()]
        warehouse.write(NOTIFICATIONS, frame_of(Notification, found))


def write_deliveries(warehouse: Warehouse) -> None:
    """Write planning/notification_delivery from the journal."""
    found = [row for each in folded(journal_of(warehouse).lines()).values() for row in each.deliveries]
    warehouse.write(DELIVERIES, frame_of(NotificationDelivery, found))


def due(warehouse: Warehouse, at: datetime) -> list[str]:
    """The ids of the notifications that wait and whose time has come."""
    held = folded(journal_of(warehouse).lines()).values()
    return [each.row.notification_id for each in held if each.row.due_at is not None and each.row.due_at <= at]


def _send_due(journal: Journal, outlets: Outlets, now: Now) -> None:
    until, at = time.monotonic() + SECONDS_A_RUN, now()
    waiting = [each for each in folded(journal.lines()).values() if each.row.due_at is not None and each.row.due_at <= at]
    for each in sorted(waiting, key=lambda held: held.row.severity != "critical")[:MOST_A_RUN]:
        if time.monotonic() > until:
            break
        journal.add([Began(each.row.notification_id, now())])
        journal.add([_tried(each, outlets, now)])


def _tried(held: Held, outlets: Outlets, now: Now) -> Line:
    number = held.row.notification_id
    try:
        return Ended(number, detail=send(held.queued, outlets), outcome="delivered", at=now())
    except Undelivered as error:
        wait = None if error.is_final or held.tries + 1 >= MOST_TRIES else FIRST_WAIT * 2**held.tries
        at = now()
        return Ended(number, at, "failed", str(error), None if wait is None else at + wait)


def _recovered(held: Held, outlets: Outlets, at: datetime) -> Line:
    """The end of an attempt whose process was killed; it is due again at once."""
    number = held.row.notification_id
    if is_written(held.queued, outlets):
        return Ended(number, at, "delivered", "it had been written when the run was killed")
    is_last = held.tries >= MOST_TRIES
    return Ended(number, at, "unknown", "the run was killed while it was sent", None if is_last else at)


def _again(held: dict[str, Held], retry: RetryNotificationParams, at: datetime, by: str) -> Line:
    if retry.notification_id not in held:
        raise PipelineError(f"no notification has the id {retry.notification_id}: it is kept no more, or never was")
    state = held[retry.notification_id].row.state
    if state != "dead":
        raise PipelineError(f"Notification {retry.notification_id} is {state}: only one that was given up is tried again by hand.")
    return Again(retry.notification_id, at, by)
