import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from demandgraph.home import Home, command, data_root, environment


def test_dagster_accepts_the_instance_that_is_made(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dagster = pytest.importorskip("dagster")

    Home(data).make()

    monkeypatch.setenv("DAGSTER_HOME", str(Home(data).folder))
    with dagster.DagsterInstance.get() as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        queue = instance.get_concurrency_config()
        assert queue.run_queue_config.max_concurrent_runs == max(2, os.cpu_count() or 1)
        assert (queue.pool_config.pool_granularity.value, queue.pool_config.default_pool_limit) == ("run", 1)
        assert instance.run_monitoring_max_runtime_seconds == 14400


def test_an_edited_instance_is_kept(data: Path) -> None:
    home = Home(data)
    home.make()
    home.instance.write_text("telemetry: {enabled: false}\n")

    home.make()

    assert home.instance.read_text() == "telemetry: {enabled: false}\n"


def test_an_empty_instance_is_made_anew(data: Path) -> None:
    home = Home(data)
    home.folder.mkdir(parents=True)
    home.instance.touch()

    home.make()

    assert yaml.safe_load(home.instance.read_text())["telemetry"] == {"enabled": False}


def test_a_disk_without_room_leaves_no_instance(data: Path) -> None:
    script = f"from pathlib import Path; from demandgraph.home import Home; Home(Path({str(data)!r})).make()"

    done = subprocess.run(["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "-c", script], capture_output=True)

    assert b"OSError" in done.stderr
    assert list((data / "dagster").iterdir()) == []


def test_the_workspace_names_the_code_server(data: Path) -> None:
    home = Home(data)
    home.make()

    home.write_workspace(code_server_port=18200)

    server = yaml.safe_load(home.workspace.read_text())["load_from"][0]["grpc_server"]
    assert server == {"host": "127.0.0.1", "port": 18200, "location_name": "demandgraph"}


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert data_root(None) == tmp_path / "data"
    monkeypatch.setenv("DEMANDGRAPH_DATA", "elsewhere")
    assert data_root(None) == tmp_path / "elsewhere"
    assert data_root("here") == tmp_path / "here"


def test_a_command_names_the_root_unless_it_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert command(tmp_path / "data", "up") == "demandgraph up"
    assert command(tmp_path / "my data", "up") == f"demandgraph up --data '{tmp_path}/my data'"


def test_children_see_the_root_and_its_home(data: Path) -> None:
    seen = environment(data)

    assert seen["DEMANDGRAPH_DATA"] == str(data)
    assert seen["DAGSTER_HOME"] == str(data / "dagster")


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMANDGRAPH_DATA", raising=False)
