"""Does everything that the API leans on answer?"""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta, Struct

from serving.orchestrator.dagster import LOCATION, Dagster, time_of
from serving.outward import CHANNELS, ENCODER, index_of, outward
from serving.problems import NotFound, OrchestratorUnavailable
from serving.snapshot import Snapshot

HEALTH = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } } }"""

DAEMON_DOWN = "The daemon does not run or fails: `demandgraph up` starts it, logs/daemon.log says why."


class ProviderSaid(Struct, frozen=True):
    """One thing that the API leans on."""

    name: Annotated[
        str,
        Meta(
            description="dagster, its code location `dagster/code`, a daemon such as `dagster/scheduler`, encoder (of documents), "
            "or a channel of notifications."
        ),
    ]
    status: Annotated[
        Literal["ok", "unavailable"], Meta(description="Whether it does its work; of encoder and channels: did, when last used.")
    ]
    detail: Annotated[str | None, Meta(description="What is wrong and what would mend it; null where nothing is.")]
    last_seen_at: Annotated[datetime | None, Meta(description="When it last told that it lives, UTC; null where it tells no such.")]


class ProvidersAnswer(Struct, frozen=True):
    """Everything that the API leans on."""

    status: Annotated[
        Literal["ok", "degraded"], Meta(description="degraded: jobs wait, or people are not told; reads answer anyway.")
    ]
    providers: Annotated[list[ProviderSaid], Meta(description="Dagster, what it consists of, then what runs use.")]
    latency_ms: Annotated[float | None, Meta(description="Time that Dagster took to answer; null where it did not. [ms]")]
    timestamp: Annotated[datetime, Meta(description="When they were asked, UTC.")]


@get("/config/providers/health", operation_id="check_providers", tags=["system"])
async def check_providers(state: State, lease_if_any: NamedDependency[Snapshot | None]) -> ProvidersAnswer:
    """Whether Dagster, its code location and each of its daemons do their work: ask this where a job stays pending.

    The encoder and the channels of notifications are told as the last run found them; GET /notifications has what waits.
    """
    seen = [] if lease_if_any is None else await outward(lease_if_any)
    used = [ProviderSaid(each.name, "ok" if each.is_ok else "unavailable", each.detail, each.at) for each in seen]
    dagster: Dagster = state.jobs.dagster
    began, now = time.perf_counter(), datetime.now(UTC)
    try:
        answer = await dagster.ask(HEALTH)
    except OrchestratorUnavailable as problem:
        return ProvidersAnswer("degraded", [ProviderSaid("dagster", "unavailable", problem.detail, None), *used], None, now)
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
    found += used
    return ProvidersAnswer("ok" if all(each.status == "ok" for each in found) else "degraded", found, latency, now)


class ProviderModel(Struct, frozen=True):
    """A model that a provider answers with."""

    name: Annotated[str, Meta(description="What made the vectors, as knowledge.yaml declares it.")]
    dimensions: Annotated[int, Meta(description="Length of a vector.")]


class ProviderModels(Struct, frozen=True):
    """The models of one provider."""

    provider: Annotated[str, Meta(description="The provider.")]
    models: Annotated[list[ProviderModel], Meta(description="Those that the snapshot was made with; empty where none was.")]


@get("/config/providers/{name:str}/models", operation_id="list_provider_models", tags=["system"])
async def list_provider_models(
    lease_if_any: NamedDependency[Snapshot | None],
    name: Annotated[str, PathParameter(description="A provider of /config/providers/health without a slash, such as encoder.")],
) -> ProviderModels:
    """Which models a provider is used with: of the encoder the one that the published vectors are of; others have none."""
    if name not in ("dagster", ENCODER, *CHANNELS):
        raise NotFound(f"No provider is called '{name[:60]}'; there are dagster, {ENCODER}, {', '.join(CHANNELS)}.")
    index = index_of(lease_if_any) if name == ENCODER and lease_if_any is not None else None
    models = [] if index is None or index.encoder is None else [ProviderModel(index.encoder, index.dimensions)]
    return ProviderModels(name, models)
