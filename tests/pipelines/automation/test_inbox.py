"""What is dropped into the inbox starts one ingest run; what cannot be taken stays where it is, and is named."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_sensor_context

from assets_config.contract.landing import Landing
from pipelines.automation.inbox import FORGOTTEN, arrivals, landing_inbox
from pipelines.sources.audit import event
from pipelines.sources.land import land_inbox, waiting
from pipelines.sources.load import Ledger
from pipelines.warehouse import Warehouse


def drop(root: Path, path: str, content: str = "code\nS1\n", *, age: float = 10) -> Path:
    file = root / "landing/inbox" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (time.time() - age, time.time() - age))
    return file


def tick() -> RunRequest | SkipReason:
    with DagsterInstance.ephemeral() as instance:
        return landing_inbox(build_sensor_context(instance))  # type: ignore[return-value]


def test_an_empty_inbox_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(tmp_path))

    assert isinstance(tick(), SkipReason)


def test_a_file_starts_one_run_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(tmp_path))
    drop(tmp_path, "stores/shops.csv")
    first, second = tick(), tick()
    drop(tmp_path, "stores/shops.csv", "code\nS2\n", age=5)
    third = tick()

    assert isinstance(first, RunRequest)
    assert isinstance(second, RunRequest)
    assert isinstance(third, RunRequest)
    assert first.run_key == second.run_key != third.run_key
    assert first.tags["demandgraph/job_type"] == "ingest"


def test_a_file_that_is_being_written_waits(tmp_path: Path) -> None:
    drop(tmp_path, "stores/shops.csv", age=0)

    assert waiting(Landing(tmp_path)) == []


def test_files_become_batches_of_their_kind_and_source(tmp_path: Path) -> None:
    drop(tmp_path, "stores/shops.csv")
    drop(tmp_path, "sales-daily/till_export/day.csv", "a\n1\n")
    drop(tmp_path, "weekly-sales/spring.week4.csv", "store_id,week_number,units_sold\nS1,4,1\n")
    landing = Landing(tmp_path)

    batches, refused = land_inbox(landing, waiting(landing))

    assert {(each.kind, each.source, each.files[0].name) for each in batches} == {
        ("stores", "api", "shops.csv"),
        ("sales-daily", "till_export", "day.csv"),
        ("weekly-sales", "api", "spring.week4.csv"),
    }
    assert {each.parameters.get("forecast_id") for each in batches if each.kind == "weekly-sales"} == {"spring"}
    assert refused == {}
    assert waiting(landing) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("shops.csv", "inbox/<kind>/"),
        ("shoes/shops.csv", "no kind is called shoes"),
        ("stores/shops.xlsx", ".xlsx is none of .csv"),
        ("stores/a/b/shops.csv", "no deeper"),
    ],
)
def test_what_cannot_be_taken_stays_and_is_named(path: str, said: str, tmp_path: Path) -> None:
    file = drop(tmp_path, path)
    landing = Landing(tmp_path)

    batches, refused = land_inbox(landing, waiting(landing))

    assert batches == []
    assert said in refused[path]
    assert file.exists()


def test_a_posted_batch_that_no_run_took_in_is_not_forgotten(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    batch, _ = Landing(tmp_path).receive("stores", "api", [("a.csv", b"code\nS1\n")], media_type="text/csv", received_at=now)

    assert arrivals(tmp_path, now=now) == ([], {})
    assert arrivals(tmp_path, now=now + FORGOTTEN + timedelta(seconds=1)) == ([batch.batch_id], {})

    ledger = Ledger(Warehouse(tmp_path))
    ledger.take_in()
    later = datetime.now(UTC) + FORGOTTEN / 2
    assert arrivals(tmp_path, now=later) == ([], {}), "a run has it"
    assert arrivals(tmp_path, now=later + FORGOTTEN) == ([batch.batch_id], {}), "the run that had it was killed"

    ledger.audit.append([event(batch, "loaded")])
    assert arrivals(tmp_path, now=later + FORGOTTEN) == ([], {})


def test_what_cannot_be_taken_starts_no_run(tmp_path: Path) -> None:
    drop(tmp_path, "shoes/shops.csv")

    names, refused = arrivals(tmp_path, now=datetime.now(UTC))

    assert names == []
    assert "no kind is called shoes" in refused["shoes/shops.csv"]
