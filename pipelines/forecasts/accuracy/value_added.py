"""Forecast value added: what each stage of forecasting adds to the one before it, on the same days of the backtests.

A stage that chooses among types (the best single type, the champions) chooses for each fold from the errors of the others, since
the best of many on the very days that it is scored on looks better than it is. The ensemble's weights are made the same way.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np
import polars as pl

from assets_config.contract.accuracy import ForecastValueAdded
from assets_config.contract.names import ENSEMBLE, Segment, Stage
from assets_config.declared import Evaluation, Model
from pipelines.backtests.folds import Fold
from pipelines.backtests.losses import fva
from pipelines.features.panel import Panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.forecasts.champions.champion import ERRORS, choose
from pipelines.shapes import empty, schema

STAGES: tuple[str, ...] = get_args(Stage)
IN_SAMPLE = "chosen on the one fold that it is scored on: another fold would say less good of it"


def value_added_frame(
    panel: Panel,
    predictions: pl.DataFrame,
    windows: Sequence[Fold],
    candidates: Sequence[Model],
    series: pl.DataFrame,
    evaluation: Evaluation,
) -> pl.DataFrame:
    """The columns of contract.accuracy.ForecastValueAdded, by segment and position.

    Takes    backtests/prediction and its folds, the models that may become champion, and what champion.series_frame gives.
    Gives    no row without a backtest, none of a segment without series; of the ensemble none where it is not enabled.
    """
    if not windows:
        return empty(ForecastValueAdded)
    errors = predictions.group_by("fold", "s", "model_type").agg(ERRORS).filter(pl.col("days") > 0)
    chosen = pl.concat([_chosen(errors, fold.number, candidates, series, evaluation) for fold in windows])
    pattern = pl.concat([_patterns(panel, fold) for fold in windows])
    cells = chosen.join(errors, on=["fold", "s", "model_type"]).join(pattern, on=["fold", "s"])
    cells = pl.concat([cells, cells.with_columns(pl.lit("all").alias("segment"))])
    sums = cells.group_by("segment", "stage").agg(pl.col("days", "absolute_error", "demand").sum())
    found = {(segment, stage): values for segment, stage, *values in sums.iter_rows()}
    best = chosen.filter(stage="best_single")["model_type"].unique(maintain_order=True)
    named = {"naive": "naive", "seasonal_naive": "seasonal_naive", "ensemble": ENSEMBLE, "best_single": ", ".join(best)}
    return pl.DataFrame(list(_rungs(found, named, is_one_fold=len(windows) == 1)), schema=schema(ForecastValueAdded))


def _rungs(
    found: Mapping[tuple[str, str], Sequence[float]], named: Mapping[str, str], *, is_one_fold: bool
) -> Iterator[dict[str, object]]:
    """The rows, from days, absolute error and demand of each segment and stage, and the model types of stages."""
    for segment in get_args(Segment):
        base = before = None
        for position, stage in enumerate((stage for stage in STAGES if (segment, stage) in found), 1):
            days, absolute, demand = found[segment, stage]
            wape = absolute / demand if demand else None
            reason = "wape: no demand to divide by" if wape is None else None
            if reason is None and is_one_fold and stage in ("best_single", "champion"):
                reason = IN_SAMPLE
            yield {
                "segment": segment,
                "position": position,
                "stage": stage,
                "model_type": named.get(stage),
                "n": days,
                "wape": wape,
                "fva": fva(before, wape),
                "fva_naive": fva(base, wape),
                "reason": reason,
            }
            before, base = wape, base if position > 1 else wape


def _chosen(
    errors: pl.DataFrame, fold: int, candidates: Sequence[Model], series: pl.DataFrame, evaluation: Evaluation
) -> pl.DataFrame:
    """fold, s, model_type and stage: which type stands for each stage on a fold, as the other folds tell."""
    others = errors.filter(pl.col("fold") != fold)
    seen = (others if others.height else errors).group_by("s", "model_type").agg(pl.col("absolute_error", "demand", "days").sum())
    single = seen.filter(pl.col("model_type") != ENSEMBLE).group_by("model_type").agg(pl.col("absolute_error").sum())
    types = {
        **{name: name for name in ("naive", "seasonal_naive", ENSEMBLE)},
        "best_single": single.sort("absolute_error", "model_type")["model_type"][0],
    }
    each = [series.select("s", pl.lit(name).alias("model_type"), pl.lit(stage).alias("stage")) for stage, name in types.items()]
    champion = choose(seen, candidates, series, evaluation).select("s", "model_type", pl.lit("champion").alias("stage"))
    return pl.concat([*each, champion]).with_columns(pl.lit(fold, dtype=pl.Int32).alias("fold"))


def _patterns(panel: Panel, fold: Fold) -> pl.DataFrame:
    """fold, s, segment: the demand pattern of every series as of the cutoff."""
    code = patterns(panel.until(fold.train_end)).code
    return pl.DataFrame({"s": np.arange(panel.series, dtype=np.int32), "segment": np.array(PATTERNS)[code]}).with_columns(
        pl.lit(fold.number, dtype=pl.Int32).alias("fold")
    )
