"""What is being made, and make it again."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.graph import BY_MONTH
from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.launch import role_of, selection
from assets_config.contract.names import JobOrigin, JobStatus, Role, Span
from assets_config.contract.sessions import AgentType, OpenSessionParams
from serving.asked import checked_params
from serving.layers.access import require
from serving.layers.rules import OPERATOR
from serving.library import expired_runs, kept
from serving.orchestrator.events import Event
from serving.orchestrator.feeds import JOB, Feeds
from serving.orchestrator.job import Job, filtered
from serving.orchestrator.jobs import Jobs
from serving.paging import After, Limit, Listed, Order, Page, PageSize, ordered, page_of
from serving.parameters import JobPath, OfProduct, OfStore
from serving.problems import Conflict, Gone, NoSnapshot, invalid
from serving.routes.explanations import ExplanationSaid, explanations_of

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200, description="Same key and body: same job."),
]


class JobRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A job to start."""

    job_type: Annotated[str, Meta(description="One of /jobs/types.", max_length=50)]
    params: Annotated[dict[str, Any], Meta(description="Parameters of the type; see /jobs/types.")] = {}
    dry_run: Annotated[bool, Meta(description="Only say what the job would do: answered at once with 200, and no job is made.")] = (
        False
    )


class PlannedAsset(Struct, frozen=True):
    """One asset that a job would make."""

    key: Annotated[str, Meta(description="Read it at /assets/{stage}/{name}.")]
    partitions: Annotated[
        list[str], Meta(description="Months that it may make again, those whose lines changed; empty where it is made whole.")
    ]


class JobPlan(Struct, frozen=True):
    """What a job would do."""

    job_type: Annotated[str, Meta(description="The type that was asked for.")]
    role: Annotated[Role, Meta(description="Role that starts it, with these parameters.")]
    params: Annotated[dict[str, Any], Meta(description="Its parameters, defaults filled in and codes resolved.")]
    assets: Annotated[list[PlannedAsset], Meta(description="What it would make, upstream first.")]


class JobTypeSaid(Struct, frozen=True):
    """A type of job that may be started."""

    name: str
    role: Annotated[Role, Meta(description="Role that starts it; with `force` it is always admin.")]
    summary: str
    params_schema: dict[str, Any]
    result_schema: Annotated[dict[str, Any], Meta(description="What the result of a completed job has beside `assets`.")]


class JobEvents(Struct, frozen=True):
    """Some events of a job, in the order in which they happened."""

    items: Annotated[list[Event], Meta(description="The events; empty where nothing follows yet.")]
    next_after: Annotated[int, Meta(description="Send it as `after` for the events that follow, those yet to come too.")]
    has_more: Annotated[bool, Meta(description="Whether events that happened already follow.")]
    status: Annotated[JobStatus, Meta(description="State of the job; ended, and has_more false: these were the last.")]


@get("/jobs/types", operation_id="list_job_types", tags=["jobs"])
async def list_job_types() -> Listed[JobTypeSaid]:
    """What may be started, with the JSON Schema of each type's parameters.

    Start one with POST /jobs.
    """
    found = [
        JobTypeSaid(each.name, each.role, each.summary, msgspec.json.schema(each.params), msgspec.json.schema(each.result))
        for each in JOB_TYPES.values()
    ]
    return page_of(found, 1, 100, None)


