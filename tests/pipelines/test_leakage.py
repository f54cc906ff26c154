"""Nothing after a cutoff moves a feature, a fit or a forecast; and simple truths are forecast exactly."""

import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.declared import Evaluation, Model, load_declarations
from pipelines.backtests.folds import folds
from pipelines.backtests.runs import predict_fold
from pipelines.features.blocks import Blocks
from pipelines.features.panel import GROUPS, Panel
from tests.pipelines.features.frame import feature_frame
from tests.pipelines.panels import panel_of, rich_panel

HORIZON = 14
MODELS = [
    Model("naive"),
    Model("seasonal_naive", params={"season_length": 7}),
    Model("moving_average", params={"window_size": 28}),
    Model("xgboost", feature_set="demand", params={"rounds": 5, "max_leaves": 8}),
]
FEATURE_SETS = load_declarations().feature_sets


@pytest.fixture
def panel() -> Panel:
    panel = rich_panel(series=6, days=200)
    panel.y[2] = 0
    return panel


def spoiled(panel: Panel, cutoff: int) -> Panel:
    """Every sale, price paid and state after the cutoff is another; what is planned stays."""
    y, state, price = panel.y.copy(), panel.state.copy(), panel.price.copy()
    y[:, cutoff:], state[:, cutoff:] = 1e9, 3
    price[:, cutoff:][~panel.planned[:, cutoff:]] = 1e9
    return msgspec.structs.replace(panel, y=y, state=state, price=price)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
@pytest.mark.parametrize("gap", [0, 3])
def test_no_forecast_of_a_fold_moves_when_its_future_does(model: Model, gap: int, panel: Panel) -> None:
    evaluation = Evaluation(horizon=HORIZON, n_splits=2, gap=gap)
    for fold in folds(panel.days, evaluation):
        clean = predict_fold(panel, model, fold, evaluation, FEATURE_SETS)
        after = predict_fold(spoiled(panel, fold.train_end), model, fold, evaluation, FEATURE_SETS)

        np.testing.assert_array_equal(clean, after)
        assert clean.shape == (panel.series, HORIZON)
        assert np.isfinite(clean).all()


@pytest.mark.parametrize("executor", ["blocks", "frame"])
def test_no_feature_of_a_day_moves_when_prices_paid_since_its_origin_do(executor: str) -> None:
    """Eight stores sell the same product: one plans all its prices, some plan none, some those of some days."""
    panel = rich_panel(series=8, days=200)
    panel.groups[:, GROUPS.index("product")] = 0
    feature_set, series = FEATURE_SETS["demand"], np.arange(panel.series)
    days, steps = np.arange(150, 230), np.arange(1, 81)  # all of the origin 149
    price = panel.price.copy()
    price[:, 150:][~panel.planned[:, 150:]] *= 0.5
    changed = msgspec.structs.replace(panel, price=price)

    def features(panel: Panel) -> np.ndarray:
        if executor == "blocks":
            return Blocks(panel, feature_set).features(series, days, steps)
        pairs = [(s, day, step) for s in series for day, step in zip(days, steps, strict=True)]
        targets = pl.DataFrame(pairs, schema={"s": pl.Int64, "day": pl.Int64, "step": pl.Int64}, orient="row")
        return feature_frame(panel, feature_set, targets).to_numpy()

    np.testing.assert_array_equal(features(panel), features(changed))


def test_a_perfect_week_is_repeated_exactly() -> None:
    week = np.array([1, 2, 3, 4, 5, 6, 7])
    panel = panel_of(np.tile(week, (2, 20)))
    evaluation = Evaluation(horizon=HORIZON, n_splits=1)
    [fold] = folds(panel.days, evaluation)

    yhat = predict_fold(panel, Model("seasonal_naive"), fold, evaluation, FEATURE_SETS)

    np.testing.assert_array_equal(yhat, panel.y[:, fold.test_start : fold.test_end])


def test_a_gap_keeps_the_weekdays_aligned() -> None:
    panel = panel_of(np.tile(np.array([1, 2, 3, 4, 5, 6, 7]), (1, 20)))
    evaluation = Evaluation(horizon=HORIZON, n_splits=1, gap=3)
    [fold] = folds(panel.days, evaluation)

    yhat = predict_fold(panel, Model("seasonal_naive"), fold, evaluation, FEATURE_SETS)

    np.testing.assert_array_equal(yhat, panel.y[:, fold.test_start : fold.test_end])


def test_the_same_seed_gives_the_same_artifact(panel: Panel) -> None:
    from pipelines.models import xgboost

    first = xgboost.fit(panel, horizon=HORIZON, features=FEATURE_SETS["demand"], rounds=5, seed=7)

    assert xgboost.fit(panel, horizon=HORIZON, features=FEATURE_SETS["demand"], rounds=5, seed=7) == first


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
def test_hopeless_series_get_a_finite_forecast(model: Model) -> None:
    y = np.vstack([np.zeros(120), np.full(120, np.nan), np.full(120, 5.0), np.full(120, 1e9)])
    y[1, -1] = 3  # one observation
    evaluation = Evaluation(horizon=HORIZON, n_splits=1)
    [fold] = folds(120, evaluation)

    yhat = predict_fold(panel_of(y), model, fold, evaluation, FEATURE_SETS)

    assert np.isfinite(yhat).all()
    assert (yhat >= 0).all()
