import numpy as np
import polars as pl

from pipelines.forecasts.champion import champions
from pipelines.forecasts.intervals import LEVELS, quantiles


def test_quantiles_rise_and_are_never_negative() -> None:
    draw = np.random.default_rng(1)
    yhat, step = draw.gamma(1, 3, 5000), draw.integers(1, 29, 5000)
    y = draw.poisson(yhat).astype(float)

    found = quantiles(yhat, step, yhat, step, y)

    assert (np.diff(found, axis=1) >= 0).all()
    assert (found >= 0).all()


def test_quantiles_cover_what_they_say() -> None:
    draw = np.random.default_rng(2)
    yhat, step = draw.gamma(4, 5, 20_000), draw.integers(1, 29, 20_000)
    y = yhat + draw.normal(0, 1 + yhat / 5)
    past, future = slice(0, 15_000), slice(15_000, None)

    found = quantiles(yhat[future], step[future], yhat[past], step[past], np.maximum(y[past], 0))

    for n, level in enumerate(LEVELS):
        share = float(np.mean(np.maximum(y[future], 0) <= found[:, n]))
        assert abs(share - level) < 0.03, f"{level}: {share}"


def test_one_residual_is_taken_by_its_conformal_rank() -> None:
    residuals = np.arange(-9.0, 10.0)  # 19 of them: ranks ceil(20 q) are 2, 10 and 18
    past = np.full(19, 100.0)

    found = quantiles(np.array([100.0]), np.array([1]), past, np.ones(19), past + residuals)

    assert found.tolist() == [[100 - 8, 100, 100 + 8]]


def test_without_a_backtest_quantiles_are_the_forecast() -> None:
    found = quantiles(np.array([3.0]), np.array([1]), np.array([]), np.array([]), np.array([]))

    assert found.tolist() == [[3.0, 3.0, 3.0]]


def test_the_champion_has_the_smallest_error_and_the_earlier_type_wins_ties() -> None:
    rows = [("a", 0, 10.0), ("b", 0, 12.0), ("a", 1, 9.0), ("b", 1, 10.0), ("a", 2, 8.0), ("b", 2, 12.0)]
    predictions = pl.DataFrame(
        [(kind, s, yhat, 10.0) for kind, s, yhat in rows], schema=["model_type", "s", "yhat", "y"], orient="row"
    )

    found = champions(predictions.with_columns(pl.col("s").cast(pl.Int32)), ["a", "b"], 4)

    assert found["model_type"].to_list() == ["a", "b", "a", "a"]  # series 2 ties, series 3 was never scored
