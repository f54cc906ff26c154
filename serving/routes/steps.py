"""What does a job do, step by step, and what takes its time?"""

from typing import Annotated

from litestar.datastructures import State
from litestar.params import QueryParameter

from serving.formats import table
from serving.orchestrator.jobs import Jobs
from serving.orchestrator.steps import StepSaid, StepStatus, steps_of
from serving.paging import Listed, Page, PageSize, page_of
from serving.parameters import JobPath


@table("/jobs/{job_id:str}/steps", operation_id="list_job_steps", tags=["jobs"])
async def list_job_steps(
    state: State,
    job_id: JobPath,
    page: Page = 1,
    page_size: PageSize = 20,
    status: Annotated[StepStatus | None, QueryParameter(description="Only steps that are so.")] = None,
) -> Listed[StepSaid]:
    """The steps of a job in the order in which they began, with their time, rows and memory; those that wait are last.

    GET /jobs/{job_id}/events tells them as they happen, and GET /jobs/{job_id} their sums as `metrics`.
    """
    jobs: Jobs = state.jobs
    job = await jobs.get(job_id)
    found = [each for each in await steps_of(jobs.dagster, job.dagster_run_id) if status is None or each.status == status]
    return page_of(found, page, page_size, None)
