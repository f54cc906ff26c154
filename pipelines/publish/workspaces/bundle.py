"""Bundles: a workspace and its scenarios as files, a folder a bundle; the same content is the same bytes.

<root>/exports/workspaces/<workspace_id>/<number>/   manifest.json, scenario_plans/<scenario_id>.json, checksums.sha256
                                                     bundle.zip: all of these
"""

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any

import msgspec
from msgspec import structs

from assets_config.contract.copies import ARCHIVE, CHECKSUMS, EXPORTS, MANIFEST, WORKSPACES
from assets_config.contract.durable import making_folder
from assets_config.contract.stories import CreatedObjects
from assets_config.contract.workspaces import Bundle, BundleFile, Reference, Workspace, references, tags_of
from pipelines.errors import PipelineError, PublishError
from pipelines.publish.exports import KEEP, keep_newest
from pipelines.publish.workspaces.state import changing, known, workspaces, write
from pipelines.publish.workspaces.summary import scenarios_of
from pipelines.warehouse import Warehouse

FORMAT = 1
WRITTEN = (1980, 1, 1, 0, 0, 0)  # the time that every file of an archive has, so that its bytes are those of its content
DECODED = ("tags", "asked", "created_objects", "story", "result_summary", "warnings")
TOLD = ("exports", "changed_at", "changed_by")  # what an export itself changes
PLACES = {
    "model_run": (("forecasts/model_run", "run_id"), ("trials/trial_run", "run_id")),
    "scenario": (("planning/scenario", "scenario_id"),),
    "plan": (("planning/season_plan", "plan_id"),),
    "workspace": (("publish/workspace", "workspace_id"),),
}
"""Tables that have what is referred to; a job is looked for by nobody here."""


def export_workspace(warehouse: Warehouse, workspace_id: str, *, at: datetime, by: str) -> tuple[int, str]:
    """Write a bundle, read it back, and count it; where the newest one has the same content, that is it.

    Gives    its number, and the SHA-256 of its archive.
    Raises   PipelineError for a workspace that there is not, PublishError for a bundle that is not read back as it was written.
    """
    with changing(warehouse):
        found = workspaces(warehouse)
        if workspace_id not in found:
            raise PipelineError(f"no workspace has the id {workspace_id}: it was deleted, or never was")
        workspace = found[workspace_id]
        files = content(warehouse, workspace)
        archive = packed(files)
        of_workspace = warehouse.root / EXPORTS / WORKSPACES / workspace_id
        number, digest = workspace.exports, hashlib.sha256(archive).hexdigest()
        newest = of_workspace / str(number) / ARCHIVE
        if newest.exists() and hashlib.sha256(newest.read_bytes()).hexdigest() == digest:
            return number, digest
        number += 1
        shutil.rmtree(of_workspace / str(number), ignore_errors=True)  # of a job that was killed before it was counted
        with making_folder(of_workspace / str(number)) as folder:
            for name, data in {**files, ARCHIVE: archive}.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(data)
            check((folder / ARCHIVE).read_bytes())
        keep_newest(of_workspace, KEEP)
        found[workspace_id] = structs.replace(workspace, exports=number, changed_at=at, changed_by=by)
        write(warehouse, found.values())
    return number, digest


def content(warehouse: Warehouse, workspace: Workspace) -> dict[str, bytes]:
    """The files of a bundle by name, the manifest and the checksums last."""
    said = {name: value for name, value in structs.asdict(workspace).items() if name not in TOLD}
    said |= {name: msgspec.json.decode(said[name]) for name in DECODED}
    plans = {f"scenario_plans/{each}.json": _plan(warehouse, each) for each in _scenarios(warehouse, workspace)}
    listed = [BundleFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in plans.items()]
    files = {**plans, MANIFEST: _json(Bundle(FORMAT, said, gone(warehouse, workspace), listed))}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    return {**files, CHECKSUMS: sums.encode()}


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as an archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, WRITTEN)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def check(archive: bytes) -> Bundle:
    """The manifest of an archive, every file held against its checksum. Raises PublishError, naming the file."""
    with zipfile.ZipFile(BytesIO(archive)) as read:
        lines = (line.split("  ", 1) for line in read.read(CHECKSUMS).decode().splitlines())
        sums = {name: digest for digest, name in lines}
        odd = {*read.namelist()} ^ {*sums, CHECKSUMS}
        odd |= {name for name, digest in sums.items() if hashlib.sha256(read.read(name)).hexdigest() != digest}
        if odd:
            raise PublishError(f"the bundle is not what was written: {', '.join(sorted(odd))}")
        return msgspec.json.decode(read.read(MANIFEST), type=Bundle)


def gone(warehouse: Warehouse, workspace: Workspace) -> list[Reference]:
    """What a workspace names and no table has any more."""
    there = {kind: set[str]().union(*(known(warehouse, key, column) for key, column in places)) for kind, places in PLACES.items()}
    return [each for each in references(workspace) if each.kind in there and each.id not in there[each.kind]]


def _scenarios(warehouse: Warehouse, workspace: Workspace) -> list[str]:
    """The saved scenarios that belong to a workspace now: those of its run that are left, and those that were tagged since."""
    made = msgspec.json.decode(workspace.created_objects, type=CreatedObjects).scenario_ids
    tagged = scenarios_of(warehouse, tags_of(workspace.name, workspace.workspace_id))
    return sorted({*tagged, *(known(warehouse, "planning/scenario", "scenario_id") & set(made))})


def _plan(warehouse: Warehouse, scenario_id: str) -> bytes:
    [scenario] = warehouse.read("planning/scenario").filter(scenario_id=scenario_id).iter_rows(named=True)
    days = warehouse.read("planning/scenario_day").filter(scenario_id=scenario_id).sort("date").drop("scenario_id")
    said = {**scenario, "days": days.to_dicts()}
    return _json({**said, **{name: msgspec.json.decode(said[name]) for name in ("question", "tags")}})


def _json(said: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(said))
