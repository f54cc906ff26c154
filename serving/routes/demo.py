"""The whole in one call: data, models, forecasts, plans and a snapshot of them, phase by phase, and which model was best."""

from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import JSONBody
from msgspec import Meta, Struct

from assets_config.contract.workspaces import MOST, DemoParams
from serving.asked import check_demo, held
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import FINAL, Job
from serving.orchestrator.jobs import Jobs
from serving.orchestrator.steps import StepSaid, steps_of
from serving.parameters import JobPath
from serving.problems import Conflict, Gone, NoSnapshot, NotFound
from serving.routes.backtests import OF_SEGMENT
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

WHOLE = ("demo", "seed", "materialize")
PhaseStatus = Literal["waiting", "running", "completed", "failed", "skipped"]


class Phase(Struct, frozen=True):
    """One stage of the pipeline."""

    phase_name: Annotated[str, Meta(description="Stage of the pipeline, from sources to publish.")]
    phase_index: Annotated[int, Meta(description="Position, from 0, in the order in which they began.")]
    phase_total: Annotated[int, Meta(description="Number of phases.")]
    status: Annotated[PhaseStatus, Meta(description="failed where one step is; completed or skipped once all have ended.")]
    steps_done: Annotated[int, Meta(description="Steps that ended, well or not. [steps]")]
    steps_planned: Annotated[int, Meta(description="Steps of the phase. [steps]")]
    seconds: Annotated[float, Meta(description="Time that its steps took so far, in sum. [s]")]


class DemoRun(Struct, frozen=True):
    """How far a run is, and what came of it."""

    job: Annotated[Job, Meta(description="The job that it is; each step stands at /jobs/{job_id}/steps.")]
    phases: Annotated[list[Phase], Meta(description="The stages of the pipeline; empty until it is known what it makes.")]
    snapshot_id: Annotated[str | None, Meta(description="Snapshot that it published; null before, and where it published none.")]
    winner_model_type: Annotated[str | None, Meta(description="Model type of the lowest WAPE in that snapshot; null before it.")]
    winner_wape: Annotated[float | None, Meta(description="Its WAPE over all folds and series. [ratio]")]
    winning_run_id: Annotated[str | None, Meta(description="Its newest model run; read it at /registry/runs/{run_id}.")]
    workspace_id: Annotated[str | None, Meta(description="Workspace that it left; null unless the run was kept.")] = None


@post("/demo/run", operation_id="create_demo_run", tags=["jobs"], status_code=202, opt=OPERATOR)
async def create_demo_run(
    request: Request[Any, Any, Any], state: State, data: JSONBody[DemoParams], idempotency_key: IdempotencyKey = None
) -> Response[Job]:
    """Make all of the graph, with skip_seed=false from data that are generated first, and publish. Follow it at /demo/run/{job_id}.

    With preservation=keep a workspace is left, see /demo/workspaces. 409 while another job makes the whole graph.
    """
    check_demo(data)
    await held(state.library, data)
    if not state.jobs.is_repeated("demo", data, idempotency_key):
        await refuse_one_too_many(state, data)
        await refuse_a_second(state.jobs)
    return await start(request, state, "demo", data, idempotency_key)


@get("/demo/run/{job_id:str}", operation_id="get_demo_run", tags=["jobs"])
async def get_demo_run(state: State, job_id: JobPath) -> DemoRun:
    """How far a job is, stage by stage, which model type was best in the snapshot that it published, and the workspace it left."""
    jobs: Jobs = state.jobs
    job = await jobs.get(job_id)
    phases = _phases(await steps_of(jobs.dagster, job.dagster_run_id))
    result = job.result or {}
    published, workspace = result.get("snapshot_id"), result.get("workspace_id")
    if not isinstance(published, str):
        return DemoRun(job, phases, None, None, None, None, workspace)
    try:
        lease = await state.library.lease(published)
    except (Gone, NotFound, NoSnapshot):  # collected since
        return DemoRun(job, phases, published, None, None, None, workspace)
    try:
        return DemoRun(job, phases, published, *await _winner(lease, job.params.get("train_model_types")), workspace)
    finally:
        lease.release()


async def refuse_a_second(jobs: Jobs) -> None:
    """Raises Conflict while a job makes the whole graph, or all data anew."""
    newest = await jobs.newest(within=0)  # the first may have been asked for a moment ago
    going_on = [job for job in newest if job.job_type in WHOLE and job.status not in FINAL]
    for job in [await jobs.get(each.job_id) for each in going_on]:  # the list may be a moment behind
        if job.status not in FINAL:
            raise Conflict(f"Job {job.job_id} ({job.job_type}) is {job.status}: wait for it, or DELETE /api/v1/jobs/{job.job_id}.")


async def refuse_one_too_many(state: State, asked: DemoParams) -> None:
    """Raises Conflict for a run that is to be kept, where no more may be."""
    if asked.preservation != "keep":
        return
    try:
        lease = await state.library.lease()
    except NoSnapshot:  # none is kept yet
        return
    try:
        if len(await lease.rows("state", "workspace")) >= MOST:
            raise Conflict(f"{MOST} workspaces are kept: DELETE /api/v1/demo/workspaces/{{workspace_id}} of one first.")
    finally:
        lease.release()


def _phases(steps: list[StepSaid]) -> list[Phase]:
    by_stage: dict[str, list[StepSaid]] = {}
    for step in steps:
        by_stage.setdefault(step.stage, []).append(step)
    return [
        Phase(
            stage,
            n,
            len(by_stage),
            _status({each.status for each in found}),
            sum(each.status in ("completed", "failed", "skipped") for each in found),
            len(found),
            round(sum(each.seconds or 0.0 for each in found), 3),
        )
        for n, (stage, found) in enumerate(by_stage.items())
    ]


def _status(of_steps: set[str]) -> PhaseStatus:
    if "failed" in of_steps:
        return "failed"
    if of_steps == {"waiting"}:
        return "waiting"
    if of_steps & {"running", "waiting"}:
        return "running"
    return "completed" if "completed" in of_steps else "skipped"


async def _winner(lease: Snapshot, among: list[str] | None) -> tuple[str | None, float | None, str | None]:
    """The model type of the lowest WAPE, of those that were asked for, that WAPE, and its newest run that succeeded."""
    for row in await lease.rows(
        "registry", "backtest_metric", f"{OF_SEGMENT} AND wape IS NOT NULL ORDER BY wape, model_type", ["all"]
    ):
        if among is not None and row["model_type"] not in among:
            continue
        newest = "model_type = ? AND status = 'success' ORDER BY completed_at DESC LIMIT 1"
        runs = await lease.rows("registry", "model_run", newest, [row["model_type"]])
        return row["model_type"], round(row["wape"], 6), runs[0]["run_id"] if runs else None
    return None, None, None
