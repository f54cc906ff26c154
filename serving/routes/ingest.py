"""Bring data in: keep a batch of rows in the landing zone, and start the job that reads it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.cells import Column, columns
from assets_config.contract.ingest import IngestParams, ReplayParams
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import POSTED, Batch, Landing, identity
from assets_config.contract.names import BatchState
from serving.bounds import check_upload
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.orchestrator.jobs import Jobs
from serving.paging import Listed, page_of
from serving.problems import (
    MEDIA_TYPE,
    Conflict,
    Gone,
    NotFound,
    OrchestratorUnavailable,
    PayloadTooLarge,
    Problem,
    ProblemDetails,
    UnsupportedMediaType,
    Validation,
    invalid,
)
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot
from serving.uploads import MEDIA_TYPES, MULTIPART, Upload, read_upload

LARGE = 1 << 20  # bytes; larger ones are checked in a thread, so that other requests go on
SourceName = Annotated[
    str,
    QueryParameter(
        pattern="^[a-z][a-z0-9_]{0,59}$",
        description="Entry of sources.yaml whose mapping reads the rows; `api`: our column names and codes.",
    ),
]
PlanId = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Za-z0-9._:-]{1,100}$", description="Plan that the rows are actuals of; weekly-sales only."),
]


class KindSaid(Struct, frozen=True):
    """A kind of data that is accepted."""

    kind: Annotated[str, Meta(description="Use it in POST /ingest/{kind}.")]
    description: str
    columns: list[Column]
    grain: Annotated[list[str], Meta(description="Two rows with the same values of these speak of the same thing.")]
    parameters: Annotated[list[str], Meta(description="What the query must say besides.")]
    media_types: list[str]
    example: Annotated[dict[str, Any], Meta(description="A row.")]


class Receipt(Struct, frozen=True):
    """A batch that is kept, and the job that reads it."""

    batch_id: Annotated[str, Meta(description="Read what became of it at /ingest/batches/{batch_id}.")]
    kind: str
    source: str
    state: BatchState
    is_new: Annotated[bool, Meta(description="False where the same bytes had come before: they are not loaded twice.")]
    bytes: Annotated[int, Meta(description="Size of the file. [bytes]")]
    job: Job


def problems(*kinds: type[Problem]) -> dict[int, ResponseSpec]:
    """These problems as documented responses."""
    return {each.status: ResponseSpec(ProblemDetails, False, (each.__doc__ or "").strip(), MEDIA_TYPE) for each in kinds}


_FILE = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
_ROWS = Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT), max_items=10_000)
_RECORDS = Schema(type=OpenAPIType.OBJECT, properties={"records": _ROWS}, required=["records"])
_FORM = Schema(type=OpenAPIType.OBJECT, properties={"file": _FILE}, required=["file"])


@dataclass
class IngestOperation(Operation):
    """The operation with its bodies, which the handler reads by itself."""

    BODIES: ClassVar[dict[str, OpenAPIMediaType]] = {
        "application/json": OpenAPIMediaType(schema=Schema(one_of=[_RECORDS, _ROWS])),
        "text/csv": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)),
        "application/vnd.apache.parquet": OpenAPIMediaType(schema=_FILE),
        MULTIPART: OpenAPIMediaType(schema=_FORM),
    }

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content=self.BODIES, required=True, description="Rows with the columns of /ingest/kinds, in one of these forms."
        )
        if self.responses is not None:
            self.responses.pop("400", None)  # Litestar's own; here malformed is 422


@get("/ingest/kinds", operation_id="list_ingest_kinds", tags=["data"])
async def list_ingest_kinds() -> Listed[KindSaid]:
    """Which data may be brought in with POST /ingest/{kind}: columns with types and bounds, and an example row of each kind."""
    found = []
    for name, kind in KINDS.items():
        shown = columns(kind.rows)
        example = {each.name: each.example for each in shown}
        found.append(KindSaid(name, kind.about, shown, list(kind.grain), list(kind.parameters), list(MEDIA_TYPES), example))
    return page_of(found, 1, 100, None)


@post(
    "/ingest/{kind:str}",
    operation_id="ingest_batch",
    operation_class=IngestOperation,
    tags=["data"],
    status_code=202,
    opt={**OPERATOR, "reads_body": True},
    responses=problems(NotFound, Conflict, PayloadTooLarge, UnsupportedMediaType, Validation, OrchestratorUnavailable),
)
async def ingest_batch(
    request: Request[Any, Any, Any],
    state: State,
    kind: FromPath[str],
    source: SourceName = POSTED,
    forecast_id: PlanId = None,
    plan: PlanId = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Receipt]:
    """Send rows of one kind, as JSON, CSV or Parquet. Use it to load sales, stock, stores, products, prices and the like.

    The bytes are kept, and a job, whose Location is answered, checks the rows, loads them and publishes. Rows that cannot
    be used are left out and told at /ingest/batches/{batch_id}/rejects. The same bytes twice are the same batch.
    `plan` is another name of `forecast_id`.
    """
    if kind not in KINDS:
        raise NotFound(f"No kind of data is called '{kind[:60]}'; there are {', '.join(KINDS)}.")
    parameters = _parameters(kind, forecast_id, plan)
    upload = await read_upload(request, kind=kind, most=state.settings.max_upload_mb << 20)
    if len(upload.content) > LARGE:
        await asyncio.to_thread(check_upload, upload, source)
    else:
        check_upload(upload, source)
    landing, jobs = Landing(state.settings.data), state.jobs
    await jobs.check()
    if idempotency_key is not None:
        batch_id = identity(kind, source, [upload.content], parameters)
        await jobs.refuse_reused_key("ingest", IngestParams(batch_id), idempotency_key)
    batch, is_new = await asyncio.to_thread(_land, landing, kind, source, upload, parameters)
    job = await _launch(request, jobs, batch, idempotency_key)
    body = Receipt(batch.batch_id, kind, source, "received", is_new, batch.bytes, job)
    return Response(body, status_code=202, headers={"Location": f"/api/v1/jobs/{job.job_id}"})


@post("/ingest/batches/{batch_id:str}/replay", operation_id="replay_batch", tags=["data"], status_code=202, opt=OPERATOR)
async def replay_batch(
    request: Request[Any, Any, Any],
    state: State,
    lease_if_any: NamedDependency[Snapshot | None],
    batch_id: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Read the kept bytes of a batch again, for example after a mapping was mended. The tables come out the same otherwise."""
    if await asyncio.to_thread(Landing(state.settings.data).find, batch_id) is None:
        if lease_if_any and await lease_if_any.rows("ingest", "ingest_batch", "batch_id = ?", [batch_id]):
            raise Gone(f"The bytes of batch {batch_id} are kept no more: it cannot be replayed. Send them again.")
        raise NotFound(f"No batch has the id '{batch_id[:60]}'; /api/v1/ingest/batches lists them.")
    return await start(request, state, "replay_batch", ReplayParams(batch_id), idempotency_key)


