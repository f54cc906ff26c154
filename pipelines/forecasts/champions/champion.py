"""Which model type forecasts a series: the one with the smallest backtest error on it, or on all series that sell like it.

A champion stays unless a challenger is better by more than the dead zone: a change that no error pays for only unsettles
those who plan by the forecast. A series that was not scored takes the champion most common in its category.
"""

from collections.abc import Sequence

import polars as pl

from assets_config.declared import Evaluation, Model
from assets_config.entries import DeclarationError

FEWEST_DAYS = 7
"""A series with fewer scored days than this says too little of a model type."""
ERRORS = (
    (pl.col("yhat").cast(pl.Float64) - pl.col("y")).abs().sum().alias("absolute_error"),
    pl.col("y").cast(pl.Float64).abs().sum().alias("demand"),
    pl.col("y").count().cast(pl.Int64).alias("days"),
)
COLUMNS = ("s", "store_id", "product_id", "model_type", "absolute_error", "reason")


def series_frame(segments: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """s, store_id, product_id, pattern, category, one row a series, from features/series_segment and core/dim_product."""
    found = segments.select("store_id", "product_id", "pattern").with_row_index("s").with_columns(pl.col("s").cast(pl.Int32))
    return found.join(products.select("product_id", "category"), on="product_id", how="left", maintain_order="left")


def champions(
    predictions: pl.DataFrame,
    models: Sequence[Model],
    series: pl.DataFrame,
    evaluation: Evaluation,
    *,
    previous: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The champion of every series, with the reason of the choice.

    Takes    backtests/prediction; the candidates in order of declaration, of which the earlier wins a tie; what series_frame
             gives; the champions that were chosen last.
    Gives    s, store_id, product_id, model_type, absolute_error (units over all folds; null where nothing was scored), reason.
    Raises   DeclarationError, when no candidate may be champion of a pattern that occurs.
    """
    errors = predictions.group_by("s", "model_type").agg(ERRORS)
    return choose(errors, models, series, evaluation, previous=previous)


def choose(
    errors: pl.DataFrame,
    models: Sequence[Model],
    series: pl.DataFrame,
    evaluation: Evaluation,
    *,
    previous: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """As champions, from the sums ERRORS of each series and model type over the days that may tell."""
    allowed = _allowed(models, series)
    errors = (
        errors.filter(pl.col("days") >= FEWEST_DAYS)
        .join(series.select("s", "pattern"), on="s")
        .join(allowed, on=["pattern", "model_type"])
    )
    unit = "s" if evaluation.champion == "series" else "pattern"
    of_unit = errors.group_by(unit, "model_type", "place").agg(pl.col("absolute_error", "demand").sum())
    best = of_unit.sort(unit, "absolute_error", "place").unique(unit, keep="first", maintain_order=True)
    last = (
        _last(series, unit, previous).join(of_unit, on=[unit, "model_type"]).select(unit, last="model_type", was="absolute_error")
    )
    keeps = pl.col("was") - pl.col("absolute_error") <= evaluation.dead_zone * pl.col("demand")
    chosen = best.join(last, on=unit, how="left").select(
        unit,
        pl.when(keeps).then("last").otherwise("model_type").alias("model_type"),
        pl.when(keeps & (pl.col("last") != pl.col("model_type")))
        .then(pl.lit(f"kept: no other type is better by more than {evaluation.dead_zone:g} of WAPE"))
        .otherwise(pl.lit("smallest backtest error") + pl.lit("" if unit == "s" else " on series of its pattern"))
        .alias("reason"),
    )
    scored = series.join(errors.select("s").unique(), on="s").join(chosen, on=unit)
    every = pl.concat([scored, _cold(series.join(scored, on="s", how="anti"), scored, allowed)])
    return (
        every.join(errors.select("s", "model_type", "absolute_error"), on=["s", "model_type"], how="left").select(COLUMNS).sort("s")
    )


def _allowed(models: Sequence[Model], series: pl.DataFrame) -> pl.DataFrame:
    """pattern, model_type and its place in the declaration, one row a pair that is allowed."""
    rows = [(pattern, model.type, place) for place, model in enumerate(models) for pattern in model.patterns]
    for pattern in series["pattern"].unique().sort():
        if pattern not in {row[0] for row in rows}:
            raise DeclarationError(f"models.yaml: no enabled entry has {pattern} among its patterns, and there are such series")
    return pl.DataFrame(rows, schema={"pattern": pl.String, "model_type": pl.String, "place": pl.Int32}, orient="row")


def _last(series: pl.DataFrame, unit: str, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The last champion of each series, or the most common one of each pattern."""
    if previous is None or "reason" not in previous.columns:  # a table of before 0.2 has no ids to go by
        return pl.DataFrame(schema={unit: series.schema[unit], "model_type": pl.String})
    known = series.join(previous.select("store_id", "product_id", "model_type"), on=["store_id", "product_id"])
    counted = known.group_by(unit, "model_type").len().sort(unit, "len", "model_type", descending=[False, True, False])
    return counted.unique(unit, keep="first", maintain_order=True).select(unit, "model_type")


def _cold(cold: pl.DataFrame, scored: pl.DataFrame, allowed: pl.DataFrame) -> pl.DataFrame:
    """The champions of series that were not scored, of the types that their pattern allows."""
    options = cold.join(allowed, on="pattern")
    near = scored.group_by("category", "model_type").agg(pl.len().alias("near"))
    far = scored.group_by("model_type").agg(pl.len().alias("far"))
    return (
        options.join(near, on=["category", "model_type"], how="left", nulls_equal=True)
        .join(far, on="model_type", how="left")
        .with_columns(pl.col("near", "far").fill_null(0))
        .sort(["s", "near", "far", "place"], descending=[False, True, True, False])
        .unique("s", keep="first", maintain_order=True)
        .with_columns(
            pl.when(pl.col("near") > 0)
            .then(pl.lit("cold start: the champion most common in its category"))
            .when(pl.col("far") > 0)
            .then(pl.lit("cold start: the champion most common of all"))
            .otherwise(pl.lit("no series was scored: the first type that its pattern allows"))
            .alias("reason")
        )
        .select(scored.columns)
    )
