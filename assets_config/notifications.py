"""Who is told of alerts where nobody set it, and in which words: notifications.yaml, read into Structs."""

from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from assets_config.contract.notifications import (
    AlertEvent,
    Preference,
    TemplateText,
    UserName,
    why_not_preference,
    why_not_template,
)
from assets_config.entries import DeclarationError, entries_of


class DeclaredPreference(Preference, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of preferences."""

    key: UserName


class DeclaredTemplate(TemplateText, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of templates."""

    key: AlertEvent


class Declared(Struct, frozen=True):
    """All of notifications.yaml."""

    preferences: dict[str, DeclaredPreference]
    templates: dict[str, DeclaredTemplate]


def notification_rules(overlay: Path | None = None) -> Declared:
    """The shipped entries, those of an overlay's notifications.yaml in place of the ones of the same key.

    Raises DeclarationError, naming entry and field.
    """
    members: dict[str, Any] = {"preferences": DeclaredPreference, "templates": DeclaredTemplate}
    found = entries_of("notifications.yaml", overlay, members)
    for each in found["preferences"]:
        _refuse(each.key, why_not_preference(each))
    for each in found["templates"]:
        _refuse(each.key, why_not_template(each))
    declared = Declared(*({each.key: each for each in found[member]} for member in members))
    missing = set(get_args(AlertEvent)) - declared.templates.keys()
    assert not missing, f"assets_config/notifications.yaml has no template for {missing}"
    return declared


def _refuse(key: str, fault: tuple[str, str] | None) -> None:
    if fault is not None:
        raise DeclarationError(f"notifications.yaml: entry {key}: {fault[0]} {fault[1]}")


def plain(preference: Preference) -> dict[str, Any]:
    """A preference as the columns of the table have it: lists as JSON."""
    given = msgspec.structs.asdict(preference)
    lists = {name: msgspec.json.encode(list(dict.fromkeys(given[name]))).decode() for name in ("channels", "rules")}
    return given | lists
