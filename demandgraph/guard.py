"""Ends the process groups of an `up` that was killed, so that not even SIGKILL leaves servers behind.

    python -m demandgraph.guard

Reads lines `+<group>` and `-<group>` from its standard input. The input ends when `up` does, however that happens;
groups that are still listed then get SIGTERM, and SIGKILL after ten seconds.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

PATIENCE = 10.0


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end(groups)


def end(groups: Iterable[int], *, patience: float = PATIENCE) -> None:
    """Ask every process of the groups to stop, and kill what has not stopped after `patience` seconds."""
    left = [group for group in groups if send(group, signal.SIGTERM)]
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [group for group in left if send(group, 0)]
    for group in left:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Send a signal to a process group (0 only asks); False where it has no process any more."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
