"""The errors of backtests: a fold, horizon bucket, level and segment, each also pooled over the folds."""

import json
from collections.abc import Iterator, Mapping, Sequence
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
    absolute: np.ndarray  # [N]
    squared: np.ndarray  # [N]
    patterns: Patterns | None  # of the N as of the cutoff; of series only
    scales: list[losses.LevelScale]  # what wrmsse needs; of series only


class Scored(msgspec.Struct, frozen=True):
    """Forecasts of one fold at one level, or of some of its members and days."""

    fold: int
    truth: Truth
    steps: np.ndarray  # [H]
    y: np.ndarray  # [N, H]
    yhat: np.ndarray  # [N, H]
    quantiles: np.ndarray | None  # [N, H, 7]
    absolute: np.ndarray  # [N]
    squared: np.ndarray  # [N]

    def cut(self, rows: np.ndarray, days: np.ndarray) -> "Scored":
        """These members and days of it."""
        return msgspec.structs.replace(
            self,
            steps=self.steps[days],
            y=self.y[rows][:, days],
            yhat=self.yhat[rows][:, days],
            quantiles=None if self.quantiles is None else self.quantiles[rows][:, days],
            absolute=self.absolute[rows],
            squared=self.squared[rows],
        )


def truths(panel: Panel, members: levels.Members, windows: Sequence[Fold]) -> dict[str, list[Truth]]:
    """What every fold is scored against, by published level."""
    groupings = {level: members.of(level).codes for level in levels.LEVELS}
    found: dict[str, list[Truth]] = {level: [] for level in levels.PUBLISHED}
    for fold in windows:
        train = panel.y[:, fold.train_start : fold.train_end]
        y = panel.y[:, fold.test_start : fold.test_end].astype(np.float64)
        last = slice(max(fold.train_start, fold.train_end - WEIGHED_DAYS), fold.train_end)
        known = patterns(panel.until(fold.train_end))
        revenue = np.nansum(panel.y[:, last].astype(np.float64) * panel.price[:, last], axis=1)
        for level in levels.PUBLISHED:
            codes, of_series = groupings[level], level == "series"
            sums = train.astype(np.float64) if of_series else losses.group_sums(np.nan_to_num(train), codes)
            found[level].append(
                Truth(
                    fold,
                    level,
                    codes,
                    y if of_series else losses.group_sums(np.nan_to_num(y), codes),
                    losses.absolute_scale(sums),
                    losses.squared_scale(sums),
                    known if of_series else None,
                    losses.level_scales(train, revenue, groupings.values()) if of_series else [],
                )
            )
    return found


def scored(truth: Sequence[Truth], predictions: pl.DataFrame, series_y: Sequence[np.ndarray]) -> list[Scored]:
    """The forecasts of one model type beside the truth of one level, all folds, with honest quantiles.

    Takes    rows of backtests/prediction of one model type, and the demand [S, H] of the series a fold: a day whose demand
             is not known is in no sum, neither of demand nor of forecasts.
    """
    found = []
    for each, known in zip(truth, series_y, strict=True):
        rows = predictions.filter(pl.col("fold") == each.fold.number).sort("s", "step")
        steps = rows["step"].unique().sort().to_numpy()
        yhat = rows["yhat"].to_numpy().astype(np.float64).reshape(len(each.codes), -1)
        if each.level != "series":
            yhat = losses.group_sums(np.where(np.isnan(known), 0, yhat), each.codes)
        found.append(Scored(each.fold.number, each, steps, each.y, yhat, None, each.absolute, each.squared))
    shapes = [each.yhat.shape for each in found]
    yhat, step, y, fold = (
        np.concatenate([values.ravel() for values in arrays])
        for arrays in (
            [each.yhat for each in found],
            [np.broadcast_to(each.steps, shape) for each, shape in zip(found, shapes, strict=True)],
            [each.y for each in found],
            [np.full(shape, each.fold) for each, shape in zip(found, shapes, strict=True)],
        )
    )
    kinds = [np.repeat(of.patterns.kind, len(each.steps)) for of, each in zip(truth, found, strict=True) if of.patterns is not None]
    quantiles = honest_quantiles(yhat, step, y, fold, np.concatenate(kinds) if kinds else None)
    if quantiles is None:
        return found
    pieces = np.split(quantiles, np.cumsum([rows * days for rows, days in shapes])[:-1])
    return [
        msgspec.structs.replace(each, quantiles=piece.reshape(*each.y.shape, len(QUANTILES)))
        for each, piece in zip(found, pieces, strict=True)
    ]


