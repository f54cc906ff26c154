"""The landing zone keeps every batch byte for byte, once, whole or not at all."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from assets_config.contract.landing import Batch, Landing, identity

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
BYTES = b"\xef\xbb\xbfdate,quantity\r\n2024-01-01,1\r\n"


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


def receive(
    landing: Landing,
    content: bytes | Path = BYTES,
    *,
    kind: str = "sales-daily",
    source: str = "api",
    name: str = "sales.csv",
    at: datetime = NOON,
    **parameters: str,
) -> tuple[Batch, bool]:
    return landing.receive(kind, source, [(name, content)], media_type="text/csv", received_at=at, parameters=parameters)


def test_a_batch_is_kept_byte_for_byte_with_its_manifest(landing: Landing) -> None:
    batch, is_new = receive(landing, plan="spring")

    assert is_new
    assert [path.read_bytes() for path in landing.files(batch)] == [BYTES]
    assert landing.read("sales-daily", batch.batch_id) == landing.find(batch.batch_id) == batch
    assert (batch.bytes, batch.received_at, batch.parameters) == (len(BYTES), NOON, {"plan": "spring"})
    manifest = json.loads((landing.path(batch.kind, batch.batch_id) / "manifest.json").read_bytes())
    assert manifest["files"][0]["name"] == "sales.csv"


def test_the_same_bytes_twice_are_one_batch(landing: Landing) -> None:
    first, _ = receive(landing)

    again, is_new = receive(landing, name="other.csv", at=NOON + timedelta(days=1))

    assert not is_new
    assert again == first
    assert landing.batches() == [first]


@pytest.mark.parametrize("change", [{"source": "csv"}, {"kind": "returns"}, {"plan": "autumn"}, {"content": BYTES + b"\n"}])
def test_another_source_kind_parameter_or_byte_is_another_batch(landing: Landing, change: dict[str, str]) -> None:
    first, _ = receive(landing, plan="spring")

    other, is_new = receive(landing, **({"plan": "spring"} | change))  # type: ignore[arg-type]

    assert is_new
    assert other.batch_id != first.batch_id
    assert len(landing.batches()) == 2


def test_the_id_can_be_told_before_anything_is_kept(landing: Landing) -> None:
    told = identity("sales-daily", "api", [BYTES], {"b": "2", "a": "1"})

    batch, _ = receive(landing, a="1", b="2")

    assert batch.batch_id == told
    assert len(told) == 32


def test_a_file_is_kept_as_its_bytes_are(landing: Landing, tmp_path: Path) -> None:
    (tmp_path / "sent.csv").write_bytes(BYTES)

    batch, _ = receive(landing, tmp_path / "sent.csv")
    _, is_new = receive(landing, BYTES)

    assert not is_new
    assert landing.files(batch)[0].read_bytes() == BYTES
    assert (tmp_path / "sent.csv").exists()


NAMES = [
    "../../x",
    "..",
    "/etc/passwd",
    "a/b/../../c.csv",
    "",
    ".",
    "C:\\x\\..\\y.csv",
    "x" * 500,
    "Größe\n.csv",
    "manifest.json",
    "null\0byte",
    "~/.ssh/config",
    "$(reboot).csv",
    "../../x.parquet",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_a_name_is_never_used_as_a_path(tmp_path: Path, name: str) -> None:
    landing = Landing(tmp_path / "deep" / "root")
    before = set(tmp_path.parent.rglob("*"))

    batch, _ = receive(landing, name=name)

    [file] = batch.files
    made = {path for path in set(tmp_path.parent.rglob("*")) - before if path.is_file()}
    assert made == {*landing.files(batch), landing.path(batch.kind, batch.batch_id) / "manifest.json"}
    assert file.stored in ("0.csv", "0.parquet")
    assert "/" not in file.name
    assert len(file.name) <= 200
    assert landing.read(batch.kind, batch.batch_id) == batch


def test_several_files_keep_their_order(landing: Landing) -> None:
    sent: list[tuple[str, bytes | Path]] = [("b.csv", b"2"), ("a.parquet", b"1"), ("b.csv", b"3")]

    batch, _ = landing.receive("sales-daily", "m5", sent, media_type="text/csv", received_at=NOON)

    assert [file.stored for file in batch.files] == ["0.csv", "1.parquet", "2.csv"]
    assert [path.read_bytes() for path in landing.files(batch)] == [b"2", b"1", b"3"]


def test_batches_come_by_time_of_receipt_then_id(landing: Landing) -> None:
    late, _ = receive(landing, b"1", at=NOON + timedelta(hours=1))
    early = [receive(landing, content, kind=kind)[0] for content, kind in ((b"2", "returns"), (b"3", "stores"), (b"4", "stores"))]

    assert landing.batches() == [*sorted(early, key=lambda batch: batch.batch_id), late]


@pytest.mark.parametrize("batch_id", ["", "..", "0" * 31, "0" * 32, "*" * 32, "A" * 32, "../" * 10 + "xx"])
def test_an_id_that_is_none_finds_nothing(landing: Landing, batch_id: str) -> None:
    receive(landing)

    assert landing.find(batch_id) is None


def test_what_fails_half_way_leaves_nothing(landing: Landing, tmp_path: Path) -> None:
    (tmp_path / "sent.csv").write_bytes(BYTES)
    landing.folder.mkdir()
    (landing.folder / "sales-daily").write_text("a file where a folder must be")

    with pytest.raises(OSError, match="sales-daily"):
        receive(landing, tmp_path / "sent.csv")

    assert [path.name for path in landing.folder.rglob("*")] == ["sales-daily"]


def test_a_batch_that_a_killed_process_left_half_done_is_none(landing: Landing) -> None:
    batch, _ = receive(landing)
    folder = landing.path(batch.kind, batch.batch_id)
    folder.rename(folder.with_name(f".{batch.batch_id}.1.2.tmp"))

    assert landing.batches() == []
    assert landing.find(batch.batch_id) is None
    assert receive(landing)[1]


def test_a_manifest_in_the_inbox_is_no_batch(landing: Landing) -> None:
    (landing.inbox / "stores").mkdir(parents=True)
    (landing.inbox / "stores" / "manifest.json").write_text("[]")

    assert landing.batches() == []


def test_two_threads_at_once_make_one_batch(landing: Landing) -> None:
    for n in range(20):
        barrier = Barrier(2)

        def send(_: int, n: int = n, barrier: Barrier = barrier) -> tuple[Batch, bool]:
            barrier.wait()
            return receive(landing, BYTES * 1000 + str(n).encode())

        with ThreadPoolExecutor(2) as pool:
            [(first, is_new), (second, is_new_too)] = pool.map(send, range(2))

        assert first == second
        assert [is_new, is_new_too].count(True) == 1
        assert landing.files(first)[0].stat().st_size == first.bytes
    assert len(landing.batches()) == 20
    assert list(landing.folder.rglob("*.tmp")) == []


def test_what_is_kept_does_not_follow_the_file_it_came_from(landing: Landing, tmp_path: Path) -> None:
    sent = tmp_path / "sent.csv"
    sent.write_bytes(BYTES)
    os.chmod(sent, stat.S_IRUSR)

    batch, _ = receive(landing, sent)
    sent.unlink()

    assert landing.files(batch)[0].read_bytes() == BYTES
