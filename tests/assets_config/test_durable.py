"""Files are whole or absent, also when writing them fails half-way."""

from pathlib import Path

import pytest

from assets_config.contract.durable import making_folder, remove_leftovers, replacing, write_bytes


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"

    write_bytes(path, b"old")
    with replacing(path) as beside:
        beside.write_bytes(b"new")
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_half_way_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as beside:
            beside.write_bytes(b"ne")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with making_folder(tmp_path / "part") as beside:
            (beside / "file").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []

    with making_folder(tmp_path / "part") as beside:
        (beside / "inner").mkdir()
        (beside / "inner" / "file").write_bytes(b"x")
        assert not (tmp_path / "part").exists()

    assert (tmp_path / "part/inner/file").read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [tmp_path / "part"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".part.17.tmp").mkdir()
    (tmp_path / ".part.17.tmp" / "file").write_bytes(b"x")
    (tmp_path / ".file.17.tmp").write_bytes(b"x")
    (tmp_path / "file.tmp").write_bytes(b"mine")
    (tmp_path / ".hidden").write_bytes(b"mine")

    remove_leftovers(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "file.tmp"]
