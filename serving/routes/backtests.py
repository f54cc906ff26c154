"""How wrong would each model type have been?"""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct

from assets_config.contract.registry import Backtest
from assets_config.contract.tables import TRIALS
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata, rounded
from serving.snapshot import Snapshot

GRAPH, TRIED = ("registry", "backtest_metric"), (TRIALS, "trial_metric")
BASELINES = ("naive", "seasonal_naive")
ERRORS = (
    *("mae", "rmse", "wape", "smape", "mape", "mase", "rmsse", "bias", "bias_ratio"),
    *("wrmsse", "tracking_signal", "pinball", "wql", "coverage_80", "coverage_90"),
)
ALL_FOLDS = -1
OF_SEGMENT = "fold = -1 AND bucket = 'all' AND level = 'series' AND segment = ?"
PARTS = "fold = -1 AND bucket = 'all' AND (level <> 'series' OR segment <> 'all')"
Errors = dict[str, float | None]


class BacktestSaid(Struct, frozen=True):
    """One model type, evaluated."""

    backtest_id: Annotated[str, Meta(description="Use it in /backtests/{id}.")]
    model_type: str
    config: dict[str, Any]
    strategy: str
    n_splits: int
    horizon: int
    gap: int
    series: int
    dataset_id: str
    store_id: Annotated[int | None, Meta(description="Store that a job evaluated it on; null for all.")]
    product_id: Annotated[int | None, Meta(description="Product that a job evaluated it on; null for all.")]
    made_by: Annotated[str | None, Meta(description="Job that asked for it; null for the backtests that the graph makes.")]
    aggregated_metrics: Annotated[Errors, Meta(description="Errors pooled over all folds; null where undefined.")]


class BacktestAnswer(BacktestSaid, frozen=True):
    """One model type, evaluated: by horizon, and beside the baselines."""

    bucketed_aggregated_metrics: Annotated[dict[str, Errors], Meta(description="Pooled errors by horizon bucket.")]
    baseline_results: Annotated[dict[str, Errors], Meta(description="Pooled errors of naive and seasonal_naive.")]
    forecast_value_added: Annotated[
        dict[str, float | None], Meta(description="WAPE of each baseline minus this WAPE; positive is better. [ratio]")
    ]
    level_results: Annotated[dict[str, Errors], Meta(description="Pooled errors of the sums at each level, such as total.")]
    segment_results: Annotated[dict[str, Errors], Meta(description="Pooled errors of the series of each demand pattern.")]
    stability_pct: Annotated[Errors, Meta(description="100 sd / |mean| of each metric over the folds; over 50 is unsteady. [pct]")]
    reason: Annotated[str | None, Meta(description="Why metrics are null, where they are.")]
    metadata: Metadata


class FoldSaid(Struct, frozen=True):
    """One fold: its dates and errors."""

    fold: int
    train_start: date
    cutoff: date
    test_start: date
    test_end: date
    metrics: Errors
    horizon_bucket_metrics: dict[str, Errors]


@table("/backtests", operation_id="list_backtests", tags=["backtests"])
async def list_backtests(
    lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20, model_type: FromQuery[str | None] = None
) -> Listed[BacktestSaid]:
    """How wrong each model type would have been over rolling origins, by model type, and then what backtest jobs found.

    /backtests/{backtest_id} has it by horizon.
    """
    metrics = await _metrics(lease)
    found = [BacktestSaid(**row, aggregated_metrics=metrics[row["backtest_id"], ALL_FOLDS, "all"]) for row in await _rows(lease)]
    found = [each for each in found if model_type is None or each.model_type == model_type]
    return page_of(
        sorted(found, key=lambda each: (each.made_by is not None, each.model_type)), page, page_size, metadata(lease, "registry")
    )


