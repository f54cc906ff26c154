"""Where the API runs and what bounds it: read once from the environment and `.env`, prefix DEMANDGRAPH_."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from assets_config.contract.keys import ENTRY, hashed
from assets_config.contract.sessions import GuardedTool
from assets_config.settings import PREFIX, Layers, Origin, SettingError, layers, listed, read

__all__ = ["SETTINGS", "SettingError", "Settings", "override", "read_settings"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ApiKey = Annotated[str, Meta(pattern=ENTRY)]
HostName = Annotated[str, Meta(pattern=r"^(\*|[A-Za-z0-9_.:\[\]-]{1,253})$")]
WebOrigin = Annotated[str, Meta(pattern=r"^(\*|https?://[A-Za-z0-9_.:\[\]-]{1,253})$")]
LIVE = {"live": True}  # may be changed while the API runs


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of the API. A field is the variable of the same name in upper case, after the prefix."""

    data: Annotated[Path, Meta(description="Root of all state, with `published/` and `landing/` below it.")] = Path("data")
    host: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,253}$", description="Address that the API listens on; `0.0.0.0` is all of them.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the API.")] = 8123
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Meta(description="Names that requests may address besides loopback and the host itself, with commas between; `*`: any."),
    ] = ()
    workers: Annotated[int, Meta(ge=1, le=64, description="Number of processes that serve the API.")] = 1
    dagster_url: Annotated[
        str, Meta(pattern=r"^https?://[^\s/]+", description="Where dagster-webserver answers; jobs are launched there.")
    ] = "http://127.0.0.1:3000"
    api_keys: Annotated[
        tuple[ApiKey, ...],
        Meta(
            description="Keys beside those of `demandgraph keys`, as `name:role:sha256:<hash>` or `name:role:<key>`, with commas.",
            extra={"secret": True},
        ),
    ] = ()
    reader_open: Annotated[
        Literal["loopback", "always", "never"],
        Meta(description="Where reads need no key: `loopback` is on this machine alone, not behind a proxy."),
    ] = "loopback"
    cors_origins: Annotated[
        tuple[WebOrigin, ...], Meta(description="Origins whose pages may call the API from a browser, with commas; `*`: any.")
    ] = ()
    read_rate: Annotated[
        float,
        Meta(ge=0, description="Reads a second of one key or address, over all workers; 0: no limit.", extra=LIVE),
    ] = 200
    write_rate: Annotated[float, Meta(ge=0, description="The same for writes.", extra=LIVE)] = 5
    rate_burst_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="So many seconds' worth of requests may come at once [s].", extra=LIVE)
    ] = 10
    traces: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/]+.*)?$",
            description="URL of an OTLP collector that traces are sent to; needs the extra `otel`.",
        ),
    ] = ""
    max_days: Annotated[int, Meta(ge=1, le=36500, description="Longest range of a read, end minus start [days].", extra=LIVE)] = 730
    max_rows: Annotated[int, Meta(ge=1, le=1_000_000, description="Most rows of an answer in JSON.")] = 10_000
    max_upload_mb: Annotated[
        int, Meta(ge=1, le=1024, description="Largest body of a POST that brings data in [MiB].", extra=LIVE)
    ] = 20
    max_body_kb: Annotated[int, Meta(ge=1, le=102_400, description="Largest body of any other request [KiB].")] = 1024
    body_seconds: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="Longest time that a body, and each further MiB of it, may take to come in [s].", extra=LIVE
        ),
    ] = 15
    request_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="Longest time until an answer begins, waiting for the body not counted [s].", extra=LIVE),
    ] = 30
    stream_readers: Annotated[
        int, Meta(ge=1, le=100_000, description="Clients that may follow events at once, in each worker process.", extra=LIVE)
    ] = 1000
    stream_heartbeat_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="A stream of events that is silent for so long sends a heartbeat [s].", extra=LIVE)
    ] = 15
    stream_send_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="A reader of events that takes nothing for so long is cut off [s].", extra=LIVE)
    ] = 20
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
    max_waiting_jobs: Annotated[
        int, Meta(ge=1, le=100_000, description="Jobs that may wait for others to end; one more is refused with 429.", extra=LIVE)
    ] = 500
    agent_tool_calls: Annotated[
        int, Meta(ge=1, le=50, description="Most calls that an agent makes for one message.", extra=LIVE)
    ] = 10
    agent_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Longest time that the calls of one message may take together [s].", extra=LIVE)
    ] = 20
    agent_tries: Annotated[
        int, Meta(ge=1, le=10, description="How often an agent tries a call that may succeed later.", extra=LIVE)
    ] = 3
    agent_approvals: Annotated[
        tuple[GuardedTool, ...], Meta(description="Changes that an agent makes only once a person approves, with commas.")
    ] = ("create_alias", "archive_run")
    agent_approval_minutes: Annotated[
        int,
        Meta(ge=1, le=10_080, description="An agent's call may be approved for so long, else it is rejected [min].", extra=LIVE),
    ] = 60
    agent_session_minutes: Annotated[
        int, Meta(ge=1, le=10_080, description="A session with an agent expires so long after its last message [min].", extra=LIVE)
    ] = 120
    agent_sessions: Annotated[
        int, Meta(ge=1, le=1000, description="Sessions with agents that one key may have open.", extra=LIVE)
    ] = 5
    origins: dict[str, Origin] = {}  # of each setting that is not the default: where it stands
    mistaken: tuple[str, ...] = ()  # a sentence for each variable with our prefix that is no setting

    @property
    def is_on_loopback(self) -> bool:
        """Whether nobody but programs of this machine can connect."""
        return self.host in LOOPBACK

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name that a request may address; `*` is any."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)  # noqa: S104 - told apart, not bound to
        return tuple(dict.fromkeys((*LOOPBACK, *own, *self.allowed_hosts)))


SETTINGS = listed(Settings)
"""Every setting: name, default and help."""

LIVE_SETTINGS = {each.field: each for each in SETTINGS if each.is_live}
"""Those that may be changed while the API runs, by their field."""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that an environment asks for, by default this process's with `.env` below it.

    Keys are hashed at once, so that no log or error can show one. Raises SettingError, when a value has the wrong type or
    is out of bounds.
    """
    given = layers(os.environ) if environment is None else Layers(environment)
    found = {setting.name: given.find(setting.name) for setting in SETTINGS}
    settings = read(Settings, given)
    return replace(
        settings,
        api_keys=tuple(map(hashed, settings.api_keys)),
        origins={name: where[1] for name, where in found.items() if where},
        mistaken=tuple(given.mistaken()),
    )


def override(**values: Any) -> None:
    """Let options of the command line count as this process's environment, and so as that of its workers."""
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in values.items() if value is not None})


COUNTS = "PROMETHEUS_MULTIPROC_DIR"


def share_counts(folder: str) -> None:
    """Let the processes that are started from here keep what they count in a folder, where each finds that of all."""
    os.environ[COUNTS] = folder


def shared_counts() -> Path | None:
    """That folder; None in a process that counts for itself."""
    folder = os.environ.get(COUNTS)
    return Path(folder) if folder else None


STOPPING = "stopping"


def ask_to_stop() -> None:
    """Let the processes that were started from here know that they will be stopped, so that streams end first."""
    folder = shared_counts()
    if folder is not None:
        (folder / STOPPING).touch()


def is_asked_to_stop() -> bool:
    """Whether the process that started this one is about to stop it."""
    folder = shared_counts()
    return folder is not None and (folder / STOPPING).exists()
