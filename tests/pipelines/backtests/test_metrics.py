"""The metrics of a backtest are those of its predictions, worked out again in plain Python."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.declared import Evaluation, load_declarations
from pipelines.backtests.folds import folds
from pipelines.backtests.metrics import METRICS, metric_rows, truths
from pipelines.backtests.runs import prediction_frame
from pipelines.features.levels import Members
from pipelines.features.panel import read_panel
from pipelines.models.types import compared, enabled
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of

BUCKETS = {"all": (1, 999), "h_1_7": (1, 7), "h_8_14": (8, 14)}


def metrics(root: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each row of backtest_metric with the scored predictions that it is of."""
    warehouse = Warehouse(root)
    predictions = warehouse.read("backtests/prediction").drop_nulls("y")
    for row in warehouse.read("backtests/backtest_metric").filter(level="series", segment="all").iter_rows(named=True):
        first, last = BUCKETS[row["bucket"]]
        chosen = predictions.filter((pl.col("model_type") == row["model_type"]) & pl.col("step").is_between(first, last))
        if row["fold"] >= 0:
            chosen = chosen.filter(pl.col("fold") == row["fold"])
        yield row, chosen.to_dicts()


def test_every_metric_equals_a_loop_over_the_predictions(demo_root: Path) -> None:
    for row, points in metrics(demo_root):
        errors = [p["yhat"] - p["y"] for p in points]
        demand = sum(p["y"] for p in points)
        shares = [abs(p["yhat"] - p["y"]) / p["y"] for p in points if p["y"]]
        symmetric = [2 * abs(p["yhat"] - p["y"]) / (p["yhat"] + p["y"]) if p["yhat"] + p["y"] else 0 for p in points]

        assert row["n"] == len(points)
        assert row["mae"] == pytest.approx(sum(map(abs, errors)) / len(points))
        assert row["rmse"] == pytest.approx((sum(e * e for e in errors) / len(points)) ** 0.5)
        assert row["wape"] == pytest.approx(sum(map(abs, errors)) / demand)
        assert row["bias"] == pytest.approx(sum(errors) / len(points), abs=1e-9)
        assert row["bias_ratio"] == pytest.approx(sum(errors) / demand, abs=1e-9)
        assert (row["mape"], row["mape_n"]) == (pytest.approx(sum(shares) / len(shares)), len(shares))
        assert row["smape"] == pytest.approx(sum(symmetric) / len(points))


def test_mase_equals_a_loop_over_the_series(demo_root: Path) -> None:
    panel = read_panel(Warehouse(demo_root))
    windows = {row["fold"]: row for row in Warehouse(demo_root).read("backtests/backtest_fold").iter_rows(named=True)}

    for row, points in metrics(demo_root):
        if row["fold"] < 0:
            continue
        end = (windows[row["fold"]]["cutoff"] - panel.first_day).days + 1
        scaled = []
        for s in range(panel.series):
            train = [float(v) for v in panel.y[s, :end] if v == v]
            scale = sum(abs(a - b) for a, b in zip(train[7:], train[:-7], strict=True)) / (len(train) - 7)
            errors = [abs(p["yhat"] - p["y"]) for p in points if p["s"] == s]
            scaled.append(sum(errors) / len(errors) / scale)
        assert row["mase"] == pytest.approx(sum(scaled) / len(scaled))


