"""A real Dagster webserver over an instance of its own, and runs in it that a test steps through."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from dagster import AssetCheckResult, AssetCheckSpec, DagsterInstance, Definitions, MaterializeResult, asset

from demandgraph.home import Home
from demandgraph.ports import any_free_port
from tests.serving.served import PATIENCE


class Dagster:
    """One instance, which this process writes and a webserver reads."""

    def __init__(self, home: Path, url: str, process: subprocess.Popen[bytes]) -> None:
        self.home, self.url, self.process = home, url, process


@contextmanager
def webserver(data: Path) -> Iterator[Dagster]:
    """Start it and wait until it answers; stopped at the end. It has no definitions: what is asked of it is what happened."""
    made = Home(data)
    made.make()
    made.workspace.write_text("load_from: []\n")
    home = made.folder
    port = any_free_port()
    command = [sys.executable, "-m", "dagster_webserver", "-w", home / "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (
        DagsterInstance.from_config(str(home)),  # two processes that make the tables at once would leave them unusable
        (home / "webserver.log").open("wb") as log,
        subprocess.Popen(command, env={**os.environ, "DAGSTER_HOME": str(home)}, stdout=log, stderr=log) as process,
    ):
        found = Dagster(home, f"http://127.0.0.1:{port}", process)
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(found.url):
                assert process.poll() is None, (home / "webserver.log").read_text()
                assert time.monotonic() < deadline, (home / "webserver.log").read_text()
                time.sleep(0.1)
            yield found
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


class Run(threading.Thread):
    """A run of some assets, in this process: each waits until it is let go. The last one publishes.

    Takes    tells: of assets that are made first, by key, what each tells as metadata `told`; tags: of the run.
    """

    def __init__(
        self,
        home: Path,
        run_id: str,
        *,
        assets: int,
        fails: bool = False,
        publisher: str = "snapshot",
        tells: Mapping[str, Sequence[Any]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._tells, self._tags = tells or {}, dict(tags or {})
        self._home, self._run_id, self._fails = home, run_id, fails
        self._assets, self._publisher = assets, publisher
        self._gate = threading.Semaphore(0)
        self.job_id = run_id.replace("-", "")

    def start(self) -> None:
        """Start it, and wait until Dagster knows of it."""
        super().start()
        with DagsterInstance.from_config(str(self._home)) as instance:
            deadline = time.monotonic() + PATIENCE
            while instance.get_run_by_id(self._run_id) is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def let(self, steps: int) -> None:
        """Let so many more assets be made."""
        for _ in range(steps):
            self._gate.release()

    def run(self) -> None:
        with DagsterInstance.from_config(str(self._home)) as instance:
            # A run configures logging for its whole process: two that begin beside each other in one could wait for each other.
            instance.get_yaml_python_handlers = list  # type: ignore[method-assign]
            self._definitions().resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance,
                run_id=self._run_id,
                raise_on_error=False,
                tags=self._tags,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

    def _definitions(self) -> Definitions:
        made: list[Any] = []
        for key, told in self._tells.items():
            made.append(self._asset(key.split("/"), *(each.key for each in made), told=told))
        made += [self._asset(["core", f"table_{n}"]) for n in range(self._assets - 1)]
        return Definitions(assets=[*made, self._asset(["publish", self._publisher], *(each.key for each in made))])

    def _asset(self, key: list[str], *deps: object, told: Sequence[Any] | None = None) -> Any:
        @asset(key=key, deps=deps, check_specs=[AssetCheckSpec("is_whole", asset=key)])
        def made() -> MaterializeResult:
            assert self._gate.acquire(timeout=PATIENCE)
            if self._fails:
                raise ValueError("the disk is full")
            said: dict[str, Any] = {
                "dagster/row_count": 7,
                "snapshot": "20240701T120000Z-00000001",
                "as of": "2024-06-30",
                "wape": 0.25,
            }
            said["peak memory [MiB]"] = 300
            if told is not None:
                said["told"] = list(told)
            return MaterializeResult(metadata=said, check_results=[AssetCheckResult(passed=True, check_name="is_whole")])

        return made
