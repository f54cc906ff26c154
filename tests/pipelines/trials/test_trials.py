"""What jobs try beside the graph: real runs of the real graph, read back through the API."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from dagster import ExecuteInProcessResult
from litestar.testing import TestClient

from assets_config.contract.trials import BacktestResult, PredictResult, TrainResult
from pipelines.features.panel import Panel, read_panel
from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.registry.test_state import run_job
from tests.serving.conftest import client_of

ONE = {"store_id": 1, "product_id": 2}


@pytest.fixture(scope="module")
def tried(demo_root: Path, small_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Tried"]:
    import shutil

    root = Path(shutil.copytree(demo_root, tmp_path_factory.mktemp("tried") / "demo"))
    with client_of(root) as client:
        yield Tried(root, small_config, client)


class Tried:
    """A data root on which jobs are tried."""

    def __init__(self, root: Path, config: Path, client: TestClient) -> None:
        self.warehouse, self.config, self.client = Warehouse(root), config, client

    def run(self, job_type: str, **params: Any) -> ExecuteInProcessResult:
        return run_job(self.warehouse.root, self.config, job_type, **params)

    def result(self, shape: type[Any], job_type: str, **params: Any) -> Any:
        done = self.run(job_type, **params)
        assert done.success
        key = {"train": "trial_run", "backtest": "trial_backtest", "predict": "trial_forecast"}[job_type]
        [made] = [each for each in done.get_asset_materialization_events() if each.asset_key.path[-1] == key]
        return msgspec.convert(made.materialization.metadata["result"].value, shape, strict=False)

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def series(panel: Panel, store_id: int, product_id: int) -> np.ndarray:
    [row] = np.flatnonzero((panel.store_id == store_id) & (panel.product_id == product_id))
    return panel.y[row]


def test_a_moving_average_of_one_series_is_what_its_last_days_say(tried: Tried) -> None:
    panel = read_panel(tried.warehouse)
    end = panel.day(panel.days - 11)
    y = series(panel, 1, 2)[: panel.days - 10]

    run = tried.result(TrainResult, "train", model_type="moving_average", window_size=5, end_date=str(end), **ONE)
    made = tried.result(PredictResult, "predict", run_id=run.run_id, horizon=3)

    expected = float(np.mean(y[-5:]))
    assert [day.forecast for day in made.forecasts] == pytest.approx([expected] * 3, rel=1e-6)
    assert [day.date for day in made.forecasts] == [end + timedelta(days=n) for n in (1, 2, 3)]
    assert run.n_observations == int((~np.isnan(y)).sum())
    said = tried.get(f"/registry/runs/{run.run_id}")
    assert [said[name] for name in ("store_id", "product_id", "status", "is_current")] == [1, 2, "success", False]
    assert said["config"] == {"window_size": 5}
    assert said["data_window_end"] == str(end)
    assert tried.get(f"/registry/runs/{run.run_id}/verify")["verified"] is True
    days = tried.get(f"/registry/runs/{run.run_id}/forecasts")["items"]
    assert [each["yhat"] for each in days] == pytest.approx([expected] * 3, rel=1e-6)
    assert all(each["q10"] <= each["q50"] <= each["q90"] for each in days)
    assert {each["forecast_id"] for each in days} == {made.forecast_id}


def test_the_forms_own_defaults_hold_where_nothing_is_given(tried: Tried) -> None:
    panel = read_panel(tried.warehouse)
    y = series(panel, 2, 1)

    naive = tried.result(TrainResult, "train", store_id=2, product_id=1)
    week = tried.result(TrainResult, "train", model_type="seasonal_naive", store_id=2, product_id=1)
    made = [tried.result(PredictResult, "predict", run_id=run.run_id) for run in (naive, week)]

    assert (naive.model_type, week.config) == ("naive", {"season_length": 7})
    assert [day.forecast for day in made[0].forecasts] == pytest.approx([float(y[-1])] * 14)
    assert [day.forecast for day in made[1].forecasts] == pytest.approx([float(each) for each in [*y[-7:], *y[-7:]]])


def test_a_backtest_of_one_series_is_that_of_a_plain_loop(tried: Tried) -> None:
    y = series(read_panel(tried.warehouse), 1, 2)
    asked = {"model_type": "moving_average", "window_size": 7, "n_splits": 3, "test_size": 7, "gap": 2}

    found = tried.result(BacktestResult, "backtest", **asked, **ONE)

    errors, actual, naive = 0.0, 0.0, 0.0
    for fold in range(3):
        first = len(y) - 7 * (fold + 1)
        seen = [float(each) for each in y[: first - 2]]
        mean = sum(seen[-7:]) / 7
        for day in range(first, first + 7):
            errors, actual, naive = errors + abs(y[day] - mean), actual + y[day], naive + abs(y[day] - seen[-1])
    assert found.aggregated_metrics["wape"] == pytest.approx(errors / actual, abs=1e-6)
    assert found.baseline_wape["naive"] == pytest.approx(naive / actual, abs=1e-6)
    said = tried.get(f"/backtests/{found.backtest_id}")
    assert said["aggregated_metrics"]["wape"] == found.aggregated_metrics["wape"]
    assert said["baseline_results"]["naive"]["wape"] == found.baseline_wape["naive"]
    assert said["forecast_value_added"]["naive"] == pytest.approx((naive - errors) / actual, abs=2e-6)
    assert [said[name] for name in ("store_id", "product_id", "gap", "series")] == [1, 2, 2, 1]
    folds = tried.get(f"/backtests/{found.backtest_id}/folds")["items"]
    assert [each["fold"] for each in folds] == [0, 1, 2]
    assert all(each["metrics"]["wape"] is not None for each in folds)


def test_a_model_of_all_series_learns_and_forecasts_each(tried: Tried) -> None:
    panel = read_panel(tried.warehouse)

    run = tried.result(TrainResult, "train", model_type="xgboost", params={"rounds": 4}, horizon=7)
    made = tried.result(PredictResult, "predict", run_id=run.run_id, horizon=7)
    one = tried.result(PredictResult, "predict", run_id=run.run_id, horizon=7, **ONE)

    assert (run.series, made.series, one.series) == (panel.series, panel.series, 1)
    days = tried.get(f"/registry/runs/{run.run_id}/forecasts?forecast_id={made.forecast_id}&page_size=100")
    assert days["total"] == panel.series * 7
    assert sum(each["yhat"] for each in days["items"]) == pytest.approx(made.units, rel=1e-5)
    assert tried.get(f"/registry/runs/{run.run_id}/forecasts?forecast_id={one.forecast_id}")["total"] == 7


def test_a_run_of_the_graph_forecasts_too(tried: Tried) -> None:
    listed = tried.get("/registry/runs?model_type=moving_average&page_size=100")["items"]
    [run] = [each["run_id"] for each in listed if each["is_current"]]

    made = tried.result(PredictResult, "predict", run_id=run, horizon=2, **ONE)

    y = series(read_panel(tried.warehouse), 1, 2)[-28:]
    assert [day.forecast for day in made.forecasts] == pytest.approx([float(np.mean(y))] * 2, rel=1e-6)


def test_a_trial_publishes_its_part_alone_and_moves_nothing_of_the_graph(tried: Tried) -> None:
    before = tried.get("/registry/leaderboard?page_size=100")["items"]
    [newest, *_] = manifests(tried.warehouse.published)

    tried.result(TrainResult, "train", store_id=3)

    [after, *_] = manifests(tried.warehouse.published)
    assert {name for name in after.parts if after.parts[name] != newest.parts.get(name)} == {"trials"}
    assert tried.get("/registry/leaderboard?page_size=100")["items"] == before


def test_the_same_trial_again_is_the_same_run(tried: Tried) -> None:
    first, second = (tried.result(TrainResult, "train", model_type="naive", store_id=1) for _ in range(2))

    assert first.run_id == second.run_id
    ids = [each["run_id"] for each in tried.get("/registry/runs?page_size=100")["items"]]
    assert ids.count(first.run_id) == 1


def test_an_alias_may_name_a_run_of_a_job(tried: Tried) -> None:
    run = tried.result(TrainResult, "train", model_type="seasonal_naive", season_length=3, **ONE)

    assert tried.run("set_alias", name="tried", run_id=run.run_id).success

    assert tried.get("/registry/aliases/tried")["model_type"] == "seasonal_naive"


@pytest.mark.parametrize(
    ("job_type", "params", "why"),
    [
        ("train", {"store_id": 99, "product_id": 1}, "it never sold there"),
        ("train", {"model_type": "ensemble"}, "has no fit of its own"),
        ("train", {"model_type": "nothing"}, "there is no module pipelines/models/nothing.py"),
        ("train", {"start_date": "1999-01-01"}, "not among those of the sales"),
        ("predict", {"run_id": "0" * 32}, "neither of a train job nor of the last fit"),
        ("backtest", {"min_train_size": 3000, **ONE}, "are too few: one fold takes 3014"),
    ],
)
def test_what_can_not_be_tried_is_named_and_publishes_nothing(
    tried: Tried, job_type: str, params: dict[str, Any], why: str
) -> None:
    before = manifests(tried.warehouse.published)[0].id

    done = tried.run(job_type, **params)

    assert not done.success
    key = {"train": "trial_run", "backtest": "trial_backtest", "predict": "trial_forecast"}[job_type]
    assert why in str(done.failure_data_for_node(f"trials__{key}").error.cause.message)
    assert manifests(tried.warehouse.published)[0].id == before
    assert json.loads((tried.warehouse.published.root / "current.json").read_text())["snapshot"] == before


def test_a_longer_horizon_than_was_fitted_is_refused(tried: Tried) -> None:
    run = tried.result(TrainResult, "train", horizon=7, **ONE)

    done = tried.run("predict", run_id=run.run_id, horizon=8)

    assert "fitted for 7 days ahead, not for 8" in str(done.failure_data_for_node("trials__trial_forecast").error.cause.message)
