"""Fits on all history: one artifact a model type, named by the run id, and the row that records it."""

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from assets_config.contract.durable import write_bytes
from assets_config.declared import Model
from assets_config.features import FeatureSet
from pipelines.features.panel import Panel
from pipelines.models.types import fit, module_of
from pipelines.warehouse import Warehouse

SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "model_type": pl.String,
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
}


def artifact_path(warehouse: Warehouse, artifact_uri: str) -> Path:
    """Where the artifact of a fit lies in the warehouse."""
    return warehouse.folder / "models" / artifact_uri


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

    The run id is a hash of type, parameters, data and artifact: the same fit of the same data is the same run.
    """
    module = module_of(model)
    created = datetime.now(UTC).replace(tzinfo=None)
    artifact = fit(model, panel, horizon=horizon, feature_sets=feature_sets)
    config = json.dumps(model.params, sort_keys=True)
    dataset_id = warehouse.dataset_id()
    artifact_hash = hashlib.sha256(artifact).hexdigest()
    identity = "\n".join([model.type, config, dataset_id, str(horizon), artifact_hash])
    run_id = hashlib.sha256(identity.encode()).hexdigest()[:32]
    uri = f"artifacts/{run_id}{module.SUFFIX}"
    write_bytes(artifact_path(warehouse, uri), artifact)
    return {
        "run_id": run_id,
        "model_type": model.type,
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
        "artifact_size_bytes": len(artifact),
        "git_sha": git_sha,
        "created_at": created,
        "completed_at": datetime.now(UTC).replace(tzinfo=None),
    }


def config_hash(model: Model) -> str:
    """First 16 hex digits of the SHA-256 of type and parameters."""
    config = json.dumps({"type": model.type, "params": model.params}, sort_keys=True)
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def _runtime() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("demandgraph", "numpy", "polars")}}
