import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from assets_config.contract.layout import Published
from demandgraph.snapshots import in_words, kept, read_manifests, served, show
from tests.demandgraph.conftest import Publish

NOW = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)
OLD, NEW = "20260101T000000Z-00000000", "20260102T000000Z-00000000"


def test_snapshots_are_listed_newest_first(data: Path, publish: Publish) -> None:
    publish(OLD)
    publish(NEW)

    first, second = kept(data, now=NOW)

    assert (first.id, first.current, second.id, second.current) == (NEW, True, OLD, False)
    assert (first.rows, first.age_seconds, first.omitted) == (1200, 3600, ["forecasts"])


def test_the_pointer_says_which_is_served(data: Path, publish: Publish) -> None:
    publish(NEW)
    publish(OLD)

    manifest = served(Published(data))

    assert manifest is not None
    assert manifest.id == OLD


def test_a_broken_manifest_is_told_and_passed_over(data: Path, publish: Publish) -> None:
    publish(OLD)
    Published(data).manifest(NEW).write_text("{")

    manifests, faults = read_manifests(Published(data))

    assert [manifest.id for manifest in manifests] == [OLD]
    assert NEW in faults[0]


def test_a_narrow_terminal_shows_what_is_left_out_below_the_list(data: Path, publish: Publish) -> None:
    manifest = publish(NEW)
    omitted = {f"a_part_{n}": "not materialised" for n in range(9)}
    Published(data).manifest(NEW).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, omitted=omitted)))
    output = io.StringIO()

    show(data, Console(file=output, width=80, soft_wrap=True), as_json=False)

    _, row, said = output.getvalue().splitlines()
    assert row.split() == ["served", NEW, "demo_minimal", "2024-12-31", "1,200", *row.split()[-2:]]
    assert said == f"{NEW} leaves out {', '.join(omitted)}."


def test_nothing_is_kept_under_a_fresh_root(data: Path) -> None:
    assert kept(data, now=NOW) == []
    assert served(Published(data)) is None


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=23), "23 h"),
        (timedelta(days=40), "40 d"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_ages_are_told_in_their_largest_unit(age: timedelta, words: str) -> None:
    assert in_words(age) == words
