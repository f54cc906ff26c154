"""Frozen forecasts: what was said as of a cutoff stays as it was said, and nothing said in hindsight is scored."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.forecasts.accuracy.frozen import COLUMNS, KEY, damaged_sets, earlier_sets, freeze, frozen_frame, read_sets
from pipelines.warehouse import Warehouse


@pytest.fixture
def warehouse(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


@pytest.fixture
def first(warehouse: Warehouse) -> tuple[date, pl.DataFrame]:
    """The set that the graph froze."""
    [only] = read_sets(warehouse)
    return only


def other(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("yhat") + 1)


def files(warehouse: Warehouse) -> dict[str, tuple[int, bytes]]:
    """The inode and bytes of every set."""
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in (warehouse.folder / KEY / "sets").iterdir()}


def scored(warehouse: Warehouse) -> list[tuple[date, float]]:
    return [(cutoff, rows["yhat"][0]) for cutoff, rows in read_sets(warehouse)]


def test_the_graph_freezes_what_it_forecasts(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    ahead = warehouse.read("forecasts/forecast").filter(source="forecast")
    cutoff, rows = first

    assert cutoff == ahead["cutoff"][0]
    assert rows.columns == list(COLUMNS)
    of_series = rows.filter(level="series")
    names = ["store_id", "product_id", "date", "yhat", "q05", "q95", "model_type", "model_version"]
    assert of_series.select(names).rows() == ahead.select(names).rows()
    assert rows.height > of_series.height
    assert of_series["pattern"].null_count() == 0


def test_the_same_forecasts_again_are_the_same_set(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    tables = (warehouse.read(f"{key}") for key in ("forecasts/forecast", "forecasts/forecast_level", "features/series_segment"))
    again, before, listed = frozen_frame(*tables), files(warehouse), earlier_sets(warehouse)

    for rows in (again, pl.concat([again.head(100), again.slice(100)], rechunk=False)):
        freeze(warehouse, rows, first[0], keep=5)

    assert files(warehouse) == before
    assert earlier_sets(warehouse).rows() == listed.rows()


def test_of_a_cutoff_the_set_counts_that_was_made_last(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    cutoff, rows = first
    before = files(warehouse)

    freeze(warehouse, other(rows), cutoff, keep=5)
    assert scored(warehouse) == [(cutoff, rows["yhat"][0] + 1)]

    freeze(warehouse, rows, cutoff, keep=5)
    assert scored(warehouse) == [(cutoff, rows["yhat"][0])]
    assert files(warehouse).items() >= before.items()
    assert len(files(warehouse)) == 2


def test_a_set_made_in_hindsight_is_kept_and_never_scored(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    cutoff, rows = first
    freeze(warehouse, other(rows), cutoff + timedelta(days=14), keep=5)
    before, listed = files(warehouse), scored(warehouse)

    sets = freeze(warehouse, other(other(rows)), cutoff, keep=5)

    assert scored(warehouse) == listed
    assert sets.sort("made_at")["counts"].to_list() == [True, True, False]
    assert files(warehouse).items() > before.items()


def test_the_newest_sets_are_kept_and_those_that_count_first(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    cutoff, rows = first
    freeze(warehouse, other(rows), cutoff, keep=9)
    for weeks in (1, 2):
        freeze(warehouse, rows, cutoff + timedelta(weeks=weeks), keep=9)
    assert len(files(warehouse)) == 4

    freeze(warehouse, rows, cutoff + timedelta(weeks=2), keep=3)
    assert scored(warehouse) == [(cutoff + timedelta(weeks=n), rows["yhat"][0] + (n == 0)) for n in range(3)]
    assert len(files(warehouse)) == 3

    freeze(warehouse, rows, cutoff + timedelta(weeks=2), keep=1)
    assert [each for each, _ in scored(warehouse)] == [cutoff + timedelta(weeks=2)]


def test_a_set_that_was_altered_or_lost_is_named_and_not_scored(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    cutoff, rows = first
    freeze(warehouse, rows, cutoff + timedelta(days=1), keep=5)
    altered, lost = earlier_sets(warehouse)["file"].to_list()
    (warehouse.folder / KEY / altered).write_bytes(b"other")
    (warehouse.folder / KEY / lost).unlink()

    assert damaged_sets(warehouse) == {altered: "does not have the bytes that were frozen", lost: "is missing"}
    assert scored(warehouse) == []


def test_sets_of_another_source_stay_and_are_not_scored(warehouse: Warehouse, first: tuple[date, pl.DataFrame]) -> None:
    cutoff, rows = first
    freeze(warehouse, other(rows), cutoff + timedelta(days=1), keep=5)
    theirs = earlier_sets(warehouse).with_columns(pl.lit("theirs").alias("lineage"))
    warehouse.write(KEY, theirs)

    sets = freeze(warehouse, rows, cutoff, keep=2)

    assert scored(warehouse) == [(cutoff, rows["yhat"][0])]
    assert sets.filter(lineage="theirs").rows() == theirs.rows()
    assert len(files(warehouse)) == 2


def test_a_killed_freeze_leaves_the_sets_as_they_were(
    warehouse: Warehouse, first: tuple[date, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    cutoff, rows = first
    before = scored(warehouse)

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Warehouse, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        freeze(warehouse, other(rows), cutoff, keep=5)
    monkeypatch.undo()

    assert scored(warehouse) == before
    freeze(warehouse, rows, cutoff, keep=5)
    assert len(files(warehouse)) == 1, "what was left over is gone"
