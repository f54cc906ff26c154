"""Value added: every stage on the same days, chosen by the other folds, and the steps add up to the whole."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets_config.declared import Evaluation, Model, load_declarations
from pipelines.backtests.folds import folds
from pipelines.backtests.runs import prediction_frame
from pipelines.features.panel import read_panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.forecasts.accuracy.value_added import IN_SAMPLE, STAGES, value_added_frame
from pipelines.models.fits import fitted_models
from pipelines.models.types import candidates
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of

EVALUATION = Evaluation(horizon=14, n_splits=2, min_train_size=20)


def two_folds(errors: dict[str, tuple[float, float]], days: int = 48, **options: Any) -> pl.DataFrame:
    """The stages where a series sells 10 a day and each type misses by as much on each day of the older and the newer fold."""
    panel = panel_of(np.full((1, days), 10.0))
    windows = folds(days, EVALUATION)
    points = [
        prediction_frame(panel, kind, fold, np.full((1, 14), 10.0 + missed[fold.number]), gap=0)
        for kind, missed in errors.items()
        for fold in windows
    ]
    models = [Model(kind) for kind in errors]
    series = pl.DataFrame({"s": [0], "store_id": [1], "product_id": [1], "pattern": ["smooth"], "category": ["x"]})
    return value_added_frame(
        panel, pl.concat(points), windows, models, series.with_columns(pl.col("s").cast(pl.Int32)), EVALUATION, **options
    )


def test_a_stage_is_not_scored_on_what_it_was_chosen_by() -> None:
    # a is best on the older fold and b on the newer, so each is chosen for the fold on which it is the worse one
    found = two_folds({"naive": (4, 4), "seasonal_naive": (3, 3), "a": (0, 2), "b": (2, 0), "ensemble": (1, 1)})

    whole = found.filter(segment="all")
    assert whole.select("stage", "wape").rows() == [
        ("naive", pytest.approx(0.4)),
        ("seasonal_naive", pytest.approx(0.3)),
        ("best_single", pytest.approx(0.2)),
        ("ensemble", pytest.approx(0.1)),
        ("champion", pytest.approx(0.2)),
    ]
    assert whole["fva"].to_list() == [None, *(pytest.approx(each) for each in (0.1, 0.1, 0.1, -0.1))]
    assert whole["model_type"].to_list() == ["naive", "seasonal_naive", "b, a", "ensemble", None]
    assert whole["n"].to_list() == [28] * 5
    assert whole["reason"].null_count() == 5


def test_a_single_fold_says_that_it_flatters() -> None:
    found = two_folds({"naive": (4, 4), "seasonal_naive": (3, 3), "a": (1, 2)}, days=34)

    whole = found.filter(segment="all").select("stage", "reason").rows()
    assert whole == [("naive", None), ("seasonal_naive", None), ("best_single", IN_SAMPLE), ("champion", IN_SAMPLE)]


def test_without_a_backtest_no_stage_is_told() -> None:
    panel = panel_of(np.full((1, 10), 10.0))

    assert value_added_frame(panel, pl.DataFrame(), [], [], pl.DataFrame(), EVALUATION).height == 0


def test_added_values_telescope(demo_root: Path) -> None:
    table = Warehouse(demo_root).read("forecasts/forecast_value_added")

    assert table.filter(segment="all")["stage"].to_list() == list(STAGES)
    for rows in table.partition_by("segment"):
        wape = rows["wape"].to_list()
        assert rows["position"].to_list() == list(range(1, len(wape) + 1))
        for n in range(1, len(wape)):
            assert rows["fva_naive"][n] == pytest.approx(wape[0] - wape[n], abs=1e-12)
            assert sum(rows["fva"][1 : n + 1]) == pytest.approx(rows["fva_naive"][n], abs=1e-12)


def test_baselines_have_the_error_of_their_backtest(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    pooled = warehouse.read("backtests/backtest_metric").filter(fold=-1, bucket="all", level="series")
    expected = {(row["segment"], row["model_type"]): (row["n"], row["wape"]) for row in pooled.iter_rows(named=True)}

    for row in warehouse.read("forecasts/forecast_value_added").iter_rows(named=True):
        if row["stage"] in ("naive", "seasonal_naive", "ensemble"):
            n, wape = expected[row["segment"], row["stage"]]
            assert (row["n"], row["wape"]) == (n, pytest.approx(wape))


def test_stages_that_choose_equal_a_loop_over_the_predictions(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)
    declared = load_declarations()
    models = [model.type for model in candidates(declared, fitted_models(warehouse, declared))]
    missed: dict[tuple[str, int, int], float] = defaultdict(float)
    demand: dict[tuple[int, int], float] = defaultdict(float)
    for row in warehouse.read("backtests/prediction").drop_nulls("y").iter_rows(named=True):
        missed[row["model_type"], row["fold"], row["s"]] += abs(row["yhat"] - row["y"])
        if row["model_type"] == "naive":
            demand[row["fold"], row["s"]] += row["y"]
    singles = sorted({kind for kind, *_ in missed} - {"ensemble"})
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for fold in folds(panel.days, Evaluation(horizon=14)):
        others = [n for n in range(3) if n != fold.number]
        best = min(singles, key=lambda kind: sum(missed[kind, n, s] for n in others for s in range(panel.series)))
        code = patterns(panel.until(fold.train_end)).code
        for s in range(panel.series):
            champion = min(models, key=lambda kind: sum(missed[kind, n, s] for n in others))
            for segment in ("all", PATTERNS[code[s]]):
                for stage, kind in (("best_single", best), ("champion", champion)):
                    sums[segment, stage][0] += missed[kind, fold.number, s]
                    sums[segment, stage][1] += demand[fold.number, s]

    found = warehouse.read("forecasts/forecast_value_added")

    for segment, stage, wape in found.select("segment", "stage", "wape").iter_rows():
        if stage in ("best_single", "champion"):
            absolute, whole = sums[segment, stage]
            assert wape == pytest.approx(absolute / whole), f"{segment} {stage}"
