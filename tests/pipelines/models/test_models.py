"""Laws of the model types: simple truths are forecast exactly, and what should not matter does not."""

import os
import subprocess
import sys
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from assets_config.declared import Model, load_declarations
from assets_config.entries import DeclarationError
from pipelines.features.panel import STOCKED_OUT, Panel
from pipelines.models import moving_average, naive, seasonal_naive, xgboost
from pipelines.models.types import enabled, module_of
from tests.pipelines.panels import panel_of, rich_panel

HORIZON = 10
QUICK: dict[str, Any] = {"features": load_declarations().feature_sets["demand"], "rounds": 6, "max_leaves": 8, "nthread": 2}
SIMPLE = [naive, seasonal_naive, moving_average]


def forecast(module: ModuleType, panel: Panel, **params: Any) -> np.ndarray:
    params = {**QUICK, **params} if module is xgboost else params
    yhat: np.ndarray = module.predict(module.fit(panel, horizon=HORIZON, **params), panel, horizon=HORIZON)
    return yhat


def noise(series: int = 5, days: int = 150) -> np.ndarray:
    return np.random.default_rng(11).poisson(9, (series, days)).astype(np.float32)


def test_naive_repeats_the_last_day() -> None:
    y = noise()

    assert forecast(naive, panel_of(y)).tolist() == [[float(row[-1])] * HORIZON for row in y]


def test_seasonal_naive_repeats_the_last_season() -> None:
    y = noise()

    assert forecast(seasonal_naive, panel_of(y)).tolist() == [[float(row[-7 + h % 7]) for h in range(HORIZON)] for row in y]
    assert forecast(seasonal_naive, panel_of(y), season_length=3).tolist() == [
        [float(row[-3 + h % 3]) for h in range(HORIZON)] for row in y
    ]


def test_moving_average_is_the_mean_of_the_last_days() -> None:
    y = noise()

    found = forecast(moving_average, panel_of(y), window_size=14)

    for row, yhat in zip(y, found, strict=True):
        assert yhat.tolist() == pytest.approx([sum(map(float, row[-14:])) / 14] * HORIZON, rel=1e-6)


def test_days_before_the_first_sale_do_not_pull_the_mean_down() -> None:
    y = noise(2, 40)
    y[0, :-3] = np.nan
    y[1] = np.nan

    found = forecast(moving_average, panel_of(y))

    assert found[0, 0] == pytest.approx(float(y[0, -3:].mean()))
    assert found[1].tolist() == [0.0] * HORIZON


