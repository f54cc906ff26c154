"""Nothing after a cutoff moves a feature, a fit or a forecast; and simple truths are forecast exactly."""

from datetime import date

import numpy as np
import pytest

from assets_config.declared import Evaluation, Model
from pipelines.backtests.folds import folds
from pipelines.backtests.runs import predict_fold
from pipelines.features.blocks import NAMES, features
from pipelines.features.panel import Panel

HORIZON = 14
MODELS = [
    Model("naive"),
    Model("seasonal_naive", {"season_length": 7}),
    Model("moving_average", {"window_size": 28}),
    Model("xgboost", {"rounds": 5, "max_leaves": 8}),
]


def panel_of(y: np.ndarray) -> Panel:
    series, days = y.shape
    return Panel(
        first_day=date(2024, 1, 1),
        store_id=np.ones(series, dtype=np.int64),
        product_id=np.arange(1, series + 1),
        groups=np.zeros((series, 3), dtype=np.int16),
        y=y.astype(np.float32),
        price=np.full(y.shape, 2.0, dtype=np.float32),
        holiday=np.zeros(days + 90, dtype=bool),
        state=np.zeros(y.shape, dtype=np.int8),
    )


@pytest.fixture
def panel() -> Panel:
    y = np.random.default_rng(3).poisson(8, (6, 200)).astype(np.float32)
    y[1, :60] = np.nan  # launched later
    y[2] = 0
    return panel_of(y)


def spoiled(panel: Panel, cutoff: int) -> Panel:
    y, price = panel.y.copy(), panel.price.copy()
    y[:, cutoff:], price[:, cutoff:] = 1e9, 1e9
    return Panel(panel.first_day, panel.store_id, panel.product_id, panel.groups, y, price, panel.holiday, panel.state)


def test_no_feature_sees_past_the_cutoff(panel: Panel) -> None:
    cutoff = 150
    series, days = np.arange(panel.series), np.arange(cutoff, cutoff + HORIZON)

    clean = features(panel, series, days, horizon=HORIZON)
    after = features(spoiled(panel, cutoff), series, days, horizon=HORIZON)

    np.testing.assert_array_equal(clean, after)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
@pytest.mark.parametrize("gap", [0, 3])
def test_no_forecast_of_a_fold_moves_when_its_future_does(model: Model, gap: int, panel: Panel) -> None:
    for fold in folds(panel.days, Evaluation(horizon=HORIZON, n_splits=2, gap=gap)):
        clean = predict_fold(panel, model, fold, horizon=HORIZON, gap=gap)
        after = predict_fold(spoiled(panel, fold.train_end), model, fold, horizon=HORIZON, gap=gap)

        np.testing.assert_array_equal(clean, after)
        assert clean.shape == (panel.series, HORIZON)
        assert np.isfinite(clean).all()


def test_features_equal_a_slow_second_opinion(panel: Panel) -> None:
    days = np.array([120, 199, 205])

    found = features(panel, np.arange(panel.series), days, horizon=HORIZON).reshape(panel.series, len(days), len(NAMES))

    for s in range(panel.series):
        for n, day in enumerate(days):
            last = day - HORIZON
            window = [float(v) for v in panel.y[s, last - 27 : last + 1] if not np.isnan(v)]
            row = dict(zip(NAMES, found[s, n], strict=True))
            assert row["lag_h"] == panel.y[s, last]
            assert row["mean_28"] == pytest.approx(sum(window) / len(window), rel=1e-6)
            assert row["zero_share_28"] == pytest.approx(window.count(0.0) / len(window))
            weekdays = [d for d in range(last + 1) if d % 7 == day % 7][-8:]
            same = [float(panel.y[s, d]) for d in weekdays if not np.isnan(panel.y[s, d])]
            assert row["weekday_mean_8"] == pytest.approx(sum(same) / len(same), rel=1e-6)
            assert row["weekday"] == day % 7  # 2024-01-01 is a Monday


def test_a_perfect_week_is_repeated_exactly() -> None:
    week = np.array([1, 2, 3, 4, 5, 6, 7])
    panel = panel_of(np.tile(week, (2, 20)))
    [fold] = folds(panel.days, Evaluation(horizon=HORIZON, n_splits=1))

    yhat = predict_fold(panel, Model("seasonal_naive"), fold, horizon=HORIZON, gap=0)

    np.testing.assert_array_equal(yhat, panel.y[:, fold.test_start : fold.test_end])


def test_a_gap_keeps_the_weekdays_aligned() -> None:
    panel = panel_of(np.tile(np.array([1, 2, 3, 4, 5, 6, 7]), (1, 20)))
    [fold] = folds(panel.days, Evaluation(horizon=HORIZON, n_splits=1, gap=3))

    yhat = predict_fold(panel, Model("seasonal_naive"), fold, horizon=HORIZON, gap=3)

    np.testing.assert_array_equal(yhat, panel.y[:, fold.test_start : fold.test_end])


def test_the_same_seed_gives_the_same_artifact(panel: Panel) -> None:
    from pipelines.models import xgboost

    first = xgboost.fit(panel, horizon=HORIZON, rounds=5, seed=7)

    assert xgboost.fit(panel, horizon=HORIZON, rounds=5, seed=7) == first


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.type)
def test_hopeless_series_get_a_finite_forecast(model: Model) -> None:
    y = np.vstack([np.zeros(120), np.full(120, np.nan), np.full(120, 5.0), np.full(120, 1e9)])
    y[1, -1] = 3  # one observation
    [fold] = folds(120, Evaluation(horizon=HORIZON, n_splits=1))

    yhat = predict_fold(panel_of(y), model, fold, horizon=HORIZON, gap=0)

    assert np.isfinite(yhat).all()
    assert (yhat >= 0).all()
