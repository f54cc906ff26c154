"""Assets of the stage publish."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from dagster import AssetCheckResult, AssetExecutionContext, Config, MaterializeResult, MetadataValue, asset, asset_check
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED
from pydantic import Field

from assets_config.contract.copies import BackupParams, ExportParams, RollbackParams
from assets_config.contract.integrity import damages
from assets_config.contract.manifest import Check
from assets_config.contract.tables import PARTS, STATE, TRIALS
from pipelines.publish.backups import backup as write_backup
from pipelines.publish.exports import export as write_export
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.snapshot import amend, current, manifests, publish, rollback
from pipelines.publish.workspaces import assets as workspaces
from pipelines.report import GRAPH_POOL, answer, graph_of, job_of, upstream
from pipelines.resources import Storage

OWN: dict[str, Any] = {"key_prefix": "publish", "group_name": "publish", "owners": ["team:data"]}


@asset(
    key_prefix="publish",
    group_name="publish",
    kinds={"duckdb"},
    owners=["team:data"],
    deps=upstream(*TABLE_KEYS.values(), "kpis/cubes", "knowledge/index"),
    pool=GRAPH_POOL,
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
            **answer({"snapshot_id": manifest.id}),
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
    for key in sorted(graph_of(context).asset_check_keys):
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
    found = {snapshot_id: faults for snapshot_id, faults in damages(published, manifests(published)).items() if faults}
    return AssetCheckResult(passed=not found, metadata={"damage": found, "served": current(published) or "none"})


class AmendmentConfig(Config):
    """What to publish alone. Left empty: nothing is published."""

    part: str | None = Field(default=None, description="The part whose tables a job changed: trials or state.")


@asset(
    **OWN,
    kinds={"duckdb"},
    deps=upstream(*(TABLE_KEYS[table] for part in (STATE, TRIALS) for table in PARTS[part])),
)
def amendment(context: AssetExecutionContext, config: AmendmentConfig, storage: Storage) -> MaterializeResult:
    """The snapshot that is served, but for one part that a job changed: needs no other table, and waits for no other run."""
    if config.part is None:
        return MaterializeResult(metadata={"snapshot": "none: nothing was asked for"})
    manifest = amend(storage.warehouse(), config.part, dagster_run_id=context.run_id)
    return MaterializeResult(
        metadata={"snapshot": manifest.id, "as of": manifest.as_of.isoformat(), **answer({"snapshot_id": manifest.id})}
    )


class PointerConfig(Config):
    """Which snapshot to go back to. Left empty: the pointer stays."""

    rollback: str | None = Field(default=None, description="The snapshot to serve, as JSON (contract.copies.RollbackParams).")


@asset(**OWN, kinds={"json"}, deps=upstream("publish/snapshot"))
def pointer(config: PointerConfig, storage: Storage) -> MaterializeResult:
    """Which snapshot is served. A run of the graph points to the one that it makes; a rollback job to an earlier one, at once."""
    published = storage.warehouse().published
    if config.rollback is None:
        return MaterializeResult(metadata=answer({"snapshot_id": current(published)}))
    manifest = rollback(published, msgspec.json.decode(config.rollback, type=RollbackParams).snapshot_id)
    return MaterializeResult(
        metadata={"snapshot": manifest.id, "as of": manifest.as_of.isoformat(), **answer({"snapshot_id": manifest.id})}
    )


class ExportConfig(Config):
    """What to export. Left empty: nothing is."""

    export: str | None = Field(default=None, description="What to export, as JSON (contract.copies.ExportParams).")


@asset(**OWN, kinds={"duckdb", "parquet"}, deps=upstream("publish/snapshot"))
def export(context: AssetExecutionContext, config: ExportConfig, storage: Storage) -> MaterializeResult:
    """Tables of the served snapshot as CSV or Parquet, in a folder a job under `exports/`."""
    if config.export is None:
        return MaterializeResult(metadata={"snapshot": "none: nothing was asked for"})
    asked = msgspec.json.decode(config.export, type=ExportParams)
    return MaterializeResult(metadata=answer(write_export(storage.warehouse(), asked, by=job_of(context))))


class BackupConfig(Config):
    """What to back up. Left empty: nothing is."""

    backup: str | None = Field(default=None, description="How many backups stay, as JSON (contract.copies.BackupParams).")


@asset(**OWN, kinds={"file"}, deps=upstream("publish/snapshot"))
def backup(context: AssetExecutionContext, config: BackupConfig, storage: Storage) -> MaterializeResult:
    """A copy of the served snapshot and of what can not be made again, in a folder a job under `backups/`."""
    if config.backup is None:
        return MaterializeResult(metadata={"snapshot": "none: nothing was asked for"})
    asked = msgspec.json.decode(config.backup, type=BackupParams)
    return MaterializeResult(metadata=answer(write_backup(storage.warehouse(), asked, by=job_of(context))))


ASSETS = [*workspaces.ASSETS, snapshot, amendment, pointer, export, backup]
CHECKS = [published_files_are_whole]