@pytest.mark.parametrize("module", SIMPLE, ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_ten_times_the_sales_is_ten_times_the_forecast(module: ModuleType) -> None:
    y = noise()

    np.testing.assert_allclose(forecast(module, panel_of(10 * y)), 10 * forecast(module, panel_of(y)), rtol=1e-6)


@pytest.mark.parametrize("module", SIMPLE, ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_the_date_does_not_matter_to_simple_models(module: ModuleType) -> None:
    y = noise()

    shifted = forecast(module, panel_of(y, first_day=date(2024, 1, 1) + timedelta(days=1000)))

    np.testing.assert_array_equal(shifted, forecast(module, panel_of(y)))


def test_whole_weeks_later_the_pooled_model_sees_the_same_weekdays() -> None:
    y = np.tile(np.array([2, 2, 2, 2, 4, 9, 7], dtype=np.float32), (6, 22))

    yhat = forecast(xgboost, panel_of(y), rounds=80, eta=0.2)

    for row in yhat:
        assert row[5] > row[4] > row[3]  # Saturday over Friday over Thursday: the panel ends on a Sunday


@pytest.mark.parametrize("module", [*SIMPLE, xgboost], ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_the_same_data_give_the_same_bytes(module: ModuleType) -> None:
    params = QUICK if module is xgboost else {}

    first, second = (module.fit(panel_of(noise()), horizon=HORIZON, **params) for _ in range(2))

    assert first == second


def test_another_seed_gives_another_booster() -> None:
    artifacts = [xgboost.fit(panel_of(noise()), horizon=HORIZON, **QUICK, seed=seed) for seed in (1, 2)]

    assert artifacts[0] != artifacts[1]


@pytest.mark.parametrize("module", [*SIMPLE, xgboost], ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_what_is_predicted_depends_on_the_artifact_and_the_past_alone(module: ModuleType) -> None:
    y = noise(4, 170)
    artifact = module.fit(panel_of(y[:, :150]), horizon=HORIZON, **(QUICK if module is xgboost else {}))
    later = y.copy()
    later[:, 150:] = 1e9

    known, spoiled = (module.predict(artifact, panel_of(each).until(150), horizon=HORIZON) for each in (y, later))

    np.testing.assert_array_equal(known, spoiled)
    assert known.shape == (4, HORIZON)
    assert known.dtype == np.float32


def test_blocks_of_series_do_not_change_a_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(noise(7, 150))
    artifact = xgboost.fit(panel, horizon=HORIZON, **QUICK)
    whole = xgboost.predict(artifact, panel, horizon=HORIZON)

    monkeypatch.setattr(xgboost, "BLOCK", 3)

    np.testing.assert_array_equal(xgboost.predict(artifact, panel, horizon=HORIZON), whole)


def test_too_short_a_panel_is_told_with_the_days_it_needs() -> None:
    with pytest.raises(ValueError, match="needs 7 days, the panel has 5"):
        seasonal_naive.fit(panel_of(noise(2, 5)), horizon=HORIZON)
    with pytest.raises(ValueError, match=r"more than 38 days for a horizon of 10, the panel has 38"):
        xgboost.fit(panel_of(noise(2, 38)), horizon=HORIZON, **QUICK)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model("prophet"), r"models.yaml: entry prophet: there is no module pipelines/models/prophet\.py"),
        (Model("fits"), "entry fits: there is no module"),
        (
            Model("lightgbm"),
            r"entry lightgbm: there is no module pipelines/models/lightgbm\.py; there are adida, croston, ",
        ),
        (Model("naive", {"window_size": 3}), "entry naive: params: window_size is unknown; allowed: none"),
        (Model("seasonal_naive", {"season": 3}), "entry seasonal_naive: params: season is unknown; allowed: season_length"),
    ],
)
def test_a_wrong_model_names_entry_and_field(model: Model, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        module_of(model)


def test_models_that_are_switched_off_are_not_fitted() -> None:
    declared = load_declarations()
    off = {name: msgspec.structs.replace(model, enabled=False) for name, model in declared.models.items()}

    only = msgspec.structs.replace(declared, models={**off, "naive": declared.models["naive"]})

    assert [model.type for model in enabled(only)] == ["naive"]
    with pytest.raises(DeclarationError, match="no model is enabled"):
        enabled(msgspec.structs.replace(declared, models=off))


def test_the_same_rows_give_the_same_bytes_on_one_and_on_two_threads() -> None:
    panel = rich_panel(series=40, days=200)

    artifacts = {xgboost.fit(panel, horizon=HORIZON, **{**QUICK, "nthread": threads}) for threads in (1, 2, 2)}

    assert len(artifacts) == 1


def test_threads_of_xgboost_sleep_while_they_wait() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    load = [sys.executable, "-c", "import pipelines.models.xgboost, xgboost"]

    told = subprocess.run(load, env={**environment, "OMP_DISPLAY_ENV": "verbose"}, check=True, capture_output=True, text=True)

    assert "GOMP_SPINCOUNT = '0'" in told.stderr


def test_random_origins_use_the_newest_days_and_horizon_origins_do_not() -> None:
    panel = rich_panel(series=30, days=200)
    newest = msgspec.structs.replace(panel, y=panel.y.copy())
    newest.y[:, -(HORIZON - 1) :] += 50

    moved = {}
    for origins in ("random", "horizon"):
        artifact = xgboost.fit(panel, horizon=HORIZON, origins=origins, max_rows=3000, **{**QUICK, "rounds": 30})
        before, after = (xgboost.predict(artifact, each, horizon=HORIZON)[:, 0] for each in (panel, newest))
        moved[origins] = not np.array_equal(before, after)

    assert moved == {"random": True, "horizon": False}


def test_days_out_of_stock_are_not_learned_from() -> None:
    panel = rich_panel(series=20, days=200)
    spoiled = msgspec.structs.replace(panel, y=np.where(panel.state == STOCKED_OUT, 1e6, panel.y).astype(np.float32))

    assert xgboost.fit(spoiled, horizon=HORIZON, **QUICK) == xgboost.fit(panel, horizon=HORIZON, **QUICK)
