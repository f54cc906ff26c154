"""Keys at rest: only hashes, only for the owner, whole or absent, and told apart by name."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets_config.contract.keys import ENTRY, KeyFile, KeysError, digest, hashed, key_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "a-secret-of-more-than-24-letters"


def test_the_file_holds_no_key_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secret, made = KeyFile(tmp_path).add(role="operator", name="till", now=NOW)
    finally:
        os.umask(before)

    path = KeyFile(tmp_path).path
    assert re.fullmatch(r"dg_[A-Za-z0-9_-]{43}", secret)
    assert secret not in path.read_text()
    assert digest(secret.encode()) in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [made] == KeyFile(tmp_path).read()
    assert {each.name for each in tmp_path.iterdir()} == {"keys.json", "keys.lock"}


def test_keys_that_are_made_at_once_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        secrets = list(threads.map(lambda n: KeyFile(tmp_path).add(role="reader", name=f"k{n}", now=NOW)[0], range(20)))

    kept = KeyFile(tmp_path).read()
    assert {key.name for key in kept} == {f"k{n}" for n in range(20)}
    assert {key.sha256 for key in kept} == {digest(secret.encode()) for secret in secrets}


def test_a_name_is_free_again_once_its_key_counts_no_more(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.add(role="reader", name="till", now=NOW)
    with pytest.raises(KeysError, match="There is a key called till"):
        file.add(role="admin", name="till", now=NOW)

    file.revoke("till", NOW)
    file.add(role="admin", name="till", days=1, now=NOW)
    file.add(role="operator", name="till", now=NOW + timedelta(days=2))

    states = [(key.role, key.state(NOW + timedelta(days=2))) for key in file.read()]
    assert states == [("reader", "revoked"), ("admin", "expired"), ("operator", "active")]


def test_a_key_is_revoked_by_name_or_id_and_once(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    _, one = file.add(role="reader", now=NOW)
    file.add(role="reader", name="other", now=NOW)

    file.revoke(one.id, NOW)

    assert one.name == f"reader-{one.id}"
    assert [key.state(NOW) for key in file.read()] == ["revoked", "active"]
    for gone in (one.id, one.name, "none"):
        with pytest.raises(KeysError, match=gone):
            file.revoke(gone, NOW)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "-a", "x" * 61, "é", "a\n", "../a", "\x1b[31m"])
def test_a_name_that_could_not_be_printed_is_refused(name: str, tmp_path: Path) -> None:
    if name:
        with pytest.raises(KeysError, match="is no name"):
            KeyFile(tmp_path).add(role="reader", name=name, now=NOW)
    assert KeyFile(tmp_path).read() == []


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b'[{"id": 1}]', b"\xff"])
def test_a_broken_file_is_named_and_never_written_over(content: bytes, tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.path.write_bytes(content)

    for attempt in (file.read, lambda: file.add(role="reader", now=NOW), lambda: file.revoke("a", NOW)):
        with pytest.raises(KeysError, match=re.escape(str(file.path))):
            attempt()
    assert file.path.read_bytes() == content


def test_an_entry_of_the_environment_is_a_key_or_its_hash() -> None:
    plain = f"till:operator:{SECRET}"

    assert hashed(plain) == f"till:operator:sha256:{digest(SECRET.encode())}"
    assert hashed(hashed(plain)) == hashed(plain)
    assert key_of(plain) == key_of(hashed(plain))
    assert (key_of(plain).name, key_of(plain).role, key_of(plain).state(NOW)) == ("till", "operator", "active")


@pytest.mark.parametrize(
    "entry",
    [
        *(SECRET, f"till:{SECRET}", f"till:owner:{SECRET}", f":admin:{SECRET}", f"a b:admin:{SECRET}", "till:admin:short"),
        *(f"till:admin:sha256:{'0' * 63}", f"till:admin:sha256:{'A' * 64}", f"till:admin:{SECRET} x", f"till:admin:{'x' * 201}"),
    ],
)
def test_an_entry_that_is_no_key_is_seen(entry: str) -> None:
    assert re.match(ENTRY, f"till:admin:{SECRET}")
    assert not re.match(ENTRY, entry)
