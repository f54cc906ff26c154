from pathlib import Path

import polars as pl
import pytest

from assets_config.declared import Evaluation, Model
from assets_config.entries import DeclarationError
from pipelines.forecasts.champions.champion import champions
from pipelines.warehouse import Warehouse

A, B = Model("a"), Model("b")
DAYS = 10


def predictions(errors: dict[tuple[str, int], float], *, days: int = DAYS) -> pl.DataFrame:
    """Every series sells 100 a day; each type is off by the same number of units every day."""
    rows = [(kind, s, 100.0 + error, 100.0) for (kind, s), error in errors.items() for _ in range(days)]
    schema = {"model_type": pl.String, "s": pl.Int32, "yhat": pl.Float64, "y": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def series(patterns: list[str], categories: list[str] | None = None) -> pl.DataFrame:
    places = range(len(patterns))
    return pl.DataFrame(
        {
            "s": pl.Series(places, dtype=pl.Int32),
            "store_id": [1] * len(patterns),
            "product_id": [n + 1 for n in places],
            "pattern": patterns,
            "category": categories or ["food"] * len(patterns),
        }
    )


def previous(chosen: list[str]) -> pl.DataFrame:
    ids = [n + 1 for n in range(len(chosen))]
    return pl.DataFrame({"store_id": [1] * len(ids), "product_id": ids, "model_type": chosen, "reason": "smallest backtest error"})


def test_the_champion_has_the_smallest_error_and_the_earlier_type_wins_ties() -> None:
    errors = {("a", 0): 0.0, ("b", 0): 2.0, ("a", 1): 2.0, ("b", 1): 1.0, ("a", 2): -2.0, ("b", 2): 2.0}

    found = champions(predictions(errors), [A, B], series(["smooth"] * 3), Evaluation())

    assert found["model_type"].to_list() == ["a", "b", "a"]
    assert found["absolute_error"].to_list() == [0.0, 10.0, 20.0]


def test_a_challenger_within_the_dead_zone_does_not_replace_the_champion() -> None:
    # WAPE of a is 3 %; b is better by 0.4, 0.5 and 0.6 points, and the dead zone is 0.5
    errors = {(kind, s): error for s, b in enumerate((2.6, 2.5, 2.4)) for kind, error in (("a", 3.0), ("b", b))}

    found = champions(predictions(errors), [A, B], series(["smooth"] * 3), Evaluation(), previous=previous(["a"] * 3))

    assert found["model_type"].to_list() == ["a", "a", "b"]
    assert found["reason"].to_list() == [
        *["kept: no other type is better by more than 0.005 of WAPE"] * 2,
        "smallest backtest error",
    ]


def test_a_champion_that_is_no_longer_declared_is_replaced() -> None:
    found = champions(predictions({("b", 0): 50.0}), [B], series(["smooth"]), Evaluation(), previous=previous(["a"]))

    assert found["model_type"].to_list() == ["b"]


def test_a_segment_has_one_champion_for_all_its_series() -> None:
    # b is the better one of series 0, a of series 1 and of both together: 1 + 3 > 2 + 1
    errors = {("a", 0): 2.0, ("b", 0): 1.0, ("a", 1): 1.0, ("b", 1): 3.0, ("a", 2): 2.0, ("b", 2): 1.0}

    found = champions(predictions(errors), [A, B], series(["smooth", "smooth", "lumpy"]), Evaluation(champion="segment"))

    assert found["model_type"].to_list() == ["a", "a", "b"]
    assert set(found["reason"]) == {"smallest backtest error on series of its pattern"}


def test_a_type_is_champion_only_of_the_patterns_it_names() -> None:
    errors = {("a", 0): 5.0, ("b", 0): 1.0, ("a", 1): 5.0, ("b", 1): 1.0}

    found = champions(predictions(errors), [A, Model("b", patterns=("lumpy",))], series(["smooth", "lumpy"]), Evaluation())

    assert found["model_type"].to_list() == ["a", "b"]


def test_a_pattern_that_no_type_may_forecast_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no enabled entry has smooth among its patterns"):
        champions(predictions({}), [Model("b", patterns=("lumpy",))], series(["smooth"]), Evaluation())


def test_a_series_too_young_to_score_takes_the_champion_of_its_category() -> None:
    errors = {("a", 0): 1.0, ("b", 0): 2.0, ("a", 1): 1.0, ("b", 1): 2.0, ("a", 2): 2.0, ("b", 2): 1.0}
    young = predictions({("a", 3): 0.0}, days=6)  # a week is the least that counts

    found = champions(
        pl.concat([predictions(errors), young]),
        [A, B],
        series(["smooth"] * 5, ["food", "food", "toys", "toys", "tools"]),
        Evaluation(),
    )

    assert found["model_type"].to_list() == ["a", "a", "b", "b", "a"]
    assert found["reason"].to_list()[3:] == [
        "cold start: the champion most common in its category",
        "cold start: the champion most common of all",
    ]


def test_without_a_backtest_the_first_type_forecasts() -> None:
    found = champions(predictions({}), [A, B], series(["smooth"]), Evaluation())

    assert found.select("model_type", "absolute_error", "reason").rows() == [
        ("a", None, "no series was scored: the first type that its pattern allows")
    ]


def test_every_series_of_the_demo_has_one_champion_and_a_reason(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    chosen = warehouse.read("forecasts/champion")

    assert chosen["s"].to_list() == list(range(warehouse.read("features/series_segment").height))
    assert chosen["reason"].null_count() == 0
    assert set(chosen["model_type"]) <= set(warehouse.read("forecasts/model_run")["model_type"])
