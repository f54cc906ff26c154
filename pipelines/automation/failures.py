"""Runs that failed: which asset, what it reads, and what to do about it, written into the run where the UI shows it."""

from datetime import UTC, datetime

from dagster import AssetKey, DagsterInstance, DefaultSensorStatus, RunFailureSensorContext, run_failure_sensor
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

WHAT_TO_DO = {
    "SourceError": "Mend the file or its entry in sources.yaml; /api/v1/ingest/batches tells what became of each batch.",
    "DeclarationError": "Mend the YAML that the message names, and run the job again.",
    "ContractError": "The table is not what the contract says: make it again from the stage before, or mend the asset.",
    "PublishError": "What was published before is served on. `demandgraph doctor` says what is missing or broken.",
    "PipelineError": "Make the tables that the message names, and then this one again.",
    "OutOfMemoryException": "Give DuckDB more with DEMANDGRAPH_MEMORY, or fewer threads with DEMANDGRAPH_THREADS.",
    "MemoryError": "The machine has too little memory: shorten the range of the source, or leave out model types in models.yaml.",
    "DagsterExecutionInterruptedError": "Nothing is to be mended: its process was told to stop, as when `demandgraph up` ends.",
    "OSError": "See whether the disk is full and the data root can be written; then run the job again.",
}
ELSE = "Open the step below for its stack; if it is not plain from that, report it with the id of the run."


@run_failure_sensor(
    name="failed_runs",
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Write into each run that failed which asset it was, what that asset reads, and what to do.",
)
def failed_runs(context: RunFailureSensorContext) -> None:
    """Say of each run that failed which asset it was, what that asset reads, and what to do."""
    graph = context.repository_def.asset_graph if context.repository_def is not None else None
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        cause = (error.cause or error) if error is not None else None
        error_type = (cause.cls_name if cause is not None else None) or "Error"
        message = cause.message.strip() if cause is not None else ""
        said = advice(context.instance, graph, step=event.step_key or "", error_type=error_type, message=message)
        context.log.error(said)
        context.instance.report_engine_event(said, context.dagster_run)


def advice(instance: DagsterInstance, graph: BaseAssetGraph | None, *, step: str, error_type: str, message: str) -> str:
    """What a person should know who has to mend it."""
    key = AssetKey(step.split("__"))
    reads = ""
    if graph is not None and graph.has(key):
        parents = sorted(graph.get(key).parent_keys)
        reads = (
            f" It reads {', '.join(_input(instance, parent) for parent in parents)}." if parents else " It reads the landing zone."
        )
    named, _, rest = message.partition(": ")
    if named.rpartition(".")[2] == error_type:
        message = rest
    todo = WHAT_TO_DO.get(error_type, ELSE)
    again = "Then retry the run from here, or POST /api/v1/jobs/{job_id}/retry: it goes on from the step that failed."
    why = f": {message.rstrip('.')}" if message else ""
    return f"{key.to_user_string()} failed{why}.{reads} What to do: {todo} {again}"


def _input(instance: DagsterInstance, key: AssetKey) -> str:
    """An input, and when it was last made."""
    newest = instance.get_latest_materialization_event(key)
    if newest is None:
        return f"{key.to_user_string()} (never made: make it first)"
    return f"{key.to_user_string()} (made {datetime.fromtimestamp(newest.timestamp, UTC):%Y-%m-%d %H:%M})"
