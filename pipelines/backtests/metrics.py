"""The errors of backtests: a fold, horizon bucket, level and segment, each also pooled over the folds."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import msgspec
import numpy as np
import polars as pl

from assets_config.contract.names import Bucket
from assets_config.contract.registry import BacktestMetric
from pipelines.backtests import losses
from pipelines.backtests.folds import Fold
from pipelines.backtests.intervals import LEVELS as QUANTILES
from pipelines.backtests.intervals import honest_quantiles
from pipelines.features import levels
from pipelines.features.panel import Panel
from pipelines.features.patterns import PATTERNS, Patterns, patterns
from pipelines.shapes import schema

BUCKET_ENDS = {"h_1_7": (1, 7), "h_8_14": (8, 14), "h_15_28": (15, 28), "h_29_plus": (29, 10**6)}
SEGMENTS = ("all", *PATTERNS)
POOLED = -1
WEIGHED_DAYS = 28
METRICS = (
    *("mae", "rmse", "wape", "smape", "mape", "mase", "rmsse", "bias", "bias_ratio"),
    *("wrmsse", "tracking_signal", "pinball", "wql", "coverage_80", "coverage_90"),
)
UNDEFINED = {
    "no demand to divide by": ("wape", "bias_ratio", "wql", "mape"),
    "demand was the same on all training days": ("mase", "rmsse"),
    "no revenue in the last 28 training days": ("wrmsse",),
    "quantiles need a second fold": ("pinball", "coverage_80", "coverage_90"),
}
"""Why a metric can be null."""


class Truth(msgspec.Struct, frozen=True):
    """What one fold is scored against at one level: the N members' demand and scales, the same for every model type."""

    fold: Fold
    level: str
    codes: np.ndarray  # [S] the member of each series
    y: np.ndarray  # [N, H] float64, NaN where it is not known
    unknown: np.ndarray  # [S, H] whether the day of a series is in no sum, neither of demand nor of forecasts
    absolute: np.ndarray  # [N]
    squared: np.ndarray  # [N]
    patterns: Patterns | None  # of the N as of the cutoff; of series only
    scales: list[losses.LevelScale]  # what wrmsse needs; of series only


class Scored(msgspec.Struct, frozen=True):
    """Forecasts of one model type for one fold at one level."""

    truth: Truth
    steps: np.ndarray  # [H]
    yhat: np.ndarray  # [N, H]
    quantiles: np.ndarray | None  # [N, H, 7]


def truths(panel: Panel, members: levels.Members, windows: Sequence[Fold]) -> dict[str, list[Truth]]:
    """What every fold is scored against, by published level."""
    codes = {level: members.of(level).codes for level in levels.LEVELS}
    sums = {level: losses.group_sums(panel.y, of) for level, of in codes.items()}
    found: dict[str, list[Truth]] = {level: [] for level in levels.PUBLISHED}
    for fold in windows:
        unknown = np.isnan(panel.y[:, fold.test_start : fold.test_end])
        train, test = slice(fold.train_start, fold.train_end), slice(fold.test_start, fold.test_end)
        last = slice(max(fold.train_start, fold.train_end - WEIGHED_DAYS), fold.train_end)
        revenue = np.nansum(panel.y[:, last].astype(np.float64) * panel.price[:, last], axis=1)
        scales = {level: losses.level_scale(sums[level][:, train], revenue, of) for level, of in codes.items()}
        for level in levels.PUBLISHED:
            of_series = level == "series"
            days = panel.y if of_series else sums[level]  # a day of a series may be unknown, of a sum it counts as nothing
            found[level].append(
                Truth(
                    fold,
                    level,
                    codes[level],
                    days[:, test].astype(np.float64),
                    unknown,
                    losses.absolute_scale(days[:, train]),
                    losses.squared_scale(days[:, train]) if of_series else scales[level].scale,
                    patterns(panel.until(fold.train_end)) if of_series else None,
                    list(scales.values()) if of_series else [],
                )
            )
    return found


def metric_rows(
    identity: str, model_type: str, truth: dict[str, list[Truth]], predictions: pl.DataFrame
) -> Iterator[dict[str, object]]:
    """The errors of one model type, as contract.registry.BacktestMetric but for the added value.

    Takes    what `truths` gives and the rows of backtests/prediction of this model type.
    """
    forecasts = [_forecast(of_fold, predictions) for of_fold in truth["series"]]
    for level, of_level in truth.items():
        sums = {piece.truth.fold.number: _sums(piece) for piece in _scored(of_level, forecasts)}
        for segment, bucket in itertools.product(SEGMENTS, get_args(Bucket)):
            of_folds = {fold: found[segment, bucket] for fold, found in sums.items() if (segment, bucket) in found}
            if not of_folds:
                continue
            of_folds[POOLED] = {name: sum(each[name] for each in of_folds.values()) for name in next(iter(of_folds.values()))}
            errors = {fold: _errors(each) for fold, each in of_folds.items()}
            steady = {name: losses.stability_pct([errors[fold][name] for fold in errors if fold != POOLED]) for name in METRICS}
            for fold, found in errors.items():
                keys = {"backtest_id": identity, "model_type": model_type, "fold": fold, "bucket": bucket}
                spread = json.dumps(steady) if fold == POOLED else None
                yield {**keys, **found, "level": level, "segment": segment, "stability_pct": spread}


