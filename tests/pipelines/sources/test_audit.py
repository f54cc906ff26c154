"""The audit trail: a chain of events in which nothing can be altered or taken out unseen."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets_config.contract.landing import Batch, LandedFile
from pipelines.errors import SourceError
from pipelines.sources.audit import FIRST, Audit, event
from tests.plant import Plant

ROOT = Path(__file__).parents[3]


def batch(letter: str = "a") -> Batch:
    file = LandedFile("sales.csv", "0.csv", 10, "0" * 64)
    return Batch(letter * 32, "sales-daily", "api", "text/csv", datetime(2024, 6, 1, tzinfo=UTC), [file])


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """A trail of three events of two batches."""
    made = Audit(tmp_path / "landing" / "audit.jsonl")
    made.append([event(batch("a"), "received"), event(batch("b"), "received")])
    made.append([event(batch("a"), "loaded", lines=3, loaded=2, merged=1)])
    return made


def test_events_are_numbered_and_each_names_the_one_before(audit: Audit) -> None:
    events = audit.events()

    assert [each.seq for each in events] == [1, 2, 3]
    assert [each.previous for each in events] == [FIRST, events[0].hash, events[1].hash]
    assert audit.fault() is None


def test_the_newest_event_says_the_state_of_a_batch(audit: Audit) -> None:
    states = audit.states()

    assert {name[0]: found.state for name, found in states.items()} == {"a": "loaded", "b": "received"}
    assert (states["a" * 32].lines, states["a" * 32].loaded, states["a" * 32].merged) == (3, 2, 1)


def test_without_a_file_nothing_happened_yet(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "none" / "audit.jsonl")

    assert (audit.events(), audit.states(), audit.fault(), audit.append([])) == ([], {}, None, 0)
    assert not audit.path.exists()


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        (lambda lines: [lines[0].replace('"received"', '"rejected"'), *lines[1:]], "event 1"),
        (lambda lines: [lines[0], lines[1].replace('"lines":0', '"lines":1'), lines[2]], "event 2"),
        (lambda lines: [*lines[:2], lines[2].replace('"at":"2', '"at":"3')], "event 3"),
        (lambda lines: lines[1:], "event 1"),
        (lambda lines: [lines[0], lines[2]], "event 2"),
        (lambda lines: [lines[1], lines[0], lines[2]], "event 1"),
        (lambda lines: [*lines, lines[2]], "event 4"),
    ],
    ids=["state", "count", "time", "first taken out", "middle taken out", "swapped", "repeated"],
)
def test_what_was_altered_is_named(audit: Audit, tamper: object, place: str) -> None:
    lines = audit.path.read_text().splitlines()
    audit.path.write_text("".join(f"{line}\n" for line in tamper(lines)))  # type: ignore[operator]

    assert str(audit.fault()).startswith(f"{place} of audit.jsonl was altered")


def test_a_line_that_is_no_event_is_told(audit: Audit) -> None:
    audit.path.write_text(audit.path.read_text() + json.dumps({"seq": "four"}) + "\n")

    with pytest.raises(SourceError, match=r"audit\.jsonl holds a line that is no event"):
        audit.events()


@pytest.mark.parametrize("torn", ["{", '{"seq":4,"at":"2024-06-01T', "\0\0\0"])
def test_a_torn_last_line_is_no_line_and_is_overwritten(audit: Audit, torn: str) -> None:
    with audit.path.open("a") as file:
        file.write(torn)

    before = audit.events()
    audit.append([event(batch("c"), "received")])

    assert [each.seq for each in before] == [1, 2, 3]
    assert [each.batch_id[0] for each in audit.events()] == ["a", "b", "a", "c"]
    assert audit.fault() is None
    assert torn not in audit.path.read_text().splitlines()[-1][1:]


SCRIPT = """
import sys
from pathlib import Path
from assets_config.contract.landing import Batch, LandedFile
from datetime import UTC, datetime
from pipelines.sources.audit import Audit, event
file = LandedFile("sales.csv", "0.csv", 10, "0" * 64)
batch = Batch(sys.argv[2] * 32, "sales-daily", "api", "text/csv", datetime.now(UTC), [file])
for n in range(25):
    Audit(Path(sys.argv[1])).append([event(batch, "received", lines=n), event(batch, "loaded", lines=n)])
"""


def test_processes_that_append_at_once_keep_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT, path, name], cwd=ROOT) for name in "abcd"]

    assert [process.wait(timeout=60) for process in processes] == [0] * 4

    events = Audit(path).events()
    assert len(events) == 4 * 25 * 2
    assert Audit(path).fault() is None
    assert all(first.batch_id == second.batch_id for first, second in zip(events[::2], events[1::2], strict=True))
    for name in "abcd":
        assert [each.lines for each in events if each.batch_id[0] == name][::2] == list(range(25))


def test_a_batch_tells_its_life_once(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", "store_code,sku,date,quantity,unit_price\nA,x,2024-01-01,1,2\nA,x,2024-01-02,-1,2\n")

    plant.run()
    plant.run()  # nothing new, so that nothing is added

    events = plant.ledger.audit.events()
    assert [each.state for each in events] == ["received", "validating", "partially_loaded"]
    assert (events[-1].lines, events[-1].loaded, events[-1].rejected) == (2, 1, 1)
    assert plant.ledger.audit.fault() is None
