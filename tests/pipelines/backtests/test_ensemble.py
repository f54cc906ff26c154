import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.declared import Evaluation, Model
from pipelines.backtests.ensemble import combine, ensemble_folds, fold_weights, predict, weights
from pipelines.backtests.folds import Fold, folds
from pipelines.features.panel import read_panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.models.fits import artifact_path
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of

MODEL, MEMBERS = Model("ensemble", {"shrinkage": 0.5}), (Model("a"), Model("b"))
WINDOWS = [Fold(0, 0, 60, 60, 67), Fold(1, 0, 67, 67, 74)]


def test_a_weight_is_the_inverse_squared_error_drawn_to_equal_weights() -> None:
    errors, allowed = np.array([[1.0, 3.0]]), np.ones((1, 2), dtype=bool)

    assert weights(errors, allowed, shrinkage=0.0).tolist() == [[0.75, 0.25]]
    assert weights(errors, allowed, shrinkage=0.5).tolist() == [[0.625, 0.375]]
    assert weights(errors, allowed, shrinkage=1.0).tolist() == [[0.5, 0.5]]


def test_a_type_without_error_takes_all_and_one_not_allowed_nothing() -> None:
    errors = np.array([[0.0, 3.0, 5.0], [1.0, 3.0, 0.5]])
    allowed = np.array([[True, True, True], [True, True, False]])

    assert weights(errors, allowed, shrinkage=0.0).tolist() == [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0]]


@given(st.lists(st.tuples(st.floats(0, 1e12), st.booleans()), min_size=1, max_size=6), st.floats(0, 1))
def test_weights_are_shares_of_one(types: list[tuple[float, bool]], shrinkage: float) -> None:
    errors, allowed = np.array([[error for error, _ in types]]), np.array([[open_ for _, open_ in types]])

    found = weights(errors, allowed, shrinkage=shrinkage)

    assert (found >= 0).all()
    assert not found[~allowed].any()
    assert found.sum() == pytest.approx(1.0 if allowed.any() else 0.0)


def test_a_fold_is_scored_with_weights_from_the_other_folds_only() -> None:
    panel = panel_of(np.full((1, 74), 4.0))
    yhats = {(kind, fold): np.full((1, 7), 4.0 + off) for kind, off in (("a", 1.0), ("b", 2.0)) for fold in (0, 1)}
    before = fold_weights(panel, MODEL, MEMBERS, WINDOWS, yhats)

    after = fold_weights(panel, MODEL, MEMBERS, WINDOWS, {**yhats, ("a", 1): np.full((1, 7), 400.0)})

    np.testing.assert_array_equal(before[1], after[1])
    assert after[0][0, 0] < before[0][0, 0]
    # errors 1 and 4 give 0.8 and 0.2, half way to 0.5 each
    assert before[0][0].tolist() == pytest.approx([0.65, 0.35])
    assert ensemble_folds(panel, MODEL, MEMBERS, WINDOWS, yhats)["ensemble", 0][0, 0] == pytest.approx(4 + 0.65 + 0.35 * 2)


def test_the_demand_of_a_fold_does_not_move_its_weights_by_a_bit() -> None:
    draw = np.random.default_rng(1)
    y = draw.poisson(5, (6, 120)).astype(float)
    windows = folds(120, Evaluation(horizon=10, n_splits=3, min_train_size=28))
    yhats = {(each.type, n): draw.gamma(5, 1, (6, 10)) for each in MEMBERS for n in range(3)}
    other = y.copy()
    other[:, windows[2].test_start :] += 50

    before, after = (fold_weights(panel_of(each), MODEL, MEMBERS, windows, yhats) for each in (y, other))

    np.testing.assert_array_equal(before[2], after[2])
    assert (before[0] != after[0]).any()


def test_types_share_alike_where_the_ensemble_alone_may_be_champion() -> None:
    panel, members = panel_of(np.full((1, 74), 4.0)), [Model(name, patterns=("lumpy",)) for name in "ab"]
    yhats = {(kind, fold): np.full((1, 7), 4.0) for kind in "ab" for fold in (0, 1)}

    assert ensemble_folds(panel, MODEL, members, WINDOWS, yhats)["ensemble", 0].tolist() == [[4.0] * 7]


def test_the_ensemble_of_one_series_is_the_sum_of_weight_times_forecast() -> None:
    weight = np.array([[0.25, 0.75], [1.0, 0.0]])

    found = combine(weight, np.array([0, 1]), [np.array([[4.0], [4.0]]), np.array([[8.0], [8.0]])])

    assert found.tolist() == [[7.0], [4.0]]


def test_the_run_of_the_ensemble_keeps_its_weights_as_json(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    [uri] = warehouse.read("forecasts/model_run").filter(model_type="ensemble")["artifact_uri"]

    artifact = artifact_path(warehouse, uri).read_bytes()

    told = json.loads(artifact)
    assert set(told) == set(PATTERNS)
    assert all(sum(shares.values()) == pytest.approx(1) for shares in told.values())
    panel = read_panel(warehouse)
    ahead = {name: np.full((panel.series, 2), 1.0 + n) for n, name in enumerate(told["smooth"])}
    expected = [sum(told[PATTERNS[code]][name] * ahead[name][0, 0] for name in ahead) for code in patterns(panel).code]
    np.testing.assert_allclose(predict(artifact, panel, ahead)[:, 0], expected)


def test_every_fold_of_the_demo_has_weights_that_sum_to_one(demo_root: Path) -> None:
    found = Warehouse(demo_root).read("backtests/ensemble_weight")

    assert set(found["fold"]) >= {-1, 0}
    sums = found.group_by("fold", "pattern").agg(pl.col("weight").sum())["weight"]
    assert sums.to_list() == pytest.approx([1.0] * len(sums))
