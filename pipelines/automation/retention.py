"""Ended runs that are too old go, with their events and logs; what assets, checks and snapshots still name stays."""

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRunStatus, OpExecutionContext, RunsFilter, job, op
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED

from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests
from pipelines.resources import Storage, settings

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


@op(description="Delete ended runs that are older than DEMANDGRAPH_JOBS_RETENTION_DAYS, but for those that something still names.")
def old_runs(context: OpExecutionContext, storage: Storage) -> None:
    days = settings().jobs_retention_days
    if not days:
        context.log.info("DEMANDGRAPH_JOBS_RETENTION_DAYS is 0: every job is kept")
        return
    graph = context.repository_def.asset_graph if context.run.remote_job_origin is not None else None
    checks = sorted(graph.asset_check_keys) if graph is not None else []
    gone = forget(
        context.instance,
        before=datetime.now(UTC) - timedelta(days=days),
        named=named_runs(context.instance, storage.warehouse().published, checks),
    )
    context.log.info(f"{len(gone)} jobs that ended more than {days} days ago were deleted")


@job(description="Delete old jobs with their events and logs. What was made, published or checked last keeps its own.")
def tidying() -> None:
    old_runs()


def named_runs(instance: DagsterInstance, published: Published, checks: list) -> set[str]:
    """The runs whose events are still asked for: of each asset's newest table and each check's newest result, and of snapshots."""
    found = {manifest.dagster_run_id for manifest in manifests(published) if manifest.dagster_run_id}
    for key in instance.get_asset_keys():
        newest = instance.get_latest_materialization_event(key)
        if newest is not None:
            found.add(newest.run_id)
    for check in checks:
        history = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, status=COMPLETED)
        found |= {record.run_id for record in history}
    return found


def forget(instance: DagsterInstance, *, before: datetime, named: set[str]) -> list[str]:
    """Delete ended runs that were asked for before a time, unless they are named; gives their ids."""
    gone = []
    for run in instance.get_runs(RunsFilter(statuses=ENDED, created_before=before)):
        if run.run_id not in named:
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
            gone.append(run.run_id)
    return gone
