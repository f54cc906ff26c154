import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from assets_config.contract.keys import KeyFile
from assets_config.contract.layout import Published
from demandgraph import doctor as module
from demandgraph.doctor import doctor
from demandgraph.home import Home
from demandgraph.installed import Requirement
from demandgraph.running import Running, claim
from tests.demandgraph.conftest import Publish

SNAPSHOT = "20260102T000000Z-00000000"


def examine(data: Path) -> tuple[int, str]:
    output = io.StringIO()
    code = doctor(data, Console(file=output, width=400))
    return code, output.getvalue()


def test_a_fresh_root_is_not_broken(data: Path) -> None:
    code, said = examine(data)

    assert code == 0, said
    assert "nothing is published yet" in said


def test_a_whole_snapshot_is_well(data: Path, publish: Publish) -> None:
    publish(SNAPSHOT)

    code, said = examine(data)

    assert code == 0, said
    assert f"snapshot {SNAPSHOT}" in said


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "is missing"), (b"tab", "has 3 bytes instead of 6"), (b"TABLES", "does not have the content")],
    ids=["missing", "truncated", "altered"],
)
def test_a_damaged_part_is_named(data: Path, publish: Publish, content: bytes | None, told: str) -> None:
    publish(SNAPSHOT)
    file = Published(data).part("kpis-1") / "tables.duckdb"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)

    code, said = examine(data)

    assert code == 1
    assert f"part kpis (kpis-1): tables.duckdb {told}" in said


def test_a_pointer_to_nothing_is_broken(data: Path, publish: Publish) -> None:
    publish(SNAPSHOT)
    Published(data).manifest(SNAPSHOT).unlink()

    code, said = examine(data)

    assert code == 1
    assert f"{SNAPSHOT} has no manifest" in said


@pytest.mark.parametrize("content", [None, b"{", b"\xff"], ids=["missing", "cut", "no text"])
def test_a_lost_pointer_is_broken(data: Path, publish: Publish, content: bytes | None) -> None:
    publish(SNAPSHOT)
    Published(data).pointer.unlink()
    if content is not None:
        Published(data).pointer.write_bytes(content)

    code, said = examine(data)

    assert code == 1
    assert "demandgraph rollback ID" in said


def test_a_declaration_with_a_mistake_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.yaml").write_text("sources:\n  - {name: mine, kind: generator, about: ours, stores: none}\n")
    monkeypatch.setenv("DEMANDGRAPH_CONFIG", str(tmp_path))

    code, said = examine(data)

    assert code == 1
    assert "entry mine" in said
    assert "stores" in said


def test_an_unreadable_dagster_home_is_broken(data: Path) -> None:
    home = Home(data)
    home.make()
    home.instance.write_text("telemetry: [")

    code, said = examine(data)

    assert code == 1
    assert "dagster.yaml" in said


def test_an_empty_dagster_yaml_is_broken(data: Path) -> None:
    home = Home(data)
    home.make()
    home.instance.write_text("")

    code, said = examine(data)

    assert code == 1
    assert "dagster.yaml is empty" in said


def test_a_dagster_database_made_twice_is_broken(data: Path) -> None:
    home = Home(data)
    home.make()
    with closing(sqlite3.connect(home.folder / "runs.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [("a",), ("a",)])

    code, said = examine(data)

    assert code == 1
    assert "runs.db: it has 2 schema versions" in said


def test_a_half_made_file_of_one_run_is_no_reason_to_give_up_the_history(data: Path) -> None:
    home = Home(data)
    home.make()
    runs = home.folder / "history" / "runs"
    runs.mkdir(parents=True)
    (runs / "0a1b2c3d-0000-4000-8000-000000000000.db").touch()
    half = examine(data)
    (runs / "index.db").touch()
    index = examine(data)

    assert (half[0], index[0]) == (0, 1)
    assert "the events of one run: no such table" in half[1]
    assert "without the history" not in half[1]
    assert "without the history" in index[1]


def test_databases_on_a_disk_that_is_full_are_not_said_to_be_broken(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(data)
    home.make()
    (home.folder / "runs.db").touch()
    monkeypatch.setattr(module, "ENOUGH_DISK", 1 << 62)

    code, said = examine(data)

    assert code == 1
    assert "Make room" in said
    assert "runs.db" not in said


def test_a_root_that_is_a_file_is_broken(data: Path) -> None:
    data.write_text("")

    code, said = examine(data)

    assert code == 1
    assert "--data" in said


def test_processes_that_do_not_answer_are_named(data: Path) -> None:
    home = Home(data)
    home.make()

    with claim(home, Running(port=18291, dagster_port=18292, code_server_port=18293)):
        code, said = examine(data)

    assert code == 1
    assert "API on port 18291" in said
    assert "Dagster daemon" in said


def test_one_extra_alone_is_enough(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Requirement("msgspec", ">=0.20", ""), Requirement("litestar", ">=2", "serving")]
    absent = Requirement("no-such-package", ">=1", "pipelines")
    monkeypatch.setattr(module, "requirements", lambda: [*asked, absent])

    code, said = examine(data)

    assert code == 0, said
    assert "pip install 'demandgraph[pipelines]'" in said


def test_half_an_extra_is_broken(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = [Requirement("litestar", ">=2", "serving"), Requirement("no-such-package", ">=1", "serving")]
    monkeypatch.setattr(module, "requirements", lambda: half)

    code, said = examine(data)

    assert code == 1
    assert "no-such-package is missing" in said


@pytest.fixture(autouse=True)
def no_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMANDGRAPH_CONFIG", raising=False)


def test_keys_that_others_can_read_are_broken(data: Path) -> None:
    KeyFile(data).add(role="admin", now=datetime.now(UTC))
    well = examine(data)

    KeyFile(data).path.chmod(0o644)
    opened = examine(data)
    KeyFile(data).path.write_text("{")
    torn = examine(data)

    assert (well[0], opened[0], torn[0]) == (0, 1, 1)
    assert "1 that count, 1 of them admin" in well[1]
    assert "open to others (mode 644)" in opened[1]
    assert "cannot be read" in torn[1]
