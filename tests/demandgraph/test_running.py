from pathlib import Path

import pytest

from demandgraph.home import Home
from demandgraph.running import AlreadyRunning, Running, claim, running_now

PORTS = Running(port=18201, dagster_port=18202, code_server_port=18203)


def test_a_data_root_has_one_up_at_a_time(data: Path) -> None:
    home = Home(data)
    home.make()

    with claim(home, PORTS):
        assert running_now(home) == PORTS
        with pytest.raises(AlreadyRunning, match="take another --data"), claim(home, PORTS):
            pass

    assert running_now(home) is None


def test_an_up_that_died_is_not_running(data: Path) -> None:
    home = Home(data)
    home.make()
    home.running.write_text('{"port":1,"dagster_port":2,"code_server_port":3}')

    assert running_now(home) is None


def test_nothing_runs_on_a_fresh_root(data: Path) -> None:
    assert running_now(Home(data)) is None
