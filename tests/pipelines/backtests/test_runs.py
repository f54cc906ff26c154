"""Every type over every fold: one that cannot forecast a fold does not stop the others."""

import numpy as np
import pytest

from assets_config.declared import Evaluation, Model, load_declarations
from pipelines.backtests.ensemble import ensemble_folds
from pipelines.backtests.folds import folds
from pipelines.backtests.runs import predict_all, predict_fold, prediction_frame
from pipelines.models import naive
from tests.pipelines.panels import panel_of, rich_panel

FEATURE_SETS = load_declarations().feature_sets
EVALUATION = Evaluation(horizon=14, n_splits=2, min_train_size=42)
MODELS = [Model("naive"), Model("xgboost", feature_set="demand", params={"rounds": 3}), Model("moving_average")]


def test_a_type_that_fails_in_one_fold_is_left_out_of_all_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    panel = rich_panel(series=4, days=70)  # the first fold learns from 42 days, and xgboost needs one more
    windows = folds(panel.days, EVALUATION)

    found, failed = predict_all(panel, MODELS, windows, EVALUATION, FEATURE_SETS)

    assert list(failed) == ["xgboost"]
    assert "xgboost needs more than 42 days for a horizon of 14, the panel has 42" in failed["xgboost"]
    assert set(found) == {(name, fold) for name in ("naive", "moving_average") for fold in (0, 1)}
    assert f"xgboost is not compared: {failed['xgboost']}" in caplog.messages


def test_a_type_that_gives_no_number_is_left_out_with_the_series(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = rich_panel(series=4, days=70)
    monkeypatch.setattr(
        naive, "predict", lambda artifact, panel, *, horizon: np.array([[1.0], [np.nan], [np.inf], [2]]) + np.zeros(horizon)
    )

    found, failed = predict_all(panel, MODELS[::2], folds(panel.days, EVALUATION), EVALUATION, FEATURE_SETS)

    assert failed == {"naive": "ValueError: forecasts of 2 series are no numbers in fold 0, the first is series 1"}
    assert {name for name, _ in found} == {"moving_average"}


def test_those_that_are_left_make_the_ensemble() -> None:
    panel = rich_panel(series=4, days=70)
    windows = folds(panel.days, EVALUATION)
    found, failed = predict_all(panel, MODELS, windows, EVALUATION, FEATURE_SETS)
    members = [model for model in MODELS if model.type not in failed]

    mixed = ensemble_folds(panel, Model("ensemble", params={"shrinkage": 1.0}), members, windows, found)

    np.testing.assert_allclose(mixed["ensemble", 0], (found["naive", 0] + found["moving_average", 0]) / 2)


@pytest.mark.parametrize("gap", [0, 3, 7])
def test_predictions_after_a_gap_are_scored_against_their_own_days(gap: int) -> None:
    evaluation = Evaluation(horizon=14, n_splits=2, min_train_size=28, gap=gap)
    panel = panel_of(np.tile(np.arange(7.0), 12)[None, :])  # a perfect week, repeated
    windows = folds(panel.days, evaluation)

    for fold in windows:
        yhat = predict_fold(panel, Model("seasonal_naive"), fold, evaluation, FEATURE_SETS)
        frame = prediction_frame(panel, "seasonal_naive", fold, yhat, gap=gap)

        assert frame["yhat"].to_list() == frame["y"].to_list()
        assert frame["step"].to_list() == list(range(gap + 1, gap + 15))
    assert len(windows) == 2


def test_a_series_of_zeros_is_scored_without_an_infinite_error() -> None:
    panel = panel_of(np.zeros((1, 84)))
    windows = folds(panel.days, EVALUATION)

    found, failed = predict_all(panel, [Model("naive"), Model("seasonal_naive")], windows, EVALUATION, FEATURE_SETS)

    assert failed == {}
    assert all(np.isfinite(yhat).all() for yhat in found.values())
