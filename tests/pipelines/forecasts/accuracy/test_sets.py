"""The sets that are published: every one that was frozen, with what is served marked, and their levels as they were said."""

import json
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.forecasts.accuracy.frozen import KEY, earlier_sets, freeze, frozen_frame, read_sets
from pipelines.forecasts.accuracy.sets import LEVELS, level_frame, set_frame
from pipelines.warehouse import Warehouse


@pytest.fixture
def warehouse(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


@pytest.fixture
def now(warehouse: Warehouse) -> pl.DataFrame:
    """What the graph forecasts, as it would be frozen."""
    keys = ("forecasts/forecast", "forecasts/forecast_level", "features/series_segment")
    return frozen_frame(*(warehouse.read(key) for key in keys))


def earlier(now: pl.DataFrame) -> tuple[date, pl.DataFrame]:
    """The same a week before, one unit more a day."""
    cutoff = now["date"][0] - timedelta(days=8)
    return cutoff, now.with_columns(pl.col("date") - timedelta(days=7), pl.col("yhat") + 1)


def test_the_set_of_the_graph_is_the_current_one(warehouse: Warehouse, now: pl.DataFrame) -> None:
    [said] = warehouse.read("forecasts/forecast_set").to_dicts()

    of_series = now.filter(level="series")
    assert (said["is_current"], said["is_scored"], said["kind"]) == (True, True, "series")
    assert (said["start_date"], said["end_date"]) == (of_series["date"].min(), of_series["date"].max())
    assert said["units"] == pytest.approx(sum(of_series["yhat"]))
    assert said["series"] * said["horizon"] == of_series.height
    assert sum(json.loads(said["models"]).values()) == said["series"]


def test_a_set_of_an_earlier_cutoff_is_listed_and_not_current(warehouse: Warehouse, now: pl.DataFrame) -> None:
    cutoff, rows = earlier(now)
    freeze(warehouse, rows, cutoff, keep=5)

    sets = set_frame(warehouse, now).sort("cutoff")

    assert sets["cutoff"].to_list() == [cutoff, cutoff + timedelta(days=7)]
    assert sets["is_current"].to_list() == [False, True]
    assert sets["is_scored"].to_list() == [False, True]  # made after the later one: in hindsight
    assert sets["set_id"].n_unique() == 2


def test_levels_are_those_that_were_frozen(warehouse: Warehouse, now: pl.DataFrame) -> None:
    freeze(warehouse, earlier(now)[1], earlier(now)[0], keep=5)

    levels = level_frame(warehouse)

    frozen = pl.concat([rows for _, rows in read_sets(warehouse)]).filter(pl.col("level").is_in(LEVELS))
    assert set(levels["level"]) == set(LEVELS)
    assert levels.height == 2 * frozen.height
    current = levels.filter(pl.col("date").is_in(frozen["date"].implode()), level="total").group_by("set_id").len()
    assert sorted(current["len"]) == [7, 14]  # the earlier set ends a week before


def test_a_set_that_was_lost_is_left_out(warehouse: Warehouse, now: pl.DataFrame) -> None:
    (warehouse.folder / KEY / earlier_sets(warehouse)["file"][0]).unlink()

    assert set_frame(warehouse, now).is_empty()
    assert level_frame(warehouse).is_empty()