def test_errors_of_buckets_sum_to_those_of_the_fold(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("backtests/backtest_metric").with_columns(total=pl.col("mae") * pl.col("n"))
    keys = ["model_type", "level", "segment", "fold"]

    whole = table.filter(pl.col("bucket") == "all").sort(keys)
    parts = table.filter(pl.col("bucket") != "all").group_by(keys).agg(pl.col("total", "n").sum()).sort(keys)

    assert whole["n"].to_list() == parts["n"].to_list()
    assert whole["total"].to_list() == pytest.approx(parts["total"].to_list())


def test_folds_say_the_days_that_were_scored(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel, windows = read_panel(warehouse), warehouse.read("backtests/backtest_fold")

    assert windows["test_end"].max() == panel.day(panel.days - 1)
    for row in windows.iter_rows(named=True):
        assert row["train_start"] <= row["cutoff"] < row["test_start"] <= row["test_end"]
        assert (row["test_end"] - row["test_start"]).days + 1 == 14
    types = warehouse.read("forecasts/model_run")["model_type"].to_list()
    assert warehouse.read("backtests/backtest")["model_type"].sort().to_list() == sorted(types)
    assert windows.height == 3 * len(types)


def test_errors_of_a_level_are_those_of_plain_sums(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel, codes = read_panel(warehouse), dict(warehouse.read("core/dim_store").select("store_id", "code").iter_rows())
    points = warehouse.read("backtests/prediction").drop_nulls("y").filter(model_type="seasonal_naive")
    sums: dict[tuple[str, int, int], list[float]] = {}
    for point in points.iter_rows(named=True):
        total = sums.setdefault((codes[panel.store_id[point["s"]]], point["fold"], point["step"]), [0.0, 0.0])
        total[0] += point["y"]
        total[1] += point["yhat"]

    row = warehouse.read("backtests/backtest_metric").row(
        by_predicate=(pl.col("level") == "store")
        & (pl.col("model_type") == "seasonal_naive")
        & (pl.col("fold") == -1)
        & (pl.col("bucket") == "all"),
        named=True,
    )

    assert row["n"] == len(sums)
    assert row["wape"] == pytest.approx(sum(abs(f - y) for y, f in sums.values()) / sum(y for y, _ in sums.values()))


def test_segments_are_parts_of_all_series(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("backtests/backtest_metric").with_columns(total=pl.col("mae") * pl.col("n"))
    keys = ["model_type", "fold", "bucket"]

    whole = table.filter(level="series", segment="all").sort(keys)
    parts = table.filter(pl.col("segment") != "all").group_by(keys).agg(pl.col("total", "n").sum()).sort(keys)

    assert whole["n"].to_list() == parts["n"].to_list()
    assert whole["total"].to_list() == pytest.approx(parts["total"].to_list())


def test_added_value_and_stability_follow_from_the_rows(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("backtests/backtest_metric")
    keys = ("fold", "bucket", "level", "segment")
    wape = {(row["model_type"], *(row[key] for key in keys)): row["wape"] for row in table.iter_rows(named=True)}

    for row in table.iter_rows(named=True):
        for base in ("naive", "seasonal_naive"):
            assert row[f"fva_{base}"] == pytest.approx(wape[base, *(row[key] for key in keys)] - row["wape"])
        assert (row["stability_pct"] is None) == (row["fold"] >= 0)
        if row["fold"] == -1:
            folds = [wape[row["model_type"], n, row["bucket"], row["level"], row["segment"]] for n in range(3)]
            assert json.loads(row["stability_pct"])["wape"] == pytest.approx(100 * pstdev(folds) / fmean(folds))


def test_a_null_metric_has_a_reason(demo_root: Path) -> None:
    for row in Warehouse(demo_root).read("backtests/backtest_metric").iter_rows(named=True):
        missing = [name for name in METRICS if row[name] is None]

        assert missing == ([] if (row["level"], row["segment"]) == ("series", "all") else ["wrmsse"]) or row["reason"]
        assert row["coverage_80"] <= row["coverage_90"]


def test_one_fold_says_why_it_has_no_coverage() -> None:
    panel = panel_of(np.vstack([np.zeros(60), np.tile([1.0, 2, 3, 4, 5, 6, 0], 9)[:60]]))
    members = Members(pl.DataFrame({name: ["a", "b"] for name in ("store", "product", "region", "category", "department")}))
    windows = folds(60, Evaluation(horizon=7, n_splits=1, min_train_size=28))
    predictions = prediction_frame(panel, "naive", windows[0], np.zeros((2, 7)), gap=0)

    rows = {(row["level"], row["segment"]): row for row in metric_rows("b", "naive", truths(panel, members, windows), predictions)
            if (row["fold"], row["bucket"]) == (-1, "all")}  # fmt: skip

    assert rows["series", "no_demand"]["wape"] is None
    assert rows["series", "no_demand"]["reason"] == (
        "wape, bias_ratio, wql, mape: no demand to divide by; mase, rmsse: demand was the same on all training days; "
        "pinball, coverage_80, coverage_90: quantiles need a second fold"
    )
    assert rows["total", "all"]["wape"] == 1
    assert rows["total", "all"]["tracking_signal"] == 7  # every day under-forecast
    assert rows["series", "all"]["wrmsse"] > 0
    assert json.loads(rows["total", "all"]["stability_pct"])["wape"] is None


def test_baselines_are_backtested_when_they_are_not_enabled() -> None:
    declared = load_declarations()
    off = {name: msgspec.structs.replace(model, enabled=name == "xgboost") for name, model in declared.models.items()}

    found = [model.type for model in compared(enabled(msgspec.structs.replace(declared, models=off)))]

    assert found == ["xgboost", "naive", "seasonal_naive"]
