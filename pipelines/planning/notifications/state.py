"""Who is told and in which words, as people set it over notifications.yaml; changed under one lock, by jobs alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from assets_config.contract.durable import locked
from assets_config.contract.notifications import (
    NotificationPreference,
    NotificationTemplate,
    Preference,
    SetPreferenceParams,
    SetTemplateParams,
    TemplateText,
    why_not_preference,
    why_not_template,
)
from assets_config.notifications import Declared, plain
from pipelines.errors import PipelineError
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

PREFERENCES, TEMPLATES = "planning/notification_preference", "planning/notification_template"
MOST_USERS = 1000


def preferences(warehouse: Warehouse) -> list[NotificationPreference]:
    """What each user is told of, as people set it."""
    return [NotificationPreference(**row) for row in _rows(warehouse, PREFERENCES)]


def templates(warehouse: Warehouse) -> dict[str, NotificationTemplate]:
    """The templates by event."""
    return {row["event"]: NotificationTemplate(**row) for row in _rows(warehouse, TEMPLATES)}


def change_preferences(
    warehouse: Warehouse, declared: Declared, commands: Sequence[SetPreferenceParams], *, at: datetime, by: str
) -> None:
    """Write the preferences that hold: declared ones, those that people set over them, and what the commands say.

    Raises   PipelineError, naming user and field.
    """
    with locked(warehouse.folder / "planning" / "notification_state.lock"):
        kept = {each.user: each for each in preferences(warehouse) if each.changed_at is not None}
        found = {key: _preference(key, each, None, None) for key, each in declared.preferences.items()} | kept
        for command in commands:
            _refuse(command.user, why_not_preference(command))
            found[command.user] = _preference(command.user, command, at, by)
        if len(found) > MOST_USERS:
            raise PipelineError(f"{len(found)} users have preferences, at most {MOST_USERS} may")
        warehouse.write_changed(PREFERENCES, frame_of(NotificationPreference, [found[key] for key in sorted(found)]))


def change_templates(
    warehouse: Warehouse, declared: Declared, commands: Sequence[SetTemplateParams], *, at: datetime, by: str
) -> None:
    """Write the templates that hold: declared ones, those that people set over them, and what the commands say.

    Raises   PipelineError, naming event and field: a name that no template may have.
    """
    with locked(warehouse.folder / "planning" / "notification_state.lock"):
        kept = {key: each for key, each in templates(warehouse).items() if each.changed_at is not None}
        found = {key: _template(key, each, None, None) for key, each in declared.templates.items()} | kept
        for command in commands:
            _refuse(command.event, why_not_template(command))
            found[command.event] = _template(command.event, command, at, by)
        warehouse.write_changed(TEMPLATES, frame_of(NotificationTemplate, [found[key] for key in sorted(found)]))


def _preference(user: str, given: Preference, at: datetime | None, by: str | None) -> NotificationPreference:
    said = {name: value for name, value in plain(given).items() if name in NotificationPreference.__struct_fields__}
    return NotificationPreference(**{**said, "user": user}, changed_at=at, changed_by=by)


def _template(event: Any, given: TemplateText, at: datetime | None, by: str | None) -> NotificationTemplate:
    return NotificationTemplate(event, given.subject, given.body, at, by)


def _refuse(name: str, fault: tuple[str, str] | None) -> None:
    if fault is not None:
        raise PipelineError(f"{name}: {fault[0]} {fault[1]}")


def _rows(warehouse: Warehouse, key: str) -> list[dict[str, Any]]:
    return list(warehouse.read(key).iter_rows(named=True)) if warehouse.path(key).exists() else []
