"""Which batches count: those of the loaded source, and what was posted beside them, until another source is loaded."""

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from assets_config.contract.seeds import SeedAppendParams, resolve
from assets_config.declared import load_declarations
from pipelines.automation.inbox import arrivals
from pipelines.errors import PipelineError, SourceError
from pipelines.sources.load import Ledger
from pipelines.warehouse import Origin
from tests.plant import NOON, Plant

HEADER = "date,store_code,sku,quantity,unit_price\n"
ENTRY = "{name: mine, kind: files, about: ours, tables: {sales-daily: {file: 's*.csv'}}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    write(tmp_path / "files/s1.csv", "2024-01-01,A,x,1,1\n")
    return tmp_path / "files"


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/sources.yaml").write_text(f"sources: [{ENTRY}]\n")
    return Plant(tmp_path / "data", load_declarations(tmp_path / "config"))


def write(path: Path, rows: str) -> None:
    path.write_text(HEADER + rows)
    os.utime(path, (time.time() - 60, time.time() - 60))


def look_again(plant: Plant, folder: Path) -> None:
    """What a run does that names no source."""
    origin = Origin("mine", str(folder))
    found = plant.ledger.look_again(origin, plant.declarations)
    with duckdb.connect() as connection:
        plant.ledger.read(found, plant.declarations, connection)
    plant.ledger.check(found)
    plant.ledger.switch(found, origin)
    plant.run()


def units(plant: Plant) -> list[int]:
    return [row[3] for row in plant.sales()]


def test_rows_posted_for_the_source_of_a_folder_stay_when_it_is_looked_at_again(plant: Plant, folder: Path) -> None:
    plant.load("mine", folder)
    posted = plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,2,1\n", source="mine")
    plant.run()

    look_again(plant, folder)

    assert plant.batch(posted)["state"] == "loaded"
    assert units(plant) == [1, 2]


@pytest.mark.parametrize("price", [1, 2, 3, 4])
def test_of_files_that_come_at_once_the_last_by_name_holds(price: int, plant: Plant, folder: Path) -> None:
    write(folder / "s2_corrected.csv", f"2024-01-01,A,x,2,{price}\n")
    write(folder / "s3_corrected.csv", f"2024-01-01,A,x,3,{price}\n")

    plant.load("mine", folder)

    assert units(plant) == [3]


def test_a_file_that_was_taken_away_counts_no_more(plant: Plant, folder: Path) -> None:
    write(folder / "s2.csv", "2024-01-02,A,x,2,1\n")
    plant.load("mine", folder)
    (folder / "s2.csv").unlink()

    look_again(plant, folder)

    assert units(plant) == [1]


def test_a_broken_file_leaves_what_was_loaded(plant: Plant, folder: Path) -> None:
    plant.load("mine", folder)
    write(folder / "s1.csv", "")
    (folder / "s1.csv").write_text("da")
    os.utime(folder / "s1.csv", (time.time() - 60, time.time() - 60))

    with pytest.raises(SourceError, match=r"s1\.csv has no column date"):
        look_again(plant, folder)

    plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,2,1\n")
    plant.run()
    assert units(plant) == [1, 2]


