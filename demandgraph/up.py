"""`demandgraph up`: the code server, the Dagster UI, its daemon and the API, as processes beside each other."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from assets_config.contract.keys import KeysError
from assets_config.contract.layout import Published
from demandgraph import health, keys
from demandgraph.home import Home, environment
from demandgraph.ports import HOST, any_free_port, api_host, is_free, next_free_port
from demandgraph.processes import PYTHON, Child, Guard, stop
from demandgraph.running import AlreadyRunning, Running, claim
from demandgraph.snapshots import read_manifests
from demandgraph.welcome import welcome

START_PATIENCE = 120.0
RESTARTS = 3
RESTARTS_WITHIN = 600.0


class UpError(Exception):
    """Why `up` cannot start or go on, with what to do about it."""


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


class Up:
    """The processes of one data root, from the first start to the clean stop."""

    def __init__(self, data: Path, console: Console, *, port: int, dagster_port: int, workers: int | None) -> None:
        self.data = data
        self.console = console
        self.home = Home(data)
        self.ports = Running(port=port, dagster_port=dagster_port, code_server_port=any_free_port())
        self.environment = environment(data) | {"DEMANDGRAPH_DAGSTER_URL": f"http://{HOST}:{dagster_port}"}
        self.children: list[Child] = []
        self.stop_asked = False
        self.code_server = self._child(
            "code-server", "pipelines.server", "api", "grpc", "-m", "pipelines.definitions", "--empty-working-directory",
            "-h", HOST, "-p", str(self.ports.code_server_port), "--location-name", "demandgraph",
        )  # fmt: skip
        workspace = ("-w", str(self.home.workspace))
        self.dagster = self._child("dagster", "dagster_webserver", *workspace, "-h", HOST, "-p", str(dagster_port))
        self.daemon = self._child("daemon", "dagster._daemon", "run", *workspace)
        several = () if workers is None else ("--workers", str(workers))
        self.api = self._child("api", "serving", "--port", str(port), *several)

    def run(self) -> int:
        """Start everything, watch it, and stop everything; 0 after a stop that was asked for."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        self.home.make()
        self.guard = Guard()
        try:
            with claim(self.home, self.ports):
                self._check_ports()
                self._start_all()
                self._watch()
        except Stopped:
            return 0
        except (UpError, AlreadyRunning, KeysError) as error:
            self.console.print(str(error), style="bold red", markup=False, highlight=False)
            return 1
        finally:
            if any(child.group is not None for child in self.children):
                self.console.print("Stopping ...")
            stop(self.children)
            self.guard.close(ended=self.children)

    def _check_ports(self) -> None:
        for option, port in (("--port", self.ports.port), ("--dagster-port", self.ports.dagster_port)):
            if not is_free(port):
                raise UpError(f"{HOST}:{port} is taken by another program; {option} {next_free_port(port)} would work.")

    def _start_all(self) -> None:
        """One after the other: two processes that make Dagster's tables at once leave them unusable. The API comes first."""
        self.home.write_workspace(code_server_port=self.ports.code_server_port)
        if not Published(self.data).pointer.exists():
            self._publish()
        self._start(self.api, lambda: health.api_answers(self.ports.port, api_host()))
        self._start(self.code_server, lambda: health.code_server_answers(self.ports.code_server_port))
        self._start(self.dagster, lambda: health.dagster_answers(self.ports.dagster_port))
        self._start(self.daemon, lambda: health.daemon_answers(self.ports.dagster_port))
        welcome(self.console, self.data, self.ports, key=keys.first(self.data))  # made last: nobody sees it if this fails

    def _publish(self) -> None:
        """Serve the newest kept snapshot, where there is one, else make a first one: of the owner's data before the demo."""
        kept, _ = read_manifests(Published(self.data))
        if kept:
            self.console.print(f"{Published(self.data).pointer} is missing: serving the newest kept snapshot again.")
            self._run_first(
                "rollback", kept[0].id, failed="`demandgraph snapshots` lists those that `demandgraph rollback` may serve."
            )
            return
        self.console.print(
            f"Nothing is published under {self.data} yet: making what was loaded or landed there, else the preset demo_minimal."
        )
        self._run_first("materialize", failed="The first materialisation failed: see above, or ask `demandgraph doctor`.")

    def _run_first(self, *arguments: str, failed: str) -> None:
        first = self._child(arguments[0], "pipelines", *arguments, log=False)
        self.guard.add(first.start())
        try:
            while first.exit_code is None:
                self._pause()
        except Stopped:
            first.ask_to_stop(signal.SIGINT)  # the run is then recorded as cancelled
            first.ended(within=10)
            raise
        if first.exit_code != 0:
            raise UpError(failed)
        self.children.remove(first)

    def _watch(self) -> NoReturn:
        while True:
            self._pause()
            for child in self.children:
                if child.exit_code is not None:
                    self._restart(child)

    def _restart(self, child: Child) -> None:
        self.console.print(f"[yellow]{child.name} ended with exit code {child.exit_code}.[/] Last lines of {child.log}:")
        self.console.print(child.tail(), markup=False, highlight=False)
        recent = [at for at in child.started_at if time.monotonic() - at < RESTARTS_WITHIN]
        if len(recent) > RESTARTS:
            raise UpError(f"{child.name} was restarted {RESTARTS} times and does not stay up.")
        if child is self.api:
            child.ask_to_stop(signal.SIGKILL)  # workers that outlived it hold the port; a run outlives its code server
        if child.ended(within=1) and child.group is not None:
            self.guard.remove(child.group)
        until = time.monotonic() + 2 ** len(recent) / 2
        while time.monotonic() < until:
            self._pause()
        self.guard.add(child.start())

    def _start(self, child: Child, answers: Callable[[], bool]) -> None:
        self.guard.add(child.start())
        deadline = time.monotonic() + START_PATIENCE
        while not answers():
            if child.exit_code is not None:
                raise UpError(f"{child.name} ended with exit code {child.exit_code}; {child.log} ends with:\n{child.tail()}")
            if time.monotonic() > deadline:
                raise UpError(f"{child.name} did not answer within {START_PATIENCE:.0f} s; see {child.log}")
            self._pause()

    def _child(self, name: str, module: str, *arguments: str, log: bool = True) -> Child:
        child = Child(
            name,
            (*PYTHON, "-m", module, *arguments),
            environment=self.environment,
            log=self.data / "logs" / f"{name}.log" if log else None,
        )
        self.children.append(child)
        return child

    def _pause(self) -> None:
        time.sleep(0.1)
        if self.stop_asked:
            raise Stopped

    def _ask_to_stop(self, _: int, __: FrameType | None) -> None:
        self.stop_asked = True
