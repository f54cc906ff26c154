"""Is it alive, is it ready, and is everything as it should be?"""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import httpx
from litestar import Response, get
from litestar.datastructures import State
from msgspec import Meta, Struct

from serving.layers.rules import PROBE
from serving.library import Library
from serving.orchestrator.dagster import verify
from serving.problems import Problem

ML_PACKAGES = (
    "torch", "tensorflow", "sklearn", "mlflow", "xgboost", "statsmodels", "onnxruntime", "scipy", "lightgbm", "prophet",
)  # fmt: skip
PROBE_EVERY = 5.0


class Alive(Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class MlDependencies(Struct, frozen=True):
    """Whether a machine-learning package is loaded in this process: none may be."""

    status: str
    message: str
    checked_packages: list[str]
    violations: list[str]


class SnapshotHealth(Struct, frozen=True):
    """The snapshot that is served."""

    id: str
    age_seconds: float


class Health(Struct, frozen=True):
    """All that can be said of the server's state."""

    status: Annotated[str, Meta(description="ok, degraded (serves, but see the parts) or unhealthy.")]
    database: str
    parquet_access: str
    cache: str
    ml_dependencies: MlDependencies
    orchestrator: str
    snapshot: SnapshotHealth | None
    timestamp: datetime
    problem: Annotated[str | None, Meta(description="What is wrong and what would mend it.")] = None


class Orchestrator:
    """Whether Dagster answers, asked at most every five seconds and never for long."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._asked = -PROBE_EVERY
        self._answer = "unknown"

    async def probe(self) -> str:
        """`ok` or `unavailable`."""
        if time.monotonic() - self._asked >= PROBE_EVERY:
            self._asked = time.monotonic()
            try:
                async with httpx.AsyncClient(timeout=0.08, verify=verify(self._url)) as client:
                    answer = await client.get(f"{self._url}/server_info")
                self._answer = "ok" if answer.status_code == 200 else "unavailable"
            except httpx.HTTPError:
                self._answer = "unavailable"
        return self._answer


@get("/livez", operation_id="is_alive", tags=["health"], opt=PROBE)
async def is_alive() -> Alive:
    """The process answers; says nothing about data."""
    return Alive()


@get("/readyz", operation_id="is_ready", tags=["health"], opt=PROBE)
async def is_ready(state: State) -> Alive:
    """A published snapshot is open; 503 where none can be."""
    library: Library = state.library
    (await library.lease()).release()
    return Alive("ready")


@get("/health", operation_id="get_health", tags=["health"], opt=PROBE)
async def get_health(state: State) -> Response[Health]:
    """Database, snapshot, orchestrator and the proof that no ML package is loaded; 503 where no snapshot is served."""
    library: Library = state.library
    loaded = [name for name in ML_PACKAGES if name in sys.modules]
    message = f"{', '.join(loaded)} loaded in the serving process" if loaded else "no ML package is loaded"
    ml = MlDependencies("violation" if loaded else "ok", message, list(ML_PACKAGES), loaded)
    orchestrator = await state.orchestrator.probe()
    now = datetime.now(UTC)
    try:
        snapshot = await library.lease()
    except Problem as problem:
        body = Health("unhealthy", "unavailable", "unavailable", "ok", ml, orchestrator, None, now, problem.detail)
        return Response(body, status_code=503)
    try:
        await snapshot.query("SELECT 1")
        age = (now - snapshot.manifest.published_at.astimezone(UTC)).total_seconds()
        status = "degraded" if library.failure or loaded else "ok"
        problem_said = f"{library.failure}; run `demandgraph doctor`" if library.failure else None
        said = SnapshotHealth(snapshot.id, round(age, 3))
        return Response(Health(status, "ok", "ok", "ok", ml, orchestrator, said, now, problem_said))
    finally:
        snapshot.release()