@get("/backtests/{backtest_id:str}", operation_id="get_backtest", tags=["backtests"])
async def get_backtest(lease: NamedDependency[Snapshot], backtest_id: FromPath[str]) -> BacktestAnswer:
    """One backtest: errors pooled and by horizon, baselines on the same folds beside them.

    Levels, demand patterns, value added over both baselines and stability over folds too; /folds has the single folds.
    """
    row = await _one(lease, backtest_id)
    metrics = await _metrics(lease)
    mine = metrics[backtest_id, ALL_FOLDS, "all"]
    source, own_rows, values = GRAPH, "backtest_id = ?", [backtest_id]
    if row["made_by"]:
        source, own_rows, values = TRIED, "backtest_id = ? AND model_type = ?", [backtest_id, row["model_type"]]
        own = await lease.rows(*TRIED, f"backtest_id = ? AND {OF_SEGMENT}", [backtest_id, "all"])
        baselines = {each["model_type"]: _errors(each) for each in own if each["model_type"] in BASELINES}
    else:
        others = [other for other in await _rows(lease) if other["dataset_id"] == row["dataset_id"] and not other["made_by"]]
        baselines = {
            other["model_type"]: metrics[other["backtest_id"], ALL_FOLDS, "all"]
            for other in others
            if other["model_type"] in BASELINES
        }
    [pooled] = await lease.rows(*source, f"{own_rows} AND {OF_SEGMENT}", [*values, "all"])
    added = {name: rounded(pooled[f"fva_{name}"]) for name in BASELINES}
    parts = await lease.rows(*source, f"{own_rows} AND {PARTS}", values)
    buckets = _buckets(metrics, backtest_id, ALL_FOLDS)
    return BacktestAnswer(
        **row,
        aggregated_metrics=mine,
        bucketed_aggregated_metrics=buckets,
        baseline_results=baselines,
        forecast_value_added=added,
        level_results={each["level"]: _errors(each) for each in parts if each["level"] != "series"},
        segment_results={each["segment"]: _errors(each) for each in parts if each["level"] == "series"},
        stability_pct={name: rounded(value) for name, value in msgspec.json.decode(pooled["stability_pct"]).items()},
        reason=pooled["reason"],
        metadata=metadata(lease, "registry"),
    )


@table("/backtests/{backtest_id:str}/folds", operation_id="list_backtest_folds", tags=["backtests"])
async def list_backtest_folds(
    lease: NamedDependency[Snapshot], backtest_id: FromPath[str], page: Page = 1, page_size: PageSize = 20
) -> Listed[FoldSaid]:
    """The folds of a backtest, oldest first, with their dates and errors."""
    made_by = (await _one(lease, backtest_id))["made_by"]
    metrics = await _metrics(lease)
    found = []
    part, table_of = (TRIALS, "trial_fold") if made_by else ("registry", "backtest_fold")
    for row in await lease.rows(part, table_of, "backtest_id = ? ORDER BY fold", [backtest_id]):
        dates = {name: value for name, value in row.items() if name != "backtest_id"}
        own = metrics[backtest_id, row["fold"], "all"]
        found.append(FoldSaid(**dates, metrics=own, horizon_bucket_metrics=_buckets(metrics, backtest_id, row["fold"])))
    return page_of(found, page, page_size, metadata(lease, "registry"))


async def _rows(lease: Snapshot) -> list[dict[str, Any]]:
    graph, tried = await lease.rows("registry", "backtest"), await lease.rows(TRIALS, "trial_backtest")
    none = {"store_id": None, "product_id": None, "made_by": None}
    rows = [{**none, **row, "config": msgspec.json.decode(row["config"])} for row in [*graph, *tried]]
    return [{name: row[name] for name in (*Backtest.__struct_fields__, *none)} for row in rows]


async def _one(lease: Snapshot, backtest_id: str) -> dict[str, Any]:
    for row in await _rows(lease):
        if row["backtest_id"] == backtest_id:
            return row
    raise NotFound(f"No backtest has the id '{backtest_id}'; /api/v1/backtests lists them.")


async def _metrics(lease: Snapshot) -> dict[tuple[str, int, str], Errors]:
    whole = "level = 'series' AND segment = 'all'"
    types = {row["backtest_id"]: row["model_type"] for row in await lease.rows(TRIALS, "trial_backtest")}
    tried = [row for row in await lease.rows(*TRIED, whole) if types.get(row["backtest_id"]) == row["model_type"]]
    return {(row["backtest_id"], row["fold"], row["bucket"]): _errors(row) for row in [*await lease.rows(*GRAPH, whole), *tried]}


def _errors(row: dict[str, Any]) -> Errors:
    return {name: rounded(row[name]) for name in ERRORS}


def _buckets(metrics: dict[tuple[str, int, str], Errors], backtest_id: str, fold: int) -> dict[str, Errors]:
    return {key[2]: errors for key, errors in sorted(metrics.items()) if key[:2] == (backtest_id, fold) and key[2] != "all"}
