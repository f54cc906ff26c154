"""The registry: every fit is a run, the same fit is the same run, and old runs go in order."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_config.declared import Model, load_declarations
from pipelines.errors import PipelineError
from pipelines.features.panel import read_panel
from pipelines.forecasts.registry.runs import damaged_artifacts, drop_artifacts, model_runs
from pipelines.models.fits import SCHEMA, artifact_path, fit_one, fitted_models, read_artifact
from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse

AT = datetime(2024, 7, 1)
METRICS = pl.DataFrame(
    {"model_type": "naive", "fold": -1, "bucket": "all", "level": "series", "segment": "all", "mae": 2.0, "rmse": 3.0, "wape": 0.5}
).with_columns(*(pl.lit(None, dtype=pl.Float64).alias(name) for name in ("smape", "mase", "rmsse", "bias", "bias_ratio")))
CHAMPION = pl.DataFrame({"s": [0, 1], "model_type": ["naive", "naive"], "absolute_error": [1.0, 2.0]})


def fit_row(run_id: str, *, hours: int = 0, kind: str = "naive", **changes: Any) -> dict[str, Any]:
    at = AT + timedelta(hours=hours)
    row = {
        "run_id": run_id,
        "model_type": kind,
        "status": "success",
        "config": "{}",
        "config_hash": "c",
        "data_window_start": date(2024, 1, 1),
        "data_window_end": date(2024, 6, 30),
        "dataset_id": f"d{run_id}",
        "series": 2,
        "horizon": 14,
        "runtime_info": "{}",
        "artifact_uri": f"artifacts/{run_id}.npy",
        "artifact_hash": "h",
        "artifact_size_bytes": 4,
        "git_sha": None,
        "created_at": at,
        "completed_at": at,
        "fit_seconds": 1.0,
        "feature_set": None,
        "error_message": None,
    }
    return {**row, **changes}


def registered(*fits: list[dict[str, Any]], **options: Any) -> pl.DataFrame:
    """The registry after one fit asset after the other."""
    runs: pl.DataFrame | None = None
    for rows in fits:
        runs = model_runs(pl.DataFrame(rows, schema=SCHEMA), METRICS, CHAMPION, runs, **options)
    assert runs is not None
    return runs


def test_runs_of_earlier_fits_stay_listed() -> None:
    runs = registered([fit_row("a")], [fit_row("b", hours=1)], [fit_row("c", hours=2)])

    assert runs.select("run_id", "is_current").rows() == [("a", False), ("b", False), ("c", True)]
    assert runs["metrics"].to_list()[2].startswith('{"mae": 2.0')


def test_the_same_fit_again_is_one_run_that_keeps_its_first_record() -> None:
    runs = registered(
        [fit_row("a", git_sha="first")], [fit_row("b", hours=1)], [fit_row("a", hours=2, git_sha="later", fit_seconds=9)]
    )

    assert runs.select("run_id", "is_current", "created_at", "git_sha", "fit_seconds").rows() == [
        ("a", True, AT, "first", 1.0),
        ("b", False, AT + timedelta(hours=1), None, 1.0),
    ]


def test_only_the_newest_runs_of_each_type_are_kept() -> None:
    fits = [[fit_row(f"n{n}", hours=n), fit_row(f"x{n}", hours=n, kind="xgboost")] for n in range(4)]

    assert registered(*fits, keep=2)["run_id"].to_list() == ["n2", "x2", "n3", "x3"]


def test_a_run_of_the_last_fit_outlives_newer_ones() -> None:
    earlier = registered([fit_row("a")], [fit_row("b", hours=1)], keep=2)

    again = model_runs(pl.DataFrame([fit_row("a")], schema=SCHEMA), METRICS, CHAMPION, earlier, keep=1)

    assert again.select("run_id", "is_current").rows() == [("a", True), ("b", False)]


def test_another_artifact_of_the_same_fit_is_named_a_duplicate() -> None:
    same = {"dataset_id": "d"}

    runs = registered(
        [fit_row("a", **same)],
        [fit_row("b", hours=1, **same)],
        [fit_row("c", hours=2, **same, data_window_end=date(2024, 6, 29))],
        [fit_row("d", hours=3, **same, status="failed", artifact_uri=None, artifact_hash=None, error_message="no")],
    )

    assert runs.select("run_id", "duplicate_of").rows() == [("a", None), ("b", "a"), ("c", None), ("d", None)]


def test_a_type_that_fails_is_recorded_and_the_others_forecast(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    panel, declared = read_panel(warehouse), load_declarations()
    models = [Model("naive"), Model("seasonal_naive", {"season_length": 10_000})]

    rows = [fit_one(warehouse, panel, model, horizon=14, feature_sets=declared.feature_sets, git_sha=None) for model in models]
    warehouse.write("models/fit", pl.DataFrame(rows, schema=SCHEMA))

    assert [row["status"] for row in rows] == ["success", "failed"]
    assert rows[1]["error_message"] == f"ValueError: seasonal_naive needs 10000 days, the panel has {panel.days}"
    assert rows[1]["artifact_uri"] is None
    assert [model.type for model in fitted_models(warehouse, declared)] == ["naive"]


def test_an_artifact_that_was_altered_or_lost_is_named(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    runs = warehouse.read("forecasts/model_run")
    altered, lost = runs.rows(named=True)[:2]
    artifact_path(warehouse, altered["artifact_uri"]).write_bytes(b"other")
    artifact_path(warehouse, lost["artifact_uri"]).unlink()

    assert damaged_artifacts(warehouse, runs) == {
        altered["run_id"]: f"the artifact ({altered['artifact_uri']}) does not have the bytes that were fitted",
        lost["run_id"]: f"the artifact ({lost['artifact_uri']}) is missing",
    }
    with pytest.raises(PipelineError, match=altered["run_id"]):
        read_artifact(warehouse, altered["run_id"], altered["artifact_uri"], altered["artifact_hash"])


def test_artifacts_of_pruned_runs_go_and_published_ones_stay(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    runs = warehouse.read("forecasts/model_run")
    [first] = manifests(warehouse.published)
    stray = artifact_path(warehouse, "artifacts/stray.npy")
    stray.write_bytes(b"")

    assert drop_artifacts(warehouse, runs) == 1

    assert not stray.exists()
    assert damaged_artifacts(warehouse, runs) == {}
    published = {name for name in first.parts["registry"].files if name.startswith("artifacts/")}
    assert published == set(runs["artifact_uri"])
