"""Does everything that the API leans on answer?"""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from msgspec import Meta, Struct

from serving.orchestrator.dagster import LOCATION, Dagster, time_of
from serving.problems import OrchestratorUnavailable

HEALTH = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } } }"""

DAEMON_DOWN = "The daemon does not run or fails: `demandgraph up` starts it, logs/daemon.log says why."


class ProviderSaid(Struct, frozen=True):
    """One thing that the API leans on."""

    name: Annotated[str, Meta(description="dagster, its code location `dagster/code`, or a daemon such as `dagster/scheduler`.")]
    status: Annotated[Literal["ok", "unavailable"], Meta(description="Whether it answers and does its work.")]
    detail: Annotated[str | None, Meta(description="What is wrong and what would mend it; null where nothing is.")]
    last_seen_at: Annotated[datetime | None, Meta(description="When it last told that it lives, UTC; null where it tells no such.")]


class ProvidersAnswer(Struct, frozen=True):
    """Everything that the API leans on."""

    status: Annotated[Literal["ok", "degraded"], Meta(description="degraded: jobs wait or cannot be started; reads answer anyway.")]
    providers: Annotated[list[ProviderSaid], Meta(description="Dagster first, then what it consists of.")]
    latency_ms: Annotated[float | None, Meta(description="Time that Dagster took to answer; null where it did not. [ms]")]
    timestamp: Annotated[datetime, Meta(description="When they were asked, UTC.")]


@get("/config/providers/health", operation_id="check_providers", tags=["system"])
async def check_providers(state: State) -> ProvidersAnswer:
    """Whether Dagster, its code location and each of its daemons do their work: ask this where a job stays pending."""
    dagster: Dagster = state.jobs.dagster
    began, now = time.perf_counter(), datetime.now(UTC)
    try:
        answer = await dagster.ask(HEALTH)
    except OrchestratorUnavailable as problem:
        return ProvidersAnswer("degraded", [ProviderSaid("dagster", "unavailable", problem.detail, None)], None, now)
    latency = round((time.perf_counter() - began) * 1000, 2)
    found = [ProviderSaid("dagster", "ok", None, now)]
    loaded = {each["name"]: each["loadStatus"] for each in answer["workspaceOrError"].get("locationEntries", [])}
    has_code = loaded.get(LOCATION) == "LOADED"
    mend = None if has_code else "The code server is not there: `demandgraph up` starts it."
    found.append(ProviderSaid("dagster/code", "ok" if has_code else "unavailable", mend, None))
    for each in answer["instance"]["daemonHealth"]["allDaemonStatuses"]:
        if each["required"]:
            mend = None if each["healthy"] else DAEMON_DOWN
            status: Literal["ok", "unavailable"] = "ok" if each["healthy"] else "unavailable"
            found.append(ProviderSaid(f"dagster/{each['daemonType'].lower()}", status, mend, time_of(each["lastHeartbeatTime"])))
    return ProvidersAnswer("ok" if all(each.status == "ok" for each in found) else "degraded", found, latency, now)
