"""How both sides read their settings: the environment over a file `.env` in the working folder over defaults, typed.

A setting is a field of a Struct; its variable is the field's name in upper case after DEMANDGRAPH_. What both sides have
is listed in NAMES, so that either can tell a mistyped variable from one of the other side.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

T = TypeVar("T", bound=Struct)
Origin = Literal["environment", ".env", "default", "changed"]
PREFIX = "DEMANDGRAPH_"
NAMES = tuple(
    f"{PREFIX}{name}"
    for name in (
        *("DATA", "CONFIG", "EXECUTOR", "MEMORY", "THREADS"),
        "EMBEDDING_KEY",
        *("WEBHOOK_URL", "WEBHOOK_SECRET", "SMTP_URL", "MAIL_FROM"),
        *("HOST", "PORT", "ALLOWED_HOSTS", "WORKERS", "DAGSTER_URL"),
        *("API_KEYS", "READER_OPEN", "CORS_ORIGINS", "READ_RATE", "WRITE_RATE", "RATE_BURST_SECONDS"),
        *("MAX_DAYS", "MAX_UPLOAD_MB", "MAX_BODY_KB", "BODY_SECONDS", "REQUEST_SECONDS"),
        *("STREAM_READERS", "STREAM_HEARTBEAT_SECONDS", "STREAM_SEND_SECONDS", "JOBS_RETENTION_DAYS", "VARIANCE"),
        *("QUERY_THREADS", "QUERY_MEMORY_MB", "CUBES_MEMORY_MB", "CACHE_MB", "PINNED_SNAPSHOTS", "MAX_ROWS", "TRACES"),
        "MAX_WAITING_JOBS",
        *("AGENT_TOOL_CALLS", "AGENT_SECONDS", "AGENT_TRIES", "AGENT_APPROVALS", "AGENT_APPROVAL_MINUTES"),
        *("AGENT_SESSION_MINUTES", "AGENT_SESSIONS"),
    )
)
"""Every variable of either side; a test compares it with the Structs."""


class SettingError(ValueError):
    """A variable whose value cannot be used; the message names the variable and what would work."""


class Setting(NamedTuple):
    """One setting as the docs, `--help` and `GET /config` show it."""

    name: str
    field: str
    default: str
    help: str
    type: Any
    is_secret: bool
    is_live: bool  # whether it may be changed while the program runs


class Layers(NamedTuple):
    """The two places that settings are set in. An empty value counts as none."""

    environment: Mapping[str, str]
    file: Mapping[str, str | None] = {}

    def find(self, name: str) -> tuple[str, Origin] | None:
        """A value and where it stands; None where the default holds."""
        if self.environment.get(name):
            return self.environment[name], "environment"
        text = self.file.get(name)
        return (text, ".env") if text else None

    def mistaken(self) -> list[str]:
        """A sentence for each variable with our prefix that no setting has, with the name that may have been meant."""
        given = {name for name in (*self.environment, *self.file) if name.startswith(PREFIX)}
        return [_mistake(name) for name in sorted(given - set(NAMES))]


def layers(environment: Mapping[str, str], folder: Path | None = None) -> Layers:
    """An environment over the file `.env` of a folder, by default the working one."""
    path = (folder or Path()) / ".env"
    return Layers(environment, dotenv_values(path, interpolate=False) if path.is_file() else {})


def listed(shape: type[Struct]) -> tuple[Setting, ...]:
    """The settings that a Struct declares: those of its fields that have a description."""
    hints = get_type_hints(shape, include_extras=True)
    found = []
    for field in msgspec.structs.fields(shape):
        about = next((each for each in getattr(hints[field.name], "__metadata__", ()) if isinstance(each, Meta)), None)
        if about is not None and about.description:
            secret, live = (bool((about.extra or {}).get(mark)) for mark in ("secret", "live"))
            name = f"{PREFIX}{field.name.upper()}"
            found.append(Setting(name, field.name, shown(field.default), about.description, hints[field.name], secret, live))
    return tuple(found)


def read(shape: type[T], given: Layers) -> T:
    """The settings that the layers ask for; what they do not name keeps its default.

    Raises SettingError, when a value has the wrong type or is out of bounds.
    """
    values: dict[str, Any] = {}
    for setting in listed(shape):
        found = given.find(setting.name)
        if found is None:
            continue
        text, origin = found
        try:
            values[setting.field] = msgspec.convert(_split(text, setting.type), setting.type, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            said = "of the wrong form" if setting.is_secret else f"'{text}'"
            where = " in .env" if origin == ".env" else ""
            raise SettingError(f"{setting.name}{where} is {said}: {error} (default: {setting.default or 'none'})") from error
    return shape(**values)


def shown(value: Any) -> str:
    """A value as one would write it into the environment.

    >>> shown(("a", "b")), shown(None), shown(5.0)
    ('a,b', '', '5')
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _split(text: str, kind: Any) -> Any:
    """The parts of a list that is written with commas; any other value as it is."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return [part.strip() for part in text.split(",") if part.strip()] if get_origin(kind) is tuple else text


def _path(kind: type, value: Any) -> Any:
    if issubclass(kind, Path) and value:
        return Path(value)
    raise msgspec.ValidationError(f"Expected `{kind.__name__}`")


def _mistake(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.75)
    return f"{name} is no setting and does nothing" + (f"; did you mean {near[0]}?" if near else "; docs/settings.md lists all")
