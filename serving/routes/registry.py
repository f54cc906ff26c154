"""Which model runs are there, and is an artifact still what was fitted?"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.integrity import sha256
from assets_config.contract.names import ModelRunStatus
from serving.filters import product_of, store_of
from serving.problems import NotFound
from serving.reply import Listed, Metadata, Page, PageSize, metadata, page_of
from serving.snapshot import Snapshot


class ModelRunSaid(Struct, frozen=True):
    """One recorded fit."""

    run_id: Annotated[str, Meta(description="Use it in /registry/runs/{run_id}; forecasts name it as model_version.")]
    model_type: str
    status: ModelRunStatus
    config: dict[str, Any]
    config_hash: str
    data_window_start: date
    data_window_end: date
    dataset_id: str
    store_id: int | None
    product_id: int | None
    series: int
    metrics: Annotated[dict[str, Any], Meta(description="Backtest errors pooled over folds, and champion_of: its series.")]
    runtime_info: dict[str, Any]
    artifact_uri: str
    artifact_hash: str
    artifact_size_bytes: int
    git_sha: str | None
    created_at: datetime
    completed_at: datetime


class ModelRunAnswer(ModelRunSaid, frozen=True):
    """One recorded fit, and where that was read."""

    metadata: Metadata


class Verification(Struct, frozen=True):
    """Whether the bytes of an artifact have the hash that was recorded."""

    verified: bool
    run_id: str
    artifact_uri: str
    stored_hash: str
    computed_hash: str | None
    error: str | None
    metadata: Metadata


@get("/registry/runs", operation_id="list_model_runs", tags=["registry"])
async def list_model_runs(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    model_type: FromQuery[str | None] = None,
    status: FromQuery[ModelRunStatus | None] = None,
    store_id: FromQuery[str | None] = None,
    product_id: FromQuery[str | None] = None,
    sort_by: Annotated[
        Literal["created_at", "model_type", "status", "store_id", "product_id"], QueryParameter(description="Field.")
    ] = "created_at",
    sort_order: FromQuery[Literal["asc", "desc"]] = "desc",
) -> Listed[ModelRunSaid]:
    """Model runs, newest first. A run without store_id and product_id is for all series."""
    store = store_of(lease, store_id) if store_id else None
    product = product_of(lease, product_id) if product_id else None
    found = [
        each
        for each in await _runs(lease)
        if (model_type is None or each.model_type == model_type)
        and (status is None or each.status == status)
        and (store is None or each.store_id == store)
        and (product is None or each.product_id == product)
    ]
    found.sort(key=lambda each: each.run_id)
    found.sort(key=lambda each: (getattr(each, sort_by) is not None, getattr(each, sort_by)), reverse=sort_order == "desc")
    return page_of(found, page, page_size, metadata(lease, "registry"))


@get("/registry/runs/{run_id:str}", operation_id="get_model_run", tags=["registry"])
async def get_model_run(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> ModelRunAnswer:
    """One model run."""
    found = await _run(lease, run_id)
    said = metadata(lease, "registry", model_version=run_id)
    return ModelRunAnswer(**msgspec.structs.asdict(found), metadata=said)


@get("/registry/runs/{run_id:str}/verify", operation_id="verify_model_run", tags=["registry"])
async def verify_model_run(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> Verification:
    """Hash the artifact's bytes again and compare; nothing is loaded from it."""
    run = await _run(lease, run_id)
    part = lease.manifest.parts["registry"]
    computed, error = None, None
    if run.artifact_uri in part.files:  # only files of the manifest: no path can lead elsewhere
        try:
            computed = sha256(lease.published.part(part.key) / run.artifact_uri)
        except OSError as reason:
            error = f"the artifact cannot be read: {reason.strerror}"
    else:
        error = "the artifact is not part of this snapshot"
    verified = computed == run.artifact_hash
    if computed and not verified:
        error = "the artifact's bytes are not those that were fitted"
    said = metadata(lease, "registry", model_version=run_id)
    return Verification(verified, run_id, run.artifact_uri, run.artifact_hash, computed, error, said)


async def _run(lease: Snapshot, run_id: str) -> ModelRunSaid:
    for each in await _runs(lease):
        if each.run_id == run_id:
            return each
    raise NotFound(f"No model run has the id '{run_id}'; /api/v1/registry/runs lists them.")


async def _runs(lease: Snapshot) -> list[ModelRunSaid]:
    found = []
    for row in await lease.rows("registry", "model_run"):
        for name in ("config", "metrics", "runtime_info"):
            row[name] = msgspec.json.decode(row[name])
        for name in ("created_at", "completed_at"):
            row[name] = row[name].replace(tzinfo=UTC)
        found.append(ModelRunSaid(**row))
    return found