def metric_rows(
    identity: str, model_type: str, truth: dict[str, list[Truth]], predictions: pl.DataFrame
) -> Iterator[dict[str, object]]:
    """The errors of one model type, as contract.registry.BacktestMetric but for the added value.

    Takes    what `truths` gives and the rows of backtests/prediction of this model type.
    """
    series_y = [each.y for each in truth["series"]]
    for level, of_level in truth.items():
        pieces = scored(of_level, predictions, series_y)
        for segment in ("all", *PATTERNS) if level == "series" else ("all",):
            for bucket in get_args(Bucket):
                chosen = [_cut(each, segment, bucket) for each in pieces]
                parts = [each for each in chosen if (~np.isnan(each.y)).any()]
                if not parts:
                    continue
                whole = level == "series" and segment == "all"
                rows = {each.fold: _errors([each], whole=whole) for each in parts}
                rows[POOLED] = _errors(parts, whole=whole)
                steady = {name: losses.stability_pct([rows[each.fold][name] for each in parts]) for name in METRICS}
                for fold, errors in rows.items():
                    keys = {"backtest_id": identity, "model_type": model_type, "fold": fold, "bucket": bucket}
                    spread = json.dumps(steady) if fold == POOLED else None
                    yield {**keys, **errors, "level": level, "segment": segment, "stability_pct": spread}


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


def _cut(piece: Scored, segment: str, bucket: str) -> Scored:
    first, last = BUCKET_ENDS.get(bucket, (1, 10**6))
    known = piece.truth.patterns
    rows = np.ones(len(piece.y), dtype=bool) if segment == "all" or known is None else known.code == PATTERNS.index(segment)
    return piece.cut(rows, (piece.steps >= first) & (piece.steps <= last))


def _errors(parts: Sequence[Scored], *, whole: bool) -> dict[str, Any]:
    """The errors over folds, and the reason of those that are None; `whole` where every series is in, as wrmsse needs."""
    y, yhat = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "yhat"))
    absolute, squared = (np.concatenate([getattr(part, name) for part in parts]) for name in ("absolute", "squared"))
    known = np.where(np.isnan(y), np.nan, yhat)
    days = [np.concatenate([np.nansum(values, axis=0) for values in np.split(each, _starts(parts))]) for each in (y, known)]
    mean, count = losses.mape(y, yhat)
    errors: dict[str, Any] = {
        "mae": losses.mae(y, yhat),
        "rmse": losses.rmse(y, yhat),
        "wape": losses.wape(y, yhat),
        "smape": losses.smape(y, yhat),
        "mape": mean,
        "mase": losses.mase(y, yhat, absolute),
        "rmsse": losses.rmsse(y, yhat, squared),
        "bias": losses.bias(y, yhat),
        "bias_ratio": losses.bias_ratio(y, yhat),
        "tracking_signal": losses.tracking_signal(*days),
        **_quantile_errors(parts, y),
    }
    if whole:
        found = [losses.wrmsse(part.y, part.yhat, part.truth.scales) for part in parts]
        errors["wrmsse"] = None if None in found else float(np.mean([value for value in found if value is not None]))
    reason = [
        f"{', '.join(name for name in names if errors.get(name, 0) is None)}: {why}"
        for why, names in UNDEFINED.items()
        if any(errors.get(name, 0) is None for name in names)
    ]
    return {"n": int((~np.isnan(y)).sum()), "mape_n": count, "wrmsse": None, **errors, "reason": "; ".join(reason) or None}


def _quantile_errors(parts: Sequence[Scored], y: np.ndarray) -> dict[str, float | None]:
    found = [part.quantiles for part in parts if part.quantiles is not None]
    if len(found) < len(parts):
        return dict.fromkeys(("pinball", "wql", "coverage_80", "coverage_90"))
    q = {level: np.concatenate([each[..., n] for each in found]) for n, level in enumerate(QUANTILES)}
    return {
        "pinball": float(np.mean([losses.pinball(y, q[level], level) or 0.0 for level in QUANTILES])),
        "wql": losses.wql(y, {level: q[level] for level in (0.1, 0.5, 0.9)}),
        "coverage_80": losses.coverage(y, q[0.1], q[0.9]),
        "coverage_90": losses.coverage(y, q[0.05], q[0.95]),
    }


def _starts(parts: Sequence[Scored]) -> list[int]:
    """Where each but the first of the parts begins when they lie one below the other."""
    return np.cumsum([len(part.y) for part in parts])[:-1].tolist()
