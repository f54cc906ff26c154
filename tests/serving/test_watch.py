"""A pointer that was moved is seen: by the next request where it was moved as a publish does, else within a second."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from assets_config.contract import pointer
from assets_config.contract.durable import write_bytes
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer
from assets_config.contract.pointer import point
from serving.watch import EVERY, Watch

AT = datetime(2026, 1, 1, tzinfo=UTC)


def snapshot(n: int) -> Manifest:
    return Manifest(
        id=f"20260101T0000{n:02}Z-00000000",
        schema_version=1,
        package_version="0",
        published_at=AT,
        dagster_run_id=None,
        source="test",
        dataset_id="d",
        first_day=date(2026, 1, 1),
        as_of=date(2026, 1, 1),
        parts={},
        measures=[],
        kpis=[],
        omitted={},
    )


@pytest.fixture
def published(tmp_path: Path) -> Published:
    found = Published(tmp_path)
    point(found, snapshot(0))
    return found


@pytest.fixture
def watch(published: Published) -> Watch:
    """One that has seen what there is."""
    found = Watch(published)
    assert found.has_moved(), "nothing was seen before"
    found.keep(found.look())
    assert not found.has_moved()
    return found


def test_the_next_look_after_a_publish_sees_it(published: Published, watch: Watch) -> None:
    for n in range(1, 300):
        point(published, snapshot(n % 60))
        assert watch.has_moved()
        assert watch.has_moved(), "until it is kept"
        watch.keep(watch.look())
        assert not watch.has_moved()


def test_a_publish_between_look_and_keep_is_seen_again(published: Published, watch: Watch) -> None:
    found = watch.look()
    point(published, snapshot(1))
    watch.keep(found)
    assert watch.has_moved()


def _by_hand(published: Published) -> None:
    published.pointer.write_bytes(msgspec.json.encode(Pointer(snapshot(7).id, AT)))


def _lost(published: Published) -> None:
    published.pointer.unlink()


def _restored(published: Published) -> None:
    """From a copy, the turn as it was, and in another file than the one that is open; then a publish."""
    copy = shutil.copy(published.turn, published.turn.with_name("copy"))
    Path(copy).replace(published.turn)
    point(published, snapshot(7))


@pytest.mark.parametrize("change", [_by_hand, _lost, _restored])
def test_what_no_publish_did_is_seen_within_a_second(
    change: Callable[[Published], None], published: Published, watch: Watch
) -> None:
    change(published)
    until = time.monotonic() + 3 * EVERY
    while not watch.has_moved() and time.monotonic() < until:
        time.sleep(EVERY / 20)
    assert watch.has_moved()


def test_without_a_turn_the_pointer_is_looked_at_every_time(published: Published) -> None:
    published.turn.unlink()
    watch = Watch(published)
    watch.keep(watch.look())
    assert not watch.has_moved()
    _by_hand(published)
    assert watch.has_moved()


def test_a_server_that_began_before_the_turn_was_there_takes_it_up(published: Published) -> None:
    published.turn.unlink()
    watch = Watch(published)
    watch.keep(watch.look())
    point(published, snapshot(1))
    assert watch.has_moved()
    watch.keep(watch.look())
    point(published, snapshot(2))
    assert watch.has_moved()


def test_a_publish_that_is_killed_midway_is_seen_at_once(
    published: Published, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: bytes, *, is_moved: bool) -> None:
        if is_moved:
            write_bytes(path, content)
        raise KeyboardInterrupt

    for n, is_moved in enumerate((False, True, True), 1):
        monkeypatch.setattr(pointer, "write_bytes", partial(killed, is_moved=is_moved))
        with pytest.raises(KeyboardInterrupt):
            point(published, snapshot(n))
        assert watch.has_moved() is is_moved
        watch.keep(watch.look())
        assert not watch.has_moved()
    monkeypatch.undo()
    point(published, snapshot(4))
    assert watch.has_moved()


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"longer than eight bytes"])
def test_a_turn_of_any_content_is_counted_on(content: bytes, published: Published, watch: Watch) -> None:
    published.turn.write_bytes(content)
    watch.keep(watch.look())
    point(published, snapshot(1))
    assert watch.has_moved()
    assert len(published.turn.read_bytes()) >= 8