def _parameters(kind: str, forecast_id: str | None, plan: str | None) -> dict[str, str]:
    """What the batch says beside its rows. Raises Validation for what is missing, contradictory or not of this kind."""
    if forecast_id is not None and plan is not None and forecast_id != plan:
        raise invalid("plan", plan, f"is another name of forecast_id, which is {forecast_id}")
    given = forecast_id or plan
    if "forecast_id" in KINDS[kind].parameters:
        if given is None:
            raise invalid("forecast_id", None, f"{kind} needs it: the plan that the rows are actuals of", code="missing")
        return {"forecast_id": given}
    if given is not None:
        takers = ", ".join(name for name, each in KINDS.items() if "forecast_id" in each.parameters)
        raise invalid("forecast_id", given, f"{kind} takes none; only {takers} does")
    return {}


def _land(landing: Landing, kind: str, source: str, upload: Upload, parameters: dict[str, str]) -> tuple[Batch, bool]:
    files = [(upload.name, upload.content)]
    return landing.receive(kind, source, files, media_type=upload.media_type, received_at=datetime.now(UTC), parameters=parameters)


async def _launch(request: Request[Any, Any, Any], jobs: Jobs, batch: Batch, key: str | None) -> Job:
    request_id = request.scope["state"]["request_id"]
    try:
        return await jobs.create("ingest", IngestParams(batch.batch_id), request_id=request_id, idempotency_key=key)
    except OrchestratorUnavailable as error:
        raise OrchestratorUnavailable(
            f"Batch {batch.batch_id} is kept, but Dagster went away before its job was started. "
            "Send the same again when it is back: the batch is read once.",
            headers=error.headers,
        ) from error
