"""Fits on all history: one artifact a model type, named by the run id, and the row that records it."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from assets_config.contract.durable import write_bytes
from assets_config.declared import Declarations, Model
from assets_config.features import FeatureSet
from pipelines.errors import PipelineError
from pipelines.features.panel import Panel
from pipelines.models.types import enabled, feature_set_of, fit, module_of
from pipelines.warehouse import Warehouse

SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "model_type": pl.String,
    "status": pl.String,
    "config": pl.String,
    "config_hash": pl.String,
    "data_window_start": pl.Date,
    "data_window_end": pl.Date,
    "dataset_id": pl.String,
    "series": pl.Int64,
    "horizon": pl.Int64,
    "runtime_info": pl.String,
    "artifact_uri": pl.String,
    "artifact_hash": pl.String,
    "artifact_size_bytes": pl.Int64,
    "git_sha": pl.String,
    "created_at": pl.Datetime("us"),
    "completed_at": pl.Datetime("us"),
    "fit_seconds": pl.Float64,
    "feature_set": pl.String,
    "error_message": pl.String,
}
LONGEST_MESSAGE = 2000


def artifact_path(warehouse: Warehouse, artifact_uri: str, *, stage: str = "models") -> Path:
    """Where the artifact of a fit lies in the warehouse."""
    return warehouse.folder / stage / artifact_uri


def fit_one(
    warehouse: Warehouse,
    panel: Panel,
    model: Model,
    *,
    horizon: int,
    feature_sets: Mapping[str, FeatureSet],
    git_sha: str | None,
) -> dict[str, object]:
    """Fit a model type, keep its artifact and give its row of `models/fit`.

    A fit that raises is a run too, with status failed and no artifact, so that one type does not stop the others.
    """
    suffix, feature_set = module_of(model).SUFFIX, feature_set_of(model, feature_sets)
    created, artifact, message = datetime.now(UTC).replace(tzinfo=None), None, None
    try:
        artifact = fit(model, panel, horizon=horizon, feature_sets=feature_sets)
    except Exception as error:  # noqa: BLE001 - whatever a type raises is its own failure, told in its run
        message = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
    said = None if feature_set is None else f"{feature_set.name}/{feature_set.hash}"
    row = keep(warehouse, panel, model, artifact, suffix=suffix, horizon=horizon, git_sha=git_sha, created=created)
    return {**row, "feature_set": said, "error_message": message}


def keep(
    warehouse: Warehouse,
    panel: Panel,
    model: Model,
    artifact: bytes | None,
    *,
    suffix: str,
    horizon: int,
    git_sha: str | None,
    created: datetime,
    stage: str = "models",
    scope: Sequence[object] = (),
) -> dict[str, object]:
    """Keep the artifact of a fit under a stage, where there is one, and give the row that records it.

    The run id is a hash of type, parameters, data and artifact: the same fit of the same data is the same run. `scope` says
    which part of the data was seen, where that was not all.
    """
    completed = datetime.now(UTC).replace(tzinfo=None)
    config = json.dumps(model.params, sort_keys=True)
    dataset_id = warehouse.dataset_id()
    artifact_hash = None if artifact is None else hashlib.sha256(artifact).hexdigest()
    identity = "\n".join([model.type, config, dataset_id, str(horizon), artifact_hash or "failed", *map(str, scope)])
    run_id = hashlib.sha256(identity.encode()).hexdigest()[:32]
    uri = None if artifact is None else f"artifacts/{run_id}{suffix}"
    if uri is not None and artifact is not None:
        write_bytes(artifact_path(warehouse, uri, stage=stage), artifact)
    return {
        "run_id": run_id,
        "model_type": model.type,
        "status": "failed" if artifact is None else "success",
        "config": config,
        "config_hash": config_hash(model),
        "data_window_start": panel.day(0),
        "data_window_end": panel.day(panel.days - 1),
        "dataset_id": dataset_id,
        "series": panel.series,
        "horizon": horizon,
        "runtime_info": json.dumps(_runtime()),
        "artifact_uri": uri,
        "artifact_hash": artifact_hash,
        "artifact_size_bytes": None if artifact is None else len(artifact),
        "git_sha": git_sha,
        "created_at": created,
        "completed_at": completed,
        "fit_seconds": (completed - created).total_seconds(),
        "feature_set": None,
        "error_message": None,
    }


def fitted(warehouse: Warehouse) -> pl.DataFrame:
    """The rows of `models/fit` that can forecast. Raises PipelineError, when the asset was never materialised."""
    return warehouse.read("models/fit").filter(pl.col("status") == "success")


def fitted_models(warehouse: Warehouse, declarations: Declarations) -> list[Model]:
    """The enabled model types whose last fit did not fail, in order of declaration."""
    types = fitted(warehouse)["model_type"].to_list()
    return [model for model in enabled(declarations) if model.type in types]


def read_artifact(warehouse: Warehouse, run_id: str, artifact_uri: str, artifact_hash: str, *, stage: str = "models") -> bytes:
    """The bytes of an artifact as they were fitted. Raises PipelineError, naming the run, when they are gone or others."""
    fault = artifact_fault(warehouse, artifact_uri, artifact_hash, stage=stage)
    if fault:
        again = "materialise models/fit again" if stage == "models" else "train it again"
        raise PipelineError(f"the artifact of run {run_id} {fault}: {again}")
    return artifact_path(warehouse, artifact_uri, stage=stage).read_bytes()


def artifact_fault(warehouse: Warehouse, artifact_uri: str, artifact_hash: str, *, stage: str = "models") -> str | None:
    """What is wrong with an artifact, as the end of a sentence; None where it is as it was fitted."""
    try:
        content = artifact_path(warehouse, artifact_uri, stage=stage).read_bytes()
    except FileNotFoundError:
        return f"({artifact_uri}) is missing"
    if hashlib.sha256(content).hexdigest() != artifact_hash:
        return f"({artifact_uri}) does not have the bytes that were fitted"
    return None


def config_hash(model: Model) -> str:
    """First 16 hex digits of the SHA-256 of type and parameters."""
    config = json.dumps({"type": model.type, "params": model.params}, sort_keys=True)
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def _runtime() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("demandgraph", "numpy", "polars")}}


def revision() -> str | None:
    """The revision of the code, where it runs from a checkout and git is there."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except OSError:
        return None
    return found.stdout.strip() or None
