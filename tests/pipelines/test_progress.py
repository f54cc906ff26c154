"""Runs of the command line take turns with each other, and with the runs that Dagster starts."""

import threading
from pathlib import Path

from dagster import AssetExecutionContext, DagsterInstance, asset, materialize

from pipelines.progress import turn
from pipelines.report import GRAPH_POOL
from pipelines.warehouse import Warehouse


class Turn(threading.Thread):
    """Waits for its turn; `told` is what it said meanwhile."""

    def __init__(self, instance: DagsterInstance, root: Path) -> None:
        super().__init__(daemon=True)
        self.instance, self.root = instance, root
        self.told: list[str] = []
        self.waits = threading.Event()

    def run(self) -> None:
        with turn(self.instance, Warehouse(self.root), self._hear):
            pass

    def _hear(self, why: str) -> None:
        self.told.append(why)
        self.waits.set()


def test_one_run_of_the_command_line_waits_for_another(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        other = Turn(instance, tmp_path)
        with turn(instance, Warehouse(tmp_path), lambda _: None):
            other.start()
            other.join(timeout=1)
            assert other.is_alive()

        other.join(timeout=30)
        assert other.told == ["starting"]


def test_the_command_line_waits_for_a_run_that_writes_the_graph_and_for_no_other(tmp_path: Path) -> None:
    found = {}

    @asset(pool=GRAPH_POOL)
    def written(context: AssetExecutionContext) -> None:
        found["written"] = Turn(context.instance, tmp_path)
        found["written"].start()
        assert found["written"].waits.wait(timeout=30)
        assert found["written"].told[0] == f"waiting for Dagster run {context.run.run_id[:8]}"

    @asset
    def beside(context: AssetExecutionContext) -> None:
        found["beside"] = Turn(context.instance, tmp_path)
        found["beside"].start()
        found["beside"].join(timeout=30)

    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert materialize([written], instance=instance).success
        found["written"].join(timeout=30)
        assert found["written"].told[-1] == "starting"

        assert materialize([beside], instance=instance).success
        assert found["beside"].told == ["starting"]
