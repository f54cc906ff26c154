"""Who is told of alerts, how, and in which words?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.alerts import Severity
from assets_config.contract.notifications import (
    AlertEvent,
    Channel,
    Preference,
    SetPreferenceParams,
    SetTemplateParams,
    TemplateText,
    UserName,
    why_not_preference,
    why_not_template,
)
from serving.formats import table
from serving.layers.rules import ADMIN, OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_from
from serving.problems import NotFound, invalid
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

UserPath = Annotated[str, PathParameter(description="Who is told; `everyone` is declared. Lower case, digits, dots, - and _.")]
EventPath = Annotated[str, PathParameter(description="Event of a template; see /notification-templates.")]


class PreferenceSaid(Struct, frozen=True):
    """What a user is told of, and how."""

    user: Annotated[str, Meta(description="Who is told.")]
    enabled: Annotated[bool, Meta(description="Whether the user is told of anything.")]
    channels: Annotated[list[Channel], Meta(description="How; empty: not at all.")]
    severity: Annotated[Severity, Meta(description="The least severity that the user is told of.")]
    rules: Annotated[list[str], Meta(description="Of which rules; empty: of all.")]
    email: Annotated[str | None, Meta(description="Where e-mail goes.")]
    quiet_from: Annotated[str | None, Meta(description="From this time of day on warnings wait; null: never.")]
    quiet_until: Annotated[str | None, Meta(description="Until this time of day they wait.")]
    time_zone: Annotated[str, Meta(description="Zone of the times.")]
    changed_at: Annotated[datetime | None, Meta(description="When it was set, UTC; null: it is as notifications.yaml says.")]
    changed_by: Annotated[str | None, Meta(description="Job that set it; null: it is as notifications.yaml says.")]


class PreferenceAnswer(PreferenceSaid, frozen=True):
    """What a user is told of, and where that was read."""

    metadata: Metadata


class TemplateSaid(Struct, frozen=True):
    """In which words an event of an alert is told."""

    event: Annotated[AlertEvent, Meta(description="What became of the alert.")]
    subject: Annotated[str, Meta(description="First line, with names in braces.")]
    body: Annotated[str, Meta(description="The text, with names in braces.")]
    changed_at: Annotated[datetime | None, Meta(description="When it was set, UTC; null: it is as notifications.yaml says.")]
    changed_by: Annotated[str | None, Meta(description="Job that set it; null: it is as notifications.yaml says.")]


@table("/notification-preferences", operation_id="list_preferences", tags=["alerts"])
async def list_preferences(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[PreferenceSaid]:
    """Who is told of alerts, and how, by user. `everyone` is as notifications.yaml says until it is set."""
    order = '"user"'
    return await page_from(lease, "notification_preference", _preference, {}, order=order, page=page, page_size=page_size)


@get("/notification-preferences/{user:str}", operation_id="get_preference", tags=["alerts"])
async def get_preference(lease: NamedDependency[Snapshot], user: UserPath) -> PreferenceAnswer:
    """What a user is told of, how, and when not. PUT it to change it."""
    for row in await lease.rows("state", "notification_preference", '"user" = ?', [user]):
        return PreferenceAnswer(**structs.asdict(_preference(**row)), metadata=metadata(lease, "state"))
    raise NotFound(f"No preferences are set for the user '{user[:100]}'; /api/v1/notification-preferences lists who has some.")


@put("/notification-preferences/{user:str}", operation_id="set_preference", tags=["alerts"], status_code=202, opt=OPERATOR)
async def set_preference(
    request: Request[Any, Any, Any],
    state: State,
    lease_if_any: NamedDependency[Snapshot | None],
    user: UserPath,
    data: JSONBody[Preference],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Say what a user is told of, and how; it replaces what was set before. Quiet hours hold warnings back, not what is critical.

    Log, file and webhook are shared: they are told once, whoever asks for it. E-mail goes to each user's address.
    """
    try:
        name = msgspec.convert(user, UserName)
    except msgspec.ValidationError as error:
        raise invalid("user", user[:100], "use at most 64 of lower case letters, digits, dots, - and _") from error
    fault = why_not_preference(data)
    if fault is not None:
        raise invalid(fault[0], getattr(data, fault[0]), fault[1])
    if lease_if_any is not None:  # before the first publish no rule is known
        await _check_rules(lease_if_any, data.rules)
    params = SetPreferenceParams(**structs.asdict(data), user=name)
    return await start(request, state, "set_preference", params, idempotency_key)


async def _check_rules(lease: Snapshot, rules: Sequence[str]) -> None:
    """Raises Validation for a rule that there is not, of which nobody would be told anything."""
    known = [row["rule"] for row in await lease.rows("state", "alert_rule", "true ORDER BY rule")]
    for n, rule in enumerate(rules if known else ()):
        if rule not in known:
            raise invalid(f"rules[{n}]", rule, f"use some of {', '.join(known)}")


@table("/notification-templates", operation_id="list_templates", tags=["alerts"])
async def list_templates(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[TemplateSaid]:
    """In which words events of alerts are told. PUT /notification-templates/{event} says others."""
    return await page_from(lease, "notification_template", _template, {}, order="event", page=page, page_size=page_size)


@put("/notification-templates/{event:str}", operation_id="set_template", tags=["alerts"], status_code=202, opt=ADMIN)
async def set_template(
    request: Request[Any, Any, Any],
    state: State,
    event: EventPath,
    data: JSONBody[TemplateText],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Say in which words an event is told: a subject and a body, with names in braces, as {title}, {entity} or {value}.

    422 for a name that is not known, and for anything in the braces beside it.
    """
    try:
        known = msgspec.convert(event, AlertEvent)
    except msgspec.ValidationError:
        raise NotFound(f"No event is called '{event[:100]}'; /api/v1/notification-templates lists them.") from None
    fault = why_not_template(data)
    if fault is not None:
        raise invalid(fault[0], getattr(data, fault[0])[:200], fault[1])
    params = SetTemplateParams(data.subject, data.body, event=known)
    return await start(request, state, "set_template", params, idempotency_key)


def _preference(**row: Any) -> PreferenceSaid:
    lists = {name: msgspec.json.decode(row[name]) for name in ("channels", "rules")}
    return PreferenceSaid(**{**row, **lists, "changed_at": _utc(row["changed_at"])})


def _template(**row: Any) -> TemplateSaid:
    return TemplateSaid(**{**row, "changed_at": _utc(row["changed_at"])})


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
