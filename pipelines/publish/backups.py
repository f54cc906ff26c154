"""Backups: a folder that is a data root of its own, with the served snapshot and what nothing can make again."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import msgspec

from assets_config.contract.copies import BACKUPS, CHECKSUMS, BackupParams, BackupResult
from assets_config.contract.durable import locked, making_folder
from assets_config.contract.integrity import damage, sha256
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Pointer
from pipelines.errors import PublishError
from pipelines.publish.exports import keep_newest
from pipelines.publish.snapshot import served
from pipelines.warehouse import Warehouse

DECIDED = (
    "core/surrogate",
    "forecasts/model_alias",
    "forecasts/model_run_note",
    "forecasts/frozen",
    "knowledge/document",
    "planning",  # plans, scenarios, alerts, preferences and what was sent; what can be computed among it is small
    "publish/workspace",
    "trials",
)
"""Folders of the warehouse that no run of the graph makes again."""
INNER = ("registry.lock",)
"""Locks that are taken while another is held, so that they come last here too: else both would wait for each other."""
OMITTED = shutil.ignore_patterns(".*", "*.lock")


def backup(warehouse: Warehouse, asked: BackupParams, *, by: str) -> BackupResult:
    """Copy, read back and check every published byte; nothing is left where that fails.

    Takes    `by`: the job, whose id names the folder.
    Raises   PublishError, when the disk has no room for it, or the copy is not what was published.
    """
    manifest = served(warehouse.published)
    target = warehouse.root / BACKUPS / by
    target.parent.mkdir(exist_ok=True)
    sizes = [file.bytes for part in manifest.parts.values() for file in part.files.values()]
    free = shutil.disk_usage(target.parent).free
    if 2 * sum(sizes) > free:  # twice: a disk that is filled to the brim stops the pipeline
        raise PublishError(f"a backup needs {sum(sizes)} bytes and as many free besides, {free} are free")
    shutil.rmtree(target, ignore_errors=True)
    with making_folder(target) as folder:
        copied = Published(folder)
        copied.snapshots.mkdir(parents=True)
        for part in manifest.parts.values():
            shutil.copytree(warehouse.published.part(part.key), copied.part(part.key))
        copied.manifest(manifest.id).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        copied.pointer.write_bytes(msgspec.json.encode(Pointer(manifest.id, manifest.published_at)))
        with ExitStack() as locks:
            for lock in sorted(warehouse.folder.glob("*/*.lock"), key=lambda each: (each.name in INNER, each)):
                locks.enter_context(locked(lock))  # whoever changes what was decided holds one of them
            for key in DECIDED:
                if (warehouse.folder / key).exists():
                    shutil.copytree(warehouse.folder / key, folder / "warehouse" / key, ignore=OMITTED)
        faults = damage(copied, manifest)
        if faults:
            raise PublishError(f"the backup of {manifest.id} is not whole: {'; '.join(faults)}")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        lines = [f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files]
        (folder / CHECKSUMS).write_text("".join(lines))
        size = sum(path.stat().st_size for path in files)
    keep_newest(target.parent, asked.keep)
    return BackupResult(str(Path(BACKUPS, by)), manifest.id, len(files), size)
