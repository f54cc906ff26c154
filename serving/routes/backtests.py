"""How wrong would each model type have been?"""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct

from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot

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
    """How wrong each model type would have been over rolling origins, by model type. /backtests/{backtest_id} has it by horizon."""
    metrics = await _metrics(lease)
    found = [BacktestSaid(**row, aggregated_metrics=metrics[row["backtest_id"], ALL_FOLDS, "all"]) for row in await _rows(lease)]
    found = [each for each in found if model_type is None or each.model_type == model_type]
    return page_of(sorted(found, key=lambda each: each.model_type), page, page_size, metadata(lease, "registry"))


@get("/backtests/{backtest_id:str}", operation_id="get_backtest", tags=["backtests"])
async def get_backtest(lease: NamedDependency[Snapshot], backtest_id: FromPath[str]) -> BacktestAnswer:
    """One backtest: errors pooled and by horizon, baselines on the same folds beside them.

    Levels, demand patterns, value added over both baselines and stability over folds too; /folds has the single folds.
    """
    row = await _one(lease, backtest_id)
    metrics = await _metrics(lease)
    mine = metrics[backtest_id, ALL_FOLDS, "all"]
    others = [other for other in await _rows(lease) if other["dataset_id"] == row["dataset_id"]]
    baselines = {
        other["model_type"]: metrics[other["backtest_id"], ALL_FOLDS, "all"] for other in others if other["model_type"] in BASELINES
    }
    [pooled] = await lease.rows("registry", "backtest_metric", f"backtest_id = ? AND {OF_SEGMENT}", [backtest_id, "all"])
    added = {name: _rounded(pooled[f"fva_{name}"]) for name in BASELINES}
    parts = await lease.rows("registry", "backtest_metric", f"backtest_id = ? AND {PARTS}", [backtest_id])
    buckets = _buckets(metrics, backtest_id, ALL_FOLDS)
    return BacktestAnswer(
        **row,
        aggregated_metrics=mine,
        bucketed_aggregated_metrics=buckets,
        baseline_results=baselines,
        forecast_value_added=added,
        level_results={row["level"]: _errors(row) for row in parts if row["level"] != "series"},
        segment_results={row["segment"]: _errors(row) for row in parts if row["level"] == "series"},
        stability_pct={name: _rounded(value) for name, value in msgspec.json.decode(pooled["stability_pct"]).items()},
        reason=pooled["reason"],
        metadata=metadata(lease, "registry"),
    )


@table("/backtests/{backtest_id:str}/folds", operation_id="list_backtest_folds", tags=["backtests"])
async def list_backtest_folds(
    lease: NamedDependency[Snapshot], backtest_id: FromPath[str], page: Page = 1, page_size: PageSize = 20
) -> Listed[FoldSaid]:
    """The folds of a backtest, oldest first, with their dates and errors."""
    await _one(lease, backtest_id)
    metrics = await _metrics(lease)
    found = []
    for row in await lease.rows("registry", "backtest_fold", "backtest_id = ? ORDER BY fold", [backtest_id]):
        dates = {name: value for name, value in row.items() if name != "backtest_id"}
        own = metrics[backtest_id, row["fold"], "all"]
        found.append(FoldSaid(**dates, metrics=own, horizon_bucket_metrics=_buckets(metrics, backtest_id, row["fold"])))
    return page_of(found, page, page_size, metadata(lease, "registry"))


async def _rows(lease: Snapshot) -> list[dict[str, Any]]:
    rows = await lease.rows("registry", "backtest")
    return [{**row, "config": msgspec.json.decode(row["config"])} for row in rows]


async def _one(lease: Snapshot, backtest_id: str) -> dict[str, Any]:
    for row in await _rows(lease):
        if row["backtest_id"] == backtest_id:
            return row
    raise NotFound(f"No backtest has the id '{backtest_id}'; /api/v1/backtests lists them.")


async def _metrics(lease: Snapshot) -> dict[tuple[str, int, str], Errors]:
    return {
        (row["backtest_id"], row["fold"], row["bucket"]): _errors(row)
        for row in await lease.rows("registry", "backtest_metric", "level = 'series' AND segment = 'all'")
    }


def _errors(row: dict[str, Any]) -> Errors:
    return {name: _rounded(row[name]) for name in ERRORS}


def _buckets(metrics: dict[tuple[str, int, str], Errors], backtest_id: str, fold: int) -> dict[str, Errors]:
    return {key[2]: errors for key, errors in sorted(metrics.items()) if key[:2] == (backtest_id, fold) and key[2] != "all"}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
