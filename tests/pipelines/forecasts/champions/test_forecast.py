"""The forecast table: for each series its champion, for each day one row, from data up to the cutoff only."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from pipelines.features.panel import read_panel, write_panel
from pipelines.models.fits import artifact_path
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.registry.test_state import make


def test_the_champion_of_a_series_has_its_smallest_error(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    errors: dict[int, dict[str, float]] = {}
    for row in warehouse.read("backtests/prediction").drop_nulls("y").iter_rows(named=True):
        of_series = errors.setdefault(row["s"], {})
        of_series[row["model_type"]] = of_series.get(row["model_type"], 0) + abs(row["yhat"] - row["y"])

    found = warehouse.read("forecasts/champion")

    assert found.height == read_panel(warehouse).series == len(errors)
    for row in found.iter_rows(named=True):
        assert errors[row["s"]][row["model_type"]] == min(errors[row["s"]].values())
        assert row["absolute_error"] == pytest.approx(min(errors[row["s"]].values()))


def test_forecasts_follow_the_last_day_of_sales(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel, table = read_panel(warehouse), warehouse.read("forecasts/forecast")
    last = panel.day(panel.days - 1)

    ahead = table.filter(pl.col("source") == "forecast")

    assert ahead.height == panel.series * 14
    assert ahead["cutoff"].unique().to_list() == [last]
    assert ahead["date"].unique().sort().to_list() == [last + timedelta(days=n) for n in range(1, 15)]
    assert ahead["y"].is_null().all()


def test_each_day_of_a_series_is_told_once_and_step_after_cutoff(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("forecasts/forecast")

    assert not table.select("store_id", "product_id", "date").is_duplicated().any()
    for row in table.iter_rows(named=True):
        assert row["date"] - row["cutoff"] == timedelta(days=row["step"])


def test_backtest_rows_hold_what_was_really_sold(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    keys = ["store_id", "product_id", "date"]
    past = warehouse.read("forecasts/forecast").filter(pl.col("source") == "backtest")

    both = past.join(warehouse.read("core/sales_daily"), on=keys, how="left")

    assert past.height == read_panel(warehouse).series * 3 * 14
    assert both["y"].to_list() == both["quantity"].fill_null(0).cast(pl.Float64).to_list()


def test_a_quantity_that_float32_does_not_hold_is_backtested_as_it_was_sold(own_root: Path, small_config: Path) -> None:
    warehouse, large = Warehouse(own_root), 2**24 + 1
    panel = read_panel(warehouse)
    y = panel.y.astype(np.float64)
    y[0, -3] = large
    write_panel(warehouse, msgspec.structs.replace(panel, y=y))

    made = make(own_root, small_config, ["backtests/prediction", "forecasts/champion", "forecasts/forecast"])

    assert made.success
    rows = warehouse.read("forecasts/forecast").filter(store_id=panel.store_id[0], product_id=panel.product_id[0])
    assert rows.filter(date=panel.day(panel.days - 3), source="backtest")["y"].to_list() == [large]


def test_served_quantiles_rise_and_are_never_negative(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("forecasts/forecast")

    for row in table.iter_rows(named=True):
        assert 0 <= row["q10"] <= row["q50"] <= row["q90"]
        assert row["yhat"] >= 0


def test_ranges_of_past_days_are_those_whose_coverage_is_told(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    past = warehouse.read("forecasts/forecast").filter(source="backtest").drop_nulls("y")
    whole = {"level": "series", "bucket": "all", "segment": "all", "demand": "all"}

    [told] = warehouse.read("forecasts/interval_coverage").filter(**whole)["coverage"]

    assert past.select(pl.col("y").is_between("q05", "q95").mean()).item() == pytest.approx(told)


def test_every_forecast_names_a_run_of_the_registry(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    runs = {row["run_id"]: row for row in warehouse.read("forecasts/model_run").iter_rows(named=True)}
    champions = warehouse.read("forecasts/champion")["model_type"].to_list()

    for kind, run_id in warehouse.read("forecasts/forecast").select("model_type", "model_version").unique().iter_rows():
        assert runs[run_id]["model_type"] == kind
    for run in runs.values():
        content = artifact_path(warehouse, run["artifact_uri"]).read_bytes()
        assert run["artifact_hash"] == hashlib.sha256(content).hexdigest()
        assert run["artifact_size_bytes"] == len(content)
        said = json.loads(run["metrics"])
        assert said["champion_of"] == champions.count(run["model_type"])
        assert said["wape"] > 0
        config = json.dumps({"type": run["model_type"], "params": json.loads(run["config"])}, sort_keys=True)
        assert run["config_hash"] == hashlib.sha256(config.encode()).hexdigest()[:16]
