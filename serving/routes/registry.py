"""Which model runs are there, how do two differ, and is an artifact still what was fitted?"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.integrity import sha256
from assets_config.contract.names import ModelRunStatus, Segment
from assets_config.contract.registry import ModelRun
from assets_config.contract.tables import TRIALS
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Order, Page, PageSize, ordered, page_of
from serving.problems import BadRequest, NotFound
from serving.reply import Metadata, metadata, rounded
from serving.routes.backtests import OF_SEGMENT
from serving.snapshot import Snapshot


class ModelRunSaid(Struct, frozen=True):
    """One recorded fit."""

    run_id: Annotated[str, Meta(description="Use it in /registry/runs/{run_id}; forecasts name it as model_version.")]
    model_type: str
    status: Annotated[ModelRunStatus, Meta(description="As the fit ended, or `archived` once people are done with it.")]
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
    artifact_uri: Annotated[str | None, Meta(description="Null for a failed run, as are hash and size.")]
    artifact_hash: Annotated[str | None, Meta(description="SHA-256, 64 hex digits.")]
    artifact_size_bytes: int | None
    git_sha: str | None
    created_at: datetime
    completed_at: datetime
    fit_seconds: Annotated[float, Meta(description="Time that the fit took. [s]")]
    feature_set: Annotated[str | None, Meta(description="Name and hash; null for types that see sales only.")]
    error_message: Annotated[str | None, Meta(description="Why the fit failed.")]
    is_current: Annotated[bool, Meta(description="Whether it is of the graph's last fit: forecasts come from these runs.")]
    duplicate_of: Annotated[str | None, Meta(description="First run with the same config, dataset and data window.")]
    tags: Annotated[list[str], Meta(description="Words that people gave to it.")]
    notes: Annotated[str | None, Meta(description="What people said of it.")]


class ModelRunAnswer(ModelRunSaid, frozen=True):
    """One recorded fit, and where that was read."""

    metadata: Metadata


class Verification(Struct, frozen=True):
    """Whether the bytes of an artifact have the hash that was recorded."""

    verified: bool
    run_id: str
    artifact_uri: str
    stored_hash: str
    computed_hash: str
    error: str | None
    metadata: Metadata


class Change(Struct, frozen=True):
    """A parameter in which two runs differ; null where a run does not have it."""

    a: Any
    b: Any


class Difference(Struct, frozen=True):
    """A metric of two runs; null where a run does not have it."""

    a: float | None
    b: float | None
    diff: Annotated[float | None, Meta(description="b minus a; null where one of them is.")]


class Comparison(Struct, frozen=True):
    """Two runs, and what differs."""

    run_a: ModelRunSaid
    run_b: ModelRunSaid
    config_diff: Annotated[dict[str, Change], Meta(description="Parameters that differ.")]
    metrics_diff: Annotated[dict[str, Difference], Meta(description="Every metric that one of them has.")]
    metadata: Metadata


class Standing(Struct, frozen=True):
    """A model type in the leaderboard."""

    rank: int
    model_type: str
    backtest_id: Annotated[str, Meta(description="Read it at /backtests/{id}.")]
    wape: Annotated[float | None, Meta(description="Sum of absolute errors over sum of demand, all folds. [ratio]")]
    added_to_naive: Annotated[float | None, Meta(description="WAPE of naive minus this one; positive is better. [ratio]")]
    added_to_seasonal_naive: Annotated[float | None, Meta(description="The same against seasonal_naive. [ratio]")]


@table("/registry/runs", operation_id="list_model_runs", tags=["registry"])
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
    sort_order: Order = "desc",
) -> Listed[ModelRunSaid]:
    """Model runs, newest first. A run without store_id and product_id is for all series.

    Forecasts name their run as model_version. /registry/leaderboard ranks types; /registry/compare shows how two runs differ.
    """
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
    return page_of(ordered(found, sort_by, sort_order, tie="run_id"), page, page_size, metadata(lease, "registry"))


@get("/registry/runs/{run_id:str}", operation_id="get_model_run", tags=["registry"])
async def get_model_run(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> ModelRunAnswer:
    """One model run: its parameters, backtest errors, artifact, tags and notes. /registry/runs/{run_id}/card tells it in prose."""
    found = await run_of(lease, run_id)
    said = metadata(lease, "registry", model_version=run_id)
    return ModelRunAnswer(**msgspec.structs.asdict(found), metadata=said)


@get("/registry/runs/{run_id:str}/verify", operation_id="verify_model_run", tags=["registry"])
async def verify_model_run(lease: NamedDependency[Snapshot], run_id: FromPath[str]) -> Verification:
    """Hash the artifact's bytes again and compare; nothing is loaded from it. 400 for a run without one, 404 where it is gone."""
    run = await run_of(lease, run_id)
    tried = run_id in {each["run_id"] for each in await lease.rows(TRIALS, "trial_run", "run_id = ?", [run_id])}
    if run.artifact_uri is None or run.artifact_hash is None:
        raise BadRequest(f"Run {run_id} has no artifact: its status is {run.status}.")
    part = lease.manifest.parts[TRIALS if tried else "registry"]
    again = "train it again" if tried else "materialise models/fit again"
    missing = NotFound(f"The artifact of run {run_id}, {run.artifact_uri}, is missing: {again}.")
    if run.artifact_uri not in part.files:  # only files of the manifest: no path can lead elsewhere
        raise missing
    try:
        computed = sha256(lease.published.part(part.key) / run.artifact_uri)
    except OSError as error:
        raise missing from error
    verified = computed == run.artifact_hash
    fault = None if verified else "the artifact's bytes are not those that were fitted"
    said = metadata(lease, "registry", model_version=run_id)
    return Verification(verified, run_id, run.artifact_uri, run.artifact_hash, computed, fault, said)


