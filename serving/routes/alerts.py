"""What is wrong, since when, and who sees to it?"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.alerts import Alert, AlertChange, AlertState, Severity, UpdateAlertParams, why_not_update
from serving.filters import product_of, store_of
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_from
from serving.parameters import OfProduct, OfStore
from serving.problems import Conflict, NotFound, invalid
from serving.reply import Metadata, metadata, rounded
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

AlertPath = Annotated[str, PathParameter(description="alert_id of an alert; see /alerts.")]


class AlertSaid(Struct, frozen=True):
    """Something that a rule found."""

    alert_id: Annotated[str, Meta(description="Read it with its evidence at /alerts/{alert_id}.")]
    rule: Annotated[str, Meta(description="Rule that found it; see /alert-rules.")]
    entity: Annotated[str, Meta(description="What it is about, for example store:S001/product:SKU-0001.")]
    window: Annotated[date, Meta(description="Last day of sales when it began.")]
    state: Annotated[AlertState, Meta(description="open, acknowledged, snoozed or resolved.")]
    severity: Annotated[Severity, Meta(description="warn or critical; it falls only where the value falls well below.")]
    title: Annotated[str, Meta(description="What was found, in words.")]
    value: Annotated[float, Meta(description="What was measured last.")]
    threshold: Annotated[float, Meta(description="Value above which it opened.")]
    store_id: Annotated[int | None, Meta(description="Store that it is about; null where it is about no single one.")]
    product_id: Annotated[int | None, Meta(description="Product that it is about; null where it is about no single one.")]
    opened_at: Annotated[datetime, Meta(description="When it was opened, UTC.")]
    changed_at: Annotated[datetime, Meta(description="When its state or severity last changed, UTC.")]
    changed_by: Annotated[str | None, Meta(description="Job that changed it; null where the rule did.")]
    snoozed_until: Annotated[datetime | None, Meta(description="Until when nobody is told of it, UTC; null unless snoozed.")]
    note: Annotated[str | None, Meta(description="What people said of it.")]
    as_of: Annotated[date, Meta(description="Last day of sales when it was measured last.")]


class EvidenceRow(Struct, frozen=True):
    """One thing that an alert was found from."""

    name: Annotated[str, Meta(description="What it is, a column of the table that was looked at.")]
    value: Annotated[str | float | bool | None, Meta(description="What it was.")]


class AlertAnswer(AlertSaid, frozen=True):
    """An alert, what it was found from, and where that was read."""

    evidence: Annotated[list[EvidenceRow], Meta(description="What it was found from.")]
    metadata: Metadata


@table("/alerts", operation_id="list_alerts", tags=["alerts"])
async def list_alerts(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    alert_state: Annotated[AlertState | None, QueryParameter(description="Only alerts in this state.")] = None,
    severity: Annotated[Severity | None, QueryParameter(description="Only alerts that are as severe.")] = None,
    rule: Annotated[str | None, QueryParameter(description="Only alerts of this rule; see /alert-rules.")] = None,
    entity: Annotated[str | None, QueryParameter(description="Only alerts about this, as alerts say it.")] = None,
    store_id: OfStore = None,
    product_id: OfProduct = None,
) -> Listed[AlertSaid]:
    """What rules found, newest first: stock that runs out, forecasts that are off, data that are late or wrong.

    Ask alert_state=open for what nobody sees to. /alerts/{alert_id} has the evidence; PATCH it to acknowledge, snooze or resolve.
    """
    wanted = {
        "state = ?": alert_state,
        "severity = ?": severity,
        "rule = ?": rule,
        "entity = ?": entity,
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "product_id = ?": product_of(lease, product_id) if product_id else None,
    }
    order = "opened_at DESC, alert_id"
    return await page_from(lease, "alert", _said, wanted, order=order, page=page, page_size=page_size)


@get("/alerts/{alert_id:str}", operation_id="get_alert", tags=["alerts"])
async def get_alert(lease: NamedDependency[Snapshot], alert_id: AlertPath) -> AlertAnswer:
    """One alert with what it was found from.

    /notifications tells who was told of it.
    """
    found = await alert_of(lease, alert_id)
    evidence = [EvidenceRow(name, rounded(value)) for name, value in msgspec.json.decode(found.evidence).items()]
    said = structs.asdict(_said(**structs.asdict(found)))
    return AlertAnswer(**said, evidence=evidence, metadata=metadata(lease, "alerts"))


@patch("/alerts/{alert_id:str}", operation_id="update_alert", tags=["alerts"], status_code=202, opt=OPERATOR)
async def update_alert(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    alert_id: AlertPath,
    data: JSONBody[AlertChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Acknowledge, snooze, resolve or reopen an alert, or say something of it.

    409 where its state does not allow it: a resolved alert stays resolved, and what goes on is not found anew until it was gone.
    """
    alert = await alert_of(lease, alert_id)
    if data.action is None and data.note is None:
        raise invalid("body", None, "has nothing to change: send action or note", code="missing")
    if data.until is not None and data.action != "snooze":
        raise invalid("until", data.until.isoformat(), "is for action snooze only")
    params = UpdateAlertParams(**structs.asdict(data), alert_id=alert.alert_id)
    if not state.jobs.is_repeated("update_alert", params, idempotency_key):
        if params.action == "snooze" and why_not_update(params, "open", now=datetime.now(UTC)):
            raise invalid(
                "until", None if data.until is None else data.until.isoformat(), "send a time to come, in UTC before the year 10000"
            )
        why = why_not_update(params, alert.state, now=datetime.now(UTC))
        if why is not None:
            raise Conflict(why)
    return await start(request, state, "update_alert", params, idempotency_key)


async def alert_of(lease: Snapshot, alert_id: str) -> Alert:
    """A published alert. Raises NotFound."""
    for row in await lease.rows("alerts", "alert", "alert_id = ?", [alert_id]):
        return Alert(**row)
    raise NotFound(f"No alert has the id '{alert_id[:100]}'; /api/v1/alerts lists them.")


def _said(**row: Any) -> AlertSaid:
    times = {name: _utc(row[name]) for name in ("opened_at", "changed_at", "snoozed_until")}
    return AlertSaid(**{name: value for name, value in (row | times).items() if name != "evidence"})


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