def test_files_of_a_source_that_was_refused_count_only_when_it_is_loaded(tmp_path: Path) -> None:
    tables = "{sales-daily: {file: s1.csv}, products: {file: p.csv, optional: true}}"
    (tmp_path / "sources.yaml").write_text(f"sources: [{{name: mine, kind: files, about: ours, tables: {tables}}}]\n")
    plant = Plant(tmp_path / "data", load_declarations(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write(tmp_path / "a/s1.csv", "2024-01-01,A,x,1,1\n")
    write(tmp_path / "b/s1.csv", "2024-01-01,A,x,1000,1\n")
    (tmp_path / "b/p.csv").write_text("sku,category\n")
    plant.load("mine", tmp_path / "a")

    with pytest.raises(SourceError, match=r"p\.csv has no rows"):
        plant.load("mine", tmp_path / "b")
    plant.run()

    assert units(plant) == [1]
    assert plant.table("ingest_batch")["state"].to_list() == ["loaded", "retracted", "retracted"]
    assert arrivals(plant.warehouse.root, now=datetime.now(UTC) + timedelta(hours=1)) == ([], {})

    (tmp_path / "b/p.csv").unlink()
    plant.load("mine", tmp_path / "b")
    assert units(plant) == [1000]


def test_a_file_of_a_refused_source_that_is_dropped_into_the_inbox_counts(plant: Plant, folder: Path) -> None:
    plant.ledger.land(Origin("mine", str(folder)), plant.declarations)
    inbox = plant.ledger.landing.inbox / "sales-daily/mine"
    inbox.mkdir(parents=True)
    write(inbox / "s1.csv", "2024-01-01,A,x,1,1\n")

    plant.run()

    assert units(plant) == [1]


def test_a_batch_that_was_taken_out_stays_out_when_it_is_read_again_and_refused(plant: Plant, folder: Path) -> None:
    taken_out = plant.load("mine", folder)
    plant.load("csv", folder_of(folder.parent / "others", "sales.csv"))
    write(folder / "s2.csv", "2024-01-02,A,x,none,1\n")
    shutil.rmtree(plant.ledger.batches.path(taken_out[0].batch_id))

    with pytest.raises(SourceError, match="not one of 1 rows"):
        plant.load("mine", folder)

    plant.run()
    assert units(plant) == [7]


def folder_of(folder: Path, name: str) -> Path:
    folder.mkdir()
    write(folder / name, "2024-01-03,B,y,7,1\n")
    return folder


def test_a_file_that_is_being_written_is_left_for_later(plant: Plant, folder: Path) -> None:
    plant.load("mine", folder)
    (folder / "s1.csv").write_text(HEADER)

    assert plant.ledger.look_again(Origin("mine", str(folder)), plant.declarations) == []


def test_another_source_takes_the_place_of_all_and_a_batch_can_come_back(plant: Plant, folder: Path) -> None:
    posted = plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,2,1\n")
    plant.run()
    plant.load("mine", folder)
    assert (plant.batch(posted)["state"], units(plant)) == ("retracted", [1])

    plant.ledger.reactivate(posted)
    plant.run()

    assert (plant.batch(posted)["state"], units(plant)) == ("loaded", [1, 2])


def test_a_file_dropped_again_after_it_was_taken_out_counts_again(plant: Plant, folder: Path) -> None:
    inbox = plant.ledger.landing.inbox / "sales-daily"
    inbox.mkdir(parents=True)
    write(inbox / "day.csv", "2024-01-02,A,x,2,1\n")
    plant.run()
    plant.load("mine", folder)
    assert units(plant) == [1]

    write(inbox / "day.csv", "2024-01-02,A,x,2,1\n")
    plant.run()

    assert units(plant) == [1, 2]


@pytest.mark.parametrize("name", [b"\xff.csv", "müsli 'x'.csv".encode()])
def test_any_name_of_a_file_in_the_inbox_is_written_down(name: bytes, plant: Plant) -> None:
    inbox = plant.ledger.landing.inbox / "sales-daily"
    inbox.mkdir(parents=True)
    write(Path(os.fsdecode(os.fsencode(inbox) + b"/" + name)), "2024-01-02,A,x,2,1\n2024-01-02,A,x,many,1\n")

    plant.run()

    [row] = plant.table("ingest_batch").rows(named=True)
    assert (row["state"], row["file_name"]) == ("partially_loaded", name.decode("utf-8", "replace"))
    assert plant.table("ingest_reject")["file"].to_list() == [row["file_name"]]


def test_a_batch_that_is_not_read_is_never_left_out(plant: Plant) -> None:
    batch = plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,2,1\n")
    plant.run()
    shutil.rmtree(plant.ledger.batches.path(batch))

    with duckdb.connect() as connection, pytest.raises(PipelineError, match=f"batch {batch} is not read yet"):
        plant.build(connection)

    plant.run()
    assert units(plant) == [2]


def test_bytes_that_are_gone_are_told_and_stop_nobody(plant: Plant) -> None:
    lost = plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,2,1\n")
    plant.post("sales-daily", f"{HEADER}2024-01-03,A,x,3,1\n")
    [batch] = [each for each in plant.ledger.landing.batches() if each.batch_id == lost]
    plant.ledger.landing.files(batch)[0].unlink()

    plant.run()

    assert plant.batch(lost)["state"] == "rejected"
    assert "rows.csv" in plant.batch(lost)["reasons"]
    assert units(plant) == [3]


def test_weekly_sales_of_a_folder_belong_to_the_plan_of_their_name(tmp_path: Path) -> None:
    tables = "{sales-daily: {file: s.csv}, weekly-sales: {file: '*.week.csv'}}"
    (tmp_path / "sources.yaml").write_text(f"sources: [{{name: mine, kind: files, about: ours, tables: {tables}}}]\n")
    (tmp_path / "files").mkdir()
    write(tmp_path / "files/s.csv", "2024-01-01,A,x,1,1\n")
    (tmp_path / "files/spring.week.csv").write_text("store_id,week_number,units_sold\nA,1,10\n")
    plant = Plant(tmp_path / "data", load_declarations(tmp_path))

    plant.load("mine", tmp_path / "files")

    assert plant.table("weekly_actuals")["plan"].to_list() == ["spring"]


def seeded(plant: Plant) -> Ledger:
    origin = Origin("demo_minimal", None)
    batches = plant.ledger.land_seed(resolve("demo_minimal", stores=2, products=3), origin)
    plant.ledger.switch(batches, origin)
    plant.run()
    return plant.ledger


def test_generated_days_are_appended_where_the_last_ones_ended(plant: Plant) -> None:
    ledger = seeded(plant)
    days = SeedAppendParams.__struct_fields__
    assert days == ("start_date", "end_date", "seed")

    with pytest.raises(SourceError, match="append from 2025-01-01 on"):
        ledger.append(SeedAppendParams(NOON.date(), NOON.date()))


def test_generated_rows_are_not_deleted_where_nothing_would_be_left(plant: Plant) -> None:
    ledger = seeded(plant)
    before = plant.sales()

    with pytest.raises(SourceError, match="no sales would be left"):
        ledger.delete("all")
    plant.post("sales-daily", f"{HEADER}2024-01-02,A,x,none,1\n")
    plant.run()
    with pytest.raises(SourceError, match="no sales would be left"):
        ledger.delete("facts")

    plant.run()
    assert plant.sales() == before
