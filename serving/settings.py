"""Where the API runs and what bounds it: read once from the environment, prefix DEMANDGRAPH_."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta, Struct

PREFIX = "DEMANDGRAPH_"


class SettingError(ValueError):
    """A variable whose value cannot be used; the message names the variable and what would work."""


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of the API. A field is the variable of the same name in upper case, after the prefix."""

    data: Annotated[Path, Meta(description="Root of all state, with `published/` and `landing/` below it.")] = Path("data")
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the API.")] = 8123
    workers: Annotated[int, Meta(ge=1, le=64, description="Number of processes that serve the API.")] = 1
    dagster_url: Annotated[
        str, Meta(pattern=r"^https?://[^\s/]+", description="Where dagster-webserver answers; jobs are launched there.")
    ] = "http://127.0.0.1:3000"
    traces: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/]+.*)?$",
            description="URL of an OTLP collector that traces are sent to; needs the extra `otel`.",
        ),
    ] = ""
    max_days: Annotated[int, Meta(ge=1, le=36500, description="Longest range of a read, end minus start [days].")] = 730
    max_upload_mb: Annotated[int, Meta(ge=1, le=1024, description="Largest body of a POST that brings data in [MiB].")] = 20
    query_threads: Annotated[int, Meta(ge=1, le=64, description="Threads that run DuckDB queries, in each worker process.")] = 4
    query_memory_mb: Annotated[int, Meta(ge=64, description="Memory that DuckDB may use for each opened snapshot [MiB].")] = 1024
    cubes_memory_mb: Annotated[
        int,
        Meta(ge=0, description="Memory for the sums of a snapshot; the largest beyond it lie in a temporary file [MiB]."),
    ] = 1024
    cache_mb: Annotated[
        int, Meta(ge=0, le=65536, description="Memory for kept answers, in each worker process; 0 keeps none [MiB].")
    ] = 64
    pinned_snapshots: Annotated[
        int, Meta(ge=1, le=100, description="Snapshots kept open for `?snapshot=` besides the one that is served.")
    ] = 3


class Setting(Struct, frozen=True):
    """One setting as the docs and `--help` show it."""

    name: str
    default: str
    help: str
    type: Any


def _listed() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(
        Setting(f"{PREFIX}{field.name.upper()}", str(field.default), hints[field.name].__metadata__[0].description, field.type)
        for field in msgspec.structs.fields(Settings)
    )


SETTINGS = _listed()
"""Every setting: name, default and help."""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that an environment asks for; what it does not name keeps its default.

    Raises SettingError, when a value has the wrong type or is out of bounds.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environment.get(setting.name)
        if not text:
            continue
        name = setting.name.removeprefix(PREFIX).lower()
        try:
            values[name] = msgspec.convert(text, setting.type, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise SettingError(f"{setting.name} is '{text}': {error} (default: {setting.default})") from error
    return Settings(**values)


def _path(kind: type, value: Any) -> Any:
    if kind is Path and value:
        return Path(value)
    raise msgspec.ValidationError(f"Expected `{kind.__name__}`")


COUNTS = "PROMETHEUS_MULTIPROC_DIR"


def share_counts(folder: str) -> None:
    """Let the processes that are started from here keep what they count in a folder, where each finds that of all."""
    os.environ[COUNTS] = folder


def shared_counts() -> Path | None:
    """That folder; None in a process that counts for itself."""
    folder = os.environ.get(COUNTS)
    return Path(folder) if folder else None
