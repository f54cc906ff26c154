"""Assets of the stage publish."""

from datetime import UTC, datetime

from dagster import AssetCheckResult, AssetExecutionContext, MaterializeResult, MetadataValue, asset, asset_check
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED

from assets_config.contract.integrity import damage
from assets_config.contract.manifest import Check
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.snapshot import current, manifests, publish
from pipelines.report import upstream
from pipelines.resources import Storage


@asset(
    key_prefix="publish",
    group_name="publish",
    kinds={"duckdb"},
    owners=["team:data"],
    deps=upstream(*TABLE_KEYS.values(), "kpis/cubes", "knowledge/index"),
    pool="publish",
)
def snapshot(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """One immutable snapshot of all published tables, and the pointer to it: what the API serves from its next request."""
    declared = storage.declarations()
    manifest = publish(
        storage.warehouse(),
        measures=declared.published_measures(),
        kpis=declared.kpis,
        dagster_run_id=context.run_id,
        checks=checks_so_far(context),
    )
    for part, reason in manifest.omitted.items():
        context.log.warning(f"published without {part}: {reason}")
    rows = {table: count for part in manifest.parts.values() for table, count in part.tables.items()}
    return MaterializeResult(
        metadata={
            "snapshot": manifest.id,
            "source": manifest.source,
            "as of": manifest.as_of.isoformat(),
            "rows": rows,
            "omitted": manifest.omitted,
            "parts": MetadataValue.json({name: part.key for name, part in manifest.parts.items()}),
        }
    )


def checks_so_far(context: AssetExecutionContext) -> list[Check]:
    """The newest result of each asset check of the graph, by asset and name; those that never ran are left out."""
    storage, found = context.instance.event_log_storage, []
    is_launched = context.run.remote_job_origin is not None  # else it is of the command line, whose job holds the whole graph
    graph = context.repository_def.asset_graph if is_launched else context.job_def.asset_layer.asset_graph
    for key in sorted(graph.asset_check_keys):
        for record in storage.get_asset_check_execution_history(key, limit=1, status=COMPLETED):
            if record.event is None or record.event.dagster_event is None:
                continue
            said = record.event.dagster_event.asset_check_evaluation_data
            at = datetime.fromtimestamp(record.event.timestamp, UTC)
            asset_key = key.asset_key.to_user_string()
            found.append(Check(asset_key, key.name, said.passed, said.severity.value.lower(), at, record.run_id))
    return found


@asset_check(asset=snapshot, description="Every file of the kept snapshots still has the bytes that were published.")
def published_files_are_whole(storage: Storage) -> AssetCheckResult:
    """Runs after each publish and every night; names the parts that are missing, truncated or altered."""
    published = storage.warehouse().published
    faults = {manifest.id: damage(published, manifest) for manifest in manifests(published)}
    found = {snapshot_id: sentences for snapshot_id, sentences in faults.items() if sentences}
    return AssetCheckResult(passed=not found, metadata={"damage": found, "served": current(published) or "none"})


ASSETS = [snapshot]
CHECKS = [published_files_are_whole]
