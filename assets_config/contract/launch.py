"""What a job comes to: the role that it asks for, the assets that it makes, and the config of its Dagster run."""

from typing import Any

import msgspec
from msgspec import Struct

from assets_config.contract.graph import AMENDMENT, ASSETS, ON_REQUEST
from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.materialize import MaterializeParams
from assets_config.contract.names import STAGES, Role


def role_of(job_type: str, params: Struct) -> Role:
    """The role that a job asks for: its type's, or admin where it is forced against a protection."""
    return "admin" if getattr(params, "force", False) else JOB_TYPES[job_type].role


class UnknownAssets(ValueError):
    """Assets that a job asked for and that the graph does not have; `entries` are (position, text)."""

    def __init__(self, entries: list[tuple[int, str]]) -> None:
        super().__init__(", ".join(text for _, text in entries))
        self.entries = entries


def selection(job_type: str, params: Struct) -> list[str]:
    """The asset keys that a job makes, upstream first.

    Raises UnknownAssets, when an entry is neither an asset key nor a stage.
    """
    if isinstance(params, MaterializeParams):
        unknown = [(n, entry) for n, entry in enumerate(params.assets) if entry not in ASSETS and entry not in STAGES]
        if unknown:
            raise UnknownAssets(unknown)
        return [key for key in ASSETS if not params.assets or key in params.assets or key.split("/")[0] in params.assets]
    job = JOB_TYPES[job_type]
    own = {job.state, *job.assets, *([AMENDMENT] if job.amends else [])}
    return [key for key in ASSETS if key in own or (key.split("/")[0] in job.stages and key not in ON_REQUEST)]


def run_config(job_type: str, params: Struct) -> dict[str, Any]:
    """The Dagster run config of a job: what the assets are told that load data and keep state."""
    job, ops = JOB_TYPES[job_type], {}
    if told := job.source(params) if job.source else {}:
        ops["sources__batches"] = {"config": told}
    if job.state:
        ops[job.state.replace("/", "__")] = {"config": {job_type: msgspec.json.encode(params).decode()}}
        if job.amends:
            ops[AMENDMENT.replace("/", "__")] = {"config": {"part": job.amends}}
    return {"ops": ops} if ops else {}