@post(
    "/jobs",
    operation_id="create_job",
    tags=["jobs"],
    status_code=202,
    opt=OPERATOR,
    responses={200: ResponseSpec(JobPlan, False, "What the job would do, where dry_run is true.")},
)
async def create_job(
    request: Request,  # type: ignore[type-arg]
    state: State,
    data: JSONBody[JobRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Start a job. Follow it at the Location that is answered; a GET serves what it published from its end on.

    With dry_run it is only checked, and answered with what it would make.
    """
    params = await checked_params(state.library, data.job_type, data.params, max_days=state.settings.max_days)
    if isinstance(params, OpenSessionParams):
        params = opened_by(request, state, params.agent_type)
    if data.dry_run:
        require(request, role_of(data.job_type, params), f"Job {data.job_type}")
        return Response(await plan_of(state, data.job_type, params), status_code=200)
    return await start(request, state, data.job_type, params, idempotency_key)


@get("/jobs", operation_id="list_jobs", tags=["jobs"])
async def list_jobs(
    state: State,
    page: Page = 1,
    page_size: PageSize = 20,
    job_type: Annotated[str | None, QueryParameter(schema_extra={"enum": [*JOB_TYPES]})] = None,
    status: FromQuery[JobStatus | None] = None,
    origin: FromQuery[JobOrigin | None] = None,
    sort_by: Annotated[
        Literal["created_at", "completed_at", "job_type", "status"], QueryParameter(description="Field to sort by.")
    ] = "created_at",
    sort_order: Order = "desc",
) -> Listed[Job]:
    """Jobs, newest first, whoever started them: the API, the UI, the command line, a schedule or a sensor.

    The newest 5,000. Errors and progress are told by /jobs/{job_id}.
    """
    if job_type is not None and job_type not in JOB_TYPES:
        raise invalid("job_type", job_type, f"use one of {', '.join(JOB_TYPES)}")
    jobs: Jobs = state.jobs
    found = filtered(await jobs.newest(), job_type=job_type, status=status, origin=origin)
    return page_of(ordered(found, sort_by, sort_order, tie="job_id"), page, page_size, None)


@get("/jobs/{job_id:str}", operation_id="get_job", tags=["jobs"])
async def get_job(state: State, job_id: JobPath) -> Job:
    """One job: its state, progress and, where it failed, the reason.

    Ask again every second or so until it is completed, failed or cancelled; /events tells what it does meanwhile.
    """
    jobs: Jobs = state.jobs
    return await jobs.get(job_id)


@delete("/jobs/{job_id:str}", operation_id="cancel_job", tags=["jobs"], status_code=200, opt=OPERATOR)
async def cancel_job(state: State, job_id: JobPath) -> Job:
    """Cancel a job that waits or runs; 409 where it has ended.

    What it published already stays published.
    """
    jobs: Jobs = state.jobs
    return await jobs.cancel(job_id)


@post("/jobs/{job_id:str}/retry", operation_id="retry_job", tags=["jobs"], status_code=202, opt=OPERATOR)
async def retry_job(
    request: Request[Any, Any, Any], state: State, job_id: JobPath, idempotency_key: IdempotencyKey = None
) -> Response[Job]:
    """Run a failed or cancelled job again with its parameters, as a new job; from the step that failed on. 409 for others."""
    jobs: Jobs = state.jobs
    job = await jobs.get(job_id)
    known = JOB_TYPES.get(job.job_type)
    role: Role = "admin" if job.params.get("force") else known.role if known else "operator"
    require(request, role, f"Job {job.job_type}")
    request_id = request.scope["state"]["request_id"]
    return accepted(await jobs.retry(job_id, request_id=request_id, idempotency_key=idempotency_key))


@get("/jobs/{job_id:str}/events", operation_id="list_job_events", tags=["jobs"])
async def list_job_events(state: State, job_id: JobPath, after: After = 0, limit: Limit = 100) -> JobEvents:
    """What a job did, in order: its states, steps, tables made, checks. Ask again with `after` to follow one that runs."""
    jobs: Jobs = state.jobs
    job = await jobs.get(job_id)
    feeds: Feeds = state.feeds
    feed = await feeds.get(JOB + job.job_id)
    found = feed.after(after, limit + 1)
    has_more, items = len(found) > limit, found[:limit]
    return JobEvents(items, items[-1].seq if has_more else max(feed.source.seq, after), has_more, job.status)


@get("/jobs/{job_id:str}/explanation", operation_id="explain_job", tags=["jobs"])
async def explain_job(
    state: State,
    job_id: JobPath,
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: OfStore = None,
    product_id: OfProduct = None,
    span: Annotated[Span | None, QueryParameter(description="Only the next day, or only the sum of all days ahead.")] = None,
) -> Listed[ExplanationSaid]:
    """Why the series are forecast to sell what they are, in the snapshot that a job published.

    409 for a job that published none, 410 where its snapshot is kept no more.
    """
    jobs: Jobs = state.jobs
    job = await jobs.get(job_id)
    lease = await state.library.lease(await _published_by(state, job))
    try:
        return await explanations_of(lease, store_id=store_id, product_id=product_id, span=span, page=page, page_size=page_size)
    finally:
        lease.release()


async def _published_by(state: State, job: Job) -> str:
    """The id of the snapshot that a job published. Raises Conflict where it published none, Gone where that is collected."""
    current = await state.library.lease()
    try:
        published = current.published
        for each in kept(published, current.id):
            if each.manifest.dagster_run_id == job.dagster_run_id:
                return each.manifest.id
    finally:
        current.release()
    if job.dagster_run_id in expired_runs(published):
        raise Gone(f"The snapshot of job {job.job_id} is kept no more; /api/v1/system/snapshots lists those that are.")
    raise Conflict(f"Job {job.job_id} published no snapshot: its status is {job.status}. Take a completed one that publishes.")


def opened_by(request: Request[Any, Any, Any], state: State, agent_type: AgentType) -> OpenSessionParams:
    """The parameters of a session that is opened now: whose it is follows from the key, how long it lasts from the settings."""
    settings, user = state.settings, request.scope["state"].get("key")
    return OpenSessionParams(agent_type=agent_type, user=user, minutes=settings.agent_session_minutes, most=settings.agent_sessions)


async def start(request: Request[Any, Any, Any], state: State, job_type: str, params: Struct, key: str | None) -> Response[Job]:
    """Launch a job and answer 202 with its Location. Raises Forbidden for a key whose role the job does not allow."""
    require(request, role_of(job_type, params), f"Job {job_type}")
    jobs: Jobs = state.jobs
    job = await jobs.create(job_type, params, request_id=request.scope["state"]["request_id"], idempotency_key=key)
    return accepted(job)


def accepted(job: Job) -> Response[Job]:
    """The answer of every write: 202 with the job and its place."""
    return Response(job, status_code=202, headers={"Location": f"/api/v1/jobs/{job.job_id}"})


async def plan_of(state: State, job_type: str, params: Struct) -> JobPlan:
    """What a job would make; months are those of the snapshot that is served."""
    months: list[str] = []
    try:
        lease = await state.library.lease()
        months = months_between(lease.manifest.first_day, lease.manifest.as_of)
        lease.release()
    except NoSnapshot:
        pass  # nothing is there yet, so that no month is known
    assets = [PlannedAsset(key, months if key in BY_MONTH else []) for key in selection(job_type, params)]
    return JobPlan(job_type, role_of(job_type, params), msgspec.to_builtins(params), assets)


def months_between(first: date, last: date) -> list[str]:
    """Every month from that of one day to that of another, as 2024-01."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]
