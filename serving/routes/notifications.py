"""Who was told of what, did it arrive, and try again?"""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.alerts import Severity
from assets_config.contract.notifications import (
    AlertEvent,
    Channel,
    NotificationState,
    Outcome,
    RetryNotificationParams,
)
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_from
from serving.problems import Conflict, NotFound
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

RETRY = "/notifications/{notification_id:str}/retry"
NotificationPath = Annotated[str, PathParameter(description="notification_id of a notification; see /notifications.")]


class NotificationSaid(Struct, frozen=True):
    """That a channel is told of what became of an alert, once."""

    notification_id: Annotated[str, Meta(description="Its attempts are at /notifications/{notification_id}/deliveries.")]
    alert_id: Annotated[str, Meta(description="The alert; read it at /alerts/{alert_id}.")]
    event: Annotated[AlertEvent, Meta(description="What became of the alert.")]
    severity: Annotated[Severity, Meta(description="Severity of the alert then.")]
    channel: Annotated[Channel, Meta(description="log, file, webhook or email.")]
    recipient: Annotated[str | None, Meta(description="User that is told by e-mail; null for channels that all share.")]
    subject: Annotated[str, Meta(description="Its first line.")]
    state: Annotated[NotificationState, Meta(description="waiting, delivered, or dead: given up, see reason.")]
    attempts: Annotated[int, Meta(description="Times that it was tried.")]
    due_at: Annotated[datetime | None, Meta(description="When it is tried next, UTC; null unless it waits.")]
    reason: Annotated[str | None, Meta(description="What the last failed attempt met.")]
    created_at: Annotated[datetime, Meta(description="When it was decided to be sent, UTC.")]
    changed_at: Annotated[datetime, Meta(description="When something last happened to it, UTC.")]


class DeliverySaid(Struct, frozen=True):
    """One attempt to deliver a notification."""

    attempt: Annotated[int, Meta(description="Number of the attempt, from 1.")]
    began_at: Annotated[datetime, Meta(description="When it began, UTC.")]
    ended_at: Annotated[datetime | None, Meta(description="When it ended, UTC; null where the process was killed.")]
    outcome: Annotated[Outcome, Meta(description="delivered; failed; unknown: killed while it was sent, it may have arrived.")]
    detail: Annotated[str, Meta(description="What the other side said, or what went wrong.")]


@table("/notifications", operation_id="list_notifications", tags=["alerts"])
async def list_notifications(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    notification_state: Annotated[NotificationState | None, QueryParameter(description="Only those in this state.")] = None,
    channel: Annotated[Channel | None, QueryParameter(description="Only those of this channel.")] = None,
    alert_id: Annotated[str | None, QueryParameter(description="Only those of this alert; see /alerts.")] = None,
) -> Listed[NotificationSaid]:
    """Who was told of what became of alerts, newest first, and what waits or was given up.

    Ask notification_state=dead for what did not arrive; POST /notifications/{notification_id}/retry tries it again.
    """
    wanted = {"state = ?": notification_state, "channel = ?": channel, "alert_id = ?": alert_id}
    order = "created_at DESC, notification_id"
    return await page_from(lease, "notification", _notification, wanted, order=order, page=page, page_size=page_size)


@table("/notifications/{notification_id:str}/deliveries", operation_id="list_deliveries", tags=["alerts"])
async def list_deliveries(
    lease: NamedDependency[Snapshot], notification_id: NotificationPath, page: Page = 1, page_size: PageSize = 20
) -> Listed[DeliverySaid]:
    """The attempts to deliver a notification, the first one first, with what the other side said."""
    await _state_of(lease, notification_id)
    wanted = {"notification_id = ?": notification_id}
    return await page_from(lease, "notification_delivery", _delivery, wanted, order="attempt", page=page, page_size=page_size)


@post(
    "/notifications/{notification_id:str}/retry", operation_id="retry_notification", tags=["alerts"], status_code=202, opt=OPERATOR
)
async def retry_notification(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    notification_id: NotificationPath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Try a notification again that was given up, five times more. 409 for one that waits or was delivered."""
    found = await _state_of(lease, notification_id)
    params = RetryNotificationParams(notification_id)
    if found != "dead" and not state.jobs.is_repeated("retry_notification", params, idempotency_key):
        raise Conflict(f"Notification {notification_id} is {found}: only one that was given up is tried again by hand.")
    return await start(request, state, "retry_notification", params, idempotency_key)


async def _state_of(lease: Snapshot, notification_id: str) -> NotificationState:
    for row in await lease.rows("notifications", "notification", "notification_id = ?", [notification_id]):
        state: NotificationState = row["state"]
        return state
    raise NotFound(f"No notification has the id '{notification_id[:100]}'; /api/v1/notifications lists them.")


def _notification(**row: Any) -> NotificationSaid:
    return NotificationSaid(**{name: _utc(value) for name, value in row.items()})


def _delivery(**row: Any) -> DeliverySaid:
    return DeliverySaid(**{name: _utc(value) for name, value in row.items() if name != "notification_id"})


def _utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
