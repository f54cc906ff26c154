"""Assets of the stage publish."""

from dagster import AssetCheckResult, AssetExecutionContext, MaterializeResult, MetadataValue, asset, asset_check

from assets_config.contract.integrity import damage
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.snapshot import current, manifests, publish
from pipelines.report import upstream
from pipelines.resources import Storage


@asset(
    key_prefix="publish",
    group_name="publish",
    kinds={"duckdb"},
    owners=["team:data"],
    deps=upstream(*TABLE_KEYS.values(), "kpis/cubes"),
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


@asset_check(asset=snapshot, description="Every file of the kept snapshots still has the bytes that were published.")
def published_files_are_whole(storage: Storage) -> AssetCheckResult:
    """Runs after each publish and every night; names the parts that are missing, truncated or altered."""
    published = storage.warehouse().published
    faults = {manifest.id: damage(published, manifest) for manifest in manifests(published)}
    found = {snapshot_id: sentences for snapshot_id, sentences in faults.items() if sentences}
    return AssetCheckResult(passed=not found, metadata={"damage": found, "served": current(published) or "none"})


ASSETS = [snapshot]
CHECKS = [published_files_are_whole]