@get("/registry/compare/{run_id_a:str}/{run_id_b:str}", operation_id="compare_model_runs", tags=["registry"])
async def compare_model_runs(lease: NamedDependency[Snapshot], run_id_a: FromPath[str], run_id_b: FromPath[str]) -> Comparison:
    """Two runs side by side: parameters that differ, and each metric with its difference.

    Take the ids from /registry/runs; b minus a, so that a negative difference of an error is an improvement.
    """
    a, b = await run_of(lease, run_id_a), await run_of(lease, run_id_b)
    changes = {
        name: Change(a.config.get(name), b.config.get(name))
        for name in sorted({*a.config, *b.config})
        if a.config.get(name) != b.config.get(name)
    }
    errors = {name: _difference(a.metrics.get(name), b.metrics.get(name)) for name in dict.fromkeys([*a.metrics, *b.metrics])}
    return Comparison(a, b, changes, errors, metadata(lease, "registry"))


@table("/registry/leaderboard", operation_id="list_standings", tags=["registry"])
async def list_standings(
    lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20, segment: FromQuery[Segment] = "all"
) -> Listed[Standing]:
    """Model types by WAPE over all folds and the series of a demand pattern, best first; those without a WAPE last.

    Added value is null without the baseline.
    """
    rows = await lease.rows("registry", "backtest_metric", f"{OF_SEGMENT} ORDER BY wape NULLS LAST, model_type", [segment])
    wape = {row["model_type"]: row["wape"] for row in rows}
    found = []
    for rank, row in enumerate(rows, 1):
        added = (_difference(row["wape"], wape.get(baseline)).diff for baseline in ("naive", "seasonal_naive"))
        found.append(Standing(rank, row["model_type"], row["backtest_id"], rounded(row["wape"]), *added))
    return page_of(found, page, page_size, metadata(lease, "registry"))


def _difference(a: float | None, b: float | None) -> Difference:
    return Difference(a, b, None if a is None or b is None else round(b - a, 6))


async def run_of(lease: Snapshot, run_id: str) -> ModelRunSaid:
    """A model run. Raises NotFound."""
    for each in await _runs(lease):
        if each.run_id == run_id:
            return each
    raise NotFound(f"No model run has the id '{run_id}'; /api/v1/registry/runs lists them.")


async def _runs(lease: Snapshot) -> list[ModelRunSaid]:
    found, notes = [], {row["run_id"]: row for row in await lease.rows("state", "model_run_note")}
    graph, tried = await lease.rows("registry", "model_run"), await lease.rows(TRIALS, "trial_run")
    for row in [*graph, *tried]:
        note = notes.get(row["run_id"], {"archived": False, "tags": "[]", "notes": None})
        for name in ("config", "metrics", "runtime_info"):
            row[name] = msgspec.json.decode(row[name])
        for name in ("created_at", "completed_at"):
            row[name] = row[name].replace(tzinfo=UTC)
        row["status"] = "archived" if note["archived"] else row["status"]
        said = {name: row[name] for name in ModelRun.__struct_fields__}
        found.append(ModelRunSaid(**said, tags=msgspec.json.decode(note["tags"]), notes=note["notes"]))
    return found
