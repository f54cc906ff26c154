"""The metrics of a backtest are those of its predictions, worked out again in plain Python."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.features.panel import read_panel
from pipelines.warehouse import Warehouse

BUCKETS = {"all": (1, 999), "h_1_7": (1, 7), "h_8_14": (8, 14)}


def metrics(root: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each row of backtest_metric with the scored predictions that it is of."""
    warehouse = Warehouse(root)
    predictions = warehouse.read("backtests/prediction").drop_nulls("y")
    for row in warehouse.read("backtests/backtest_metric").iter_rows(named=True):
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
    folds = {row["fold"]: row for row in Warehouse(demo_root).read("backtests/backtest_fold").iter_rows(named=True)}

    for row, points in metrics(demo_root):
        if row["fold"] < 0:
            continue
        end = (folds[row["fold"]]["cutoff"] - panel.first_day).days + 1
        scaled = []
        for s in range(panel.series):
            train = [float(v) for v in panel.y[s, :end] if v == v]
            scale = sum(abs(a - b) for a, b in zip(train[7:], train[:-7], strict=True)) / (len(train) - 7)
            errors = [abs(p["yhat"] - p["y"]) for p in points if p["s"] == s]
            scaled.append(sum(errors) / len(errors) / scale)
        assert row["mase"] == pytest.approx(sum(scaled) / len(scaled))


def test_errors_of_buckets_sum_to_those_of_the_fold(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("backtests/backtest_metric").with_columns(total=pl.col("mae") * pl.col("n"))
    keys = ["model_type", "fold"]

    whole = table.filter(pl.col("bucket") == "all").sort(keys)
    parts = table.filter(pl.col("bucket") != "all").group_by(keys).agg(pl.col("total", "n").sum()).sort(keys)

    assert whole["n"].to_list() == parts["n"].to_list()
    assert whole["total"].to_list() == pytest.approx(parts["total"].to_list())


def test_folds_say_the_days_that_were_scored(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel, folds = read_panel(warehouse), warehouse.read("backtests/backtest_fold")

    assert folds["test_end"].max() == panel.day(panel.days - 1)
    for row in folds.iter_rows(named=True):
        assert row["train_start"] <= row["cutoff"] < row["test_start"] <= row["test_end"]
        assert (row["test_end"] - row["test_start"]).days + 1 == 14
    types = warehouse.read("models/fit")["model_type"].to_list()
    assert warehouse.read("backtests/backtest")["model_type"].sort().to_list() == sorted(types)
    assert folds.height == 3 * len(types)
