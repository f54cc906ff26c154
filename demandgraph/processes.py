"""Children that run beside each other: started with a log each, watched, and stopped with all that they started."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from demandgraph.guard import PATIENCE, send

PYTHON = (sys.executable, "-P")  # -P: a folder `pipelines` in the working directory is not ours


class Child:
    """One process in a group of its own: a Ctrl-C in the terminal reaches `up` alone, which then stops its children.

    Without a log it writes to the terminal.
    """

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path | None) -> None:
        self.name = name
        self.log = log
        self.started_at: list[float] = []
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start, or start again after the process died; gives its process group."""
        self.started_at.append(time.monotonic())
        if self.log is None:
            self._process = self._popen(None)
        else:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb" if len(self.started_at) == 1 else "ab") as output:
                self._process = self._popen(output.fileno())
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the process runs, and before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def group(self) -> int | None:
        return None if self._process is None else self._process.pid

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        if self.group is not None:
            send(self.group, number)

    def ended(self, *, within: float) -> bool:
        """Wait for the process and all of its group; False where some still run after so many seconds."""
        deadline = time.monotonic() + within
        while self.group is not None and (self.exit_code is None or send(self.group, 0)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def _popen(self, output: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the commands are written here, none is read
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
        )


def stop(children: Sequence[Child], *, patience: float = PATIENCE) -> None:
    """Ask all to stop at once, wait, and kill what is left of their groups."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + patience
    for child in children:
        if not child.ended(within=max(0, deadline - time.monotonic())):
            child.ask_to_stop(signal.SIGKILL)
            child.ended(within=2)


class Guard:
    """Tells `demandgraph.guard` which groups to end should this process be killed."""

    def __init__(self) -> None:
        command = [*PYTHON, "-m", "demandgraph.guard"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603

    def add(self, group: int) -> None:
        self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}")

    def close(self, *, ended: Iterable[Child]) -> None:
        """Let the guard go, once these have ended."""
        for child in ended:
            if child.group is not None:
                self.remove(child.group)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None and self._process.poll() is None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