def metric_frame(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """The columns of contract.registry.BacktestMetric.

    Takes    what `metric_rows` gives of all model types, the baselines among them: by how much a wape is lower than theirs on
             the same points is told here.
    """
    metrics = pl.DataFrame(rows, schema=schema(BacktestMetric))
    keys = ["fold", "bucket", "level", "segment"]
    for base in ("naive", "seasonal_naive"):
        of_base = metrics.filter(pl.col("model_type") == base).select(*keys, pl.col("wape").alias("base"))
        metrics = (
            metrics.join(of_base, on=keys, how="left", maintain_order="left")
            .with_columns((pl.col("base") - pl.col("wape")).alias(f"fva_{base}"))
            .drop("base")
        )
    return metrics


def buckets(steps: np.ndarray) -> np.ndarray:
    """The horizon bucket of each step, the names of BUCKET_ENDS. Steps count from 1."""
    starts = [first for first, _ in BUCKET_ENDS.values()]
    return np.array(list(BUCKET_ENDS))[np.digitize(steps, starts) - 1]


def _forecast(truth: Truth, predictions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What rows of backtests/prediction of one model type say of a fold: the steps [H] and each series' forecasts [S, H]."""
    rows = predictions.filter(pl.col("fold") == truth.fold.number).sort("s", "step")
    return rows["step"].unique().sort().to_numpy(), rows["yhat"].to_numpy().astype(np.float64).reshape(len(truth.y), -1)


def _scored(truth: Sequence[Truth], forecasts: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Scored]:
    """The forecasts of one model type beside the truth of one level, all folds, with honest quantiles."""
    found = []
    for each, (steps, yhat) in zip(truth, forecasts, strict=True):
        own = yhat if each.level == "series" else losses.group_sums(np.where(each.unknown, 0, yhat), each.codes)
        found.append(Scored(each, steps, own, None))

    def flat(of_folds: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.broadcast_to(of, each.yhat.shape).ravel() for of, each in zip(of_folds, found, strict=True)])

    kinds = [each.patterns.kind[:, None] for each in truth if each.patterns is not None]
    quantiles = honest_quantiles(
        flat(each.yhat for each in found),
        flat(each.steps for each in found),
        flat(each.y for each in truth),
        flat(np.array(each.fold.number) for each in truth),
        flat(kinds) if kinds else None,
    )
    if quantiles is None:
        return found
    pieces = np.split(quantiles, np.cumsum([each.yhat.size for each in found])[:-1])
    return [
        msgspec.structs.replace(each, quantiles=piece.reshape(*each.yhat.shape, len(QUANTILES)))
        for each, piece in zip(found, pieces, strict=True)
    ]


def _sums(piece: Scored) -> dict[tuple[str, str], dict[str, float]]:
    """What `losses.measures` divides, for each segment and bucket in which a day is known."""
    truth, found = piece.truth, {}
    points = losses.points(truth.y, piece.yhat, piece.quantiles)
    by_day = {name: _by_segment(each, truth.patterns) for name, each in points.items()}
    by_day |= {"daily": np.abs(by_day["error"]), "days": np.ones_like(by_day["error"])}
    for bucket in get_args(Bucket):
        first, last = BUCKET_ENDS.get(bucket, (1, 10**6))
        days = slice(*np.searchsorted(piece.steps, (first, last + 1)))
        of_series = {name: points[name][:, days].sum(axis=1) for name in ("n", "absolute", "squared")}
        sums = {name: each[:, days].sum(axis=1) for name, each in by_day.items()}
        in_scale = losses.scaled(of_series, truth.absolute, truth.squared)
        sums |= {name: _by_segment(each, truth.patterns) for name, each in in_scale.items()}
        for n in np.flatnonzero(sums["n"]):
            found[SEGMENTS[n], bucket] = {name: float(each[n]) for name, each in sums.items()}
        if truth.scales and sums["n"][0]:
            weighed = losses.wrmsse(truth.y[:, days], piece.yhat[:, days], truth.scales)
            found[SEGMENTS[0], bucket] |= {"wrmsse": weighed or 0.0, "wrmsse_n": float(weighed is not None)}
    return found


def _by_segment(values: np.ndarray, patterns: Patterns | None) -> np.ndarray:
    """The sums of all members and of those of each pattern, in the order of SEGMENTS; without patterns of all alone. [N, ...]"""
    if patterns is None:
        return values.sum(axis=0, keepdims=True)
    parts = losses.group_sums(values, patterns.code, len(PATTERNS))
    return np.concatenate([parts.sum(axis=0, keepdims=True), parts])


def _errors(sums: dict[str, float]) -> dict[str, Any]:
    """The measures, with the number of points that they are of, and the reason of those that are None."""
    errors: dict[str, Any] = losses.measures(sums)
    if "wrmsse" in sums:
        errors["wrmsse"] = sums["wrmsse"] / sums["wrmsse_n"] if sums["wrmsse_n"] else None
    reason = [
        f"{', '.join(name for name in names if errors.get(name, 0) is None)}: {why}"
        for why, names in UNDEFINED.items()
        if any(errors.get(name, 0) is None for name in names)
    ]
    counts = {"n": int(sums["n"]), "mape_n": int(sums["relative_n"])}
    return {**counts, "wrmsse": None, **errors, "reason": "; ".join(reason) or None}
