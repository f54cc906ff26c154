"""Coverage of the 90 % ranges: by horizon and kind of demand, from quantiles that never saw what they are held against."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from dagster import AssetCheckSeverity
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_config.declared import Evaluation
from pipelines.backtests.folds import folds
from pipelines.backtests.intervals import quantiles
from pipelines.features.panel import read_panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.forecasts.accuracy.assets import coverage_is_nominal
from pipelines.forecasts.accuracy.coverage import SCHEMA, coverage_frame, misses, wilson
from pipelines.resources import Storage
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of


def row(
    bucket: str, coverage: float, *, level: str = "series", segment: str = "smooth", demand: str = "over_1"
) -> tuple[object, ...]:
    return (level, bucket, segment, demand, 1000, coverage, coverage - 0.01, coverage + 0.01, True)


def table(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("covered", "n", "low", "high"),
    [(90, 100, 0.8256, 0.9448), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_the_band_is_the_one_of_the_textbooks(covered: int, n: int, low: float, high: float) -> None:
    assert wilson(covered, n) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_band_holds_its_share_and_narrows_with_points(drawn: tuple[int, int]) -> None:
    covered, n = drawn

    low, high = wilson(covered, n)
    more = wilson(4 * covered, 4 * n)

    tiny = 1e-12
    assert -tiny <= low <= covered / n + tiny
    assert covered / n - tiny <= high <= 1 + tiny
    assert more[1] - more[0] < high - low


def test_coverage_equals_a_loop_over_the_champions(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)
    champion = dict(warehouse.read("forecasts/champion").select("s", "model_type").iter_rows())
    points = [p for p in warehouse.read("backtests/prediction").iter_rows(named=True) if p["model_type"] == champion[p["s"]]]
    cells: dict[tuple[str, str, str, str], list[bool]] = defaultdict(list)
    windows = folds(panel.days, Evaluation(horizon=14))
    kinds = {fold.number: patterns(panel.until(fold.train_end)).kind for fold in windows}
    for fold in windows:
        known = patterns(panel.until(fold.train_end))
        own, others = ([p for p in points if (p["fold"] == fold.number) == mine and p["y"] is not None] for mine in (True, False))
        found = quantiles(
            *(np.array([p[name] for p in own]) for name in ("yhat", "step")),
            *(np.array([p[name] for p in others]) for name in ("yhat", "step", "y")),
            kind=np.array([kinds[p["fold"]][p["s"]] for p in own]),
            past_kind=np.array([kinds[p["fold"]][p["s"]] for p in others]),
        )
        for p, q in zip(own, found, strict=True):
            demand = "over_1" if known.mean[p["s"]] > 1 else "up_to_1"
            for bucket in ("all", "h_1_7" if p["step"] <= 7 else "h_8_14"):
                for segment in ("all", PATTERNS[known.code[p["s"]]]):
                    for each in ("all", demand):
                        cells["series", bucket, segment, each].append(bool(q[0] <= p["y"] <= q[-1]))
    for p in warehouse.read("forecasts/forecast_level").filter(source="backtest").iter_rows(named=True):
        for bucket in ("all", "h_1_7" if p["step"] <= 7 else "h_8_14"):
            cells[p["level"], bucket, "all", "all"].append(p["q05"] <= p["y"] <= p["q95"])

    made = warehouse.read("forecasts/interval_coverage")

    assert made.height == len(cells)
    for each in made.iter_rows(named=True):
        inside = cells[each["level"], each["bucket"], each["segment"], each["demand"]]
        assert (each["n"], each["coverage"]) == (len(inside), sum(inside) / len(inside))
        assert (each["low"], each["high"]) == wilson(sum(inside), len(inside))
        assert each["inside"] == (each["low"] <= 0.9 <= each["high"])


def test_one_fold_gives_no_honest_coverage() -> None:
    panel = panel_of(np.full((1, 40), 10.0))
    [only] = folds(40, Evaluation(horizon=14, n_splits=1, min_train_size=20))

    assert coverage_frame(panel, pl.DataFrame(), pl.DataFrame(), [only]).height == 0


def test_only_series_that_sell_more_than_one_a_day_are_held_to_it() -> None:
    found = misses(
        table(
            row("all", 0.90),
            row("h_1_7", 0.87),
            row("h_8_14", 0.97, segment="lumpy"),
            row("h_1_7", 0.5, demand="up_to_1"),
            row("h_1_7", 0.5, demand="all"),
            row("h_1_7", 0.5, level="store", segment="all", demand="all"),
        )
    )

    assert found == {
        "h_1_7 smooth": "0.870 of 1000 points (0.860 to 0.880)",
        "h_8_14 lumpy": "0.970 of 1000 points (0.960 to 0.980)",
    }


def test_the_check_warns_and_holds_nothing_up(own_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(own_root))
    warehouse = Warehouse(own_root)
    answers = []
    for coverage in (0.87, 0.91):
        warehouse.write("forecasts/interval_coverage", table(row("h_1_7", coverage)))
        answers.append(coverage_is_nominal(storage=Storage()))

    wide, narrow = answers
    assert (wide.passed, wide.severity) == (False, AssetCheckSeverity.WARN)
    assert list(wide.metadata["outside"].value) == ["h_1_7 smooth"]
    assert narrow.passed
    [spec] = coverage_is_nominal.check_specs
    assert not spec.blocking
