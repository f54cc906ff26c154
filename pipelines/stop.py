"""Ctrl-C and SIGTERM end a command at once: with one line, its run recorded as cancelled, and nothing published from then on.

Python handles signals in the main thread, between two of its own steps, so that a run there would hear of them late or never: what
shall be stopped is executed `beside` it.
"""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 5.0  # seconds that recording may take; `dead_runs` marks a run that was not recorded

_moving = threading.Lock()
_recorded: list[Callable[[], None]] = []


def on_signal() -> None:
    """Have signals end this process from now on."""
    screen = os.dup(2)  # standard error: while a step runs, 2 is the file of what it says

    def end(status: int) -> None:
        with suppress(OSError):  # nobody reads it any more
            os.write(screen, b"stopped\n")  # not by `print`, in whose middle the signal may have come
        os._exit(status)

    def stop(number: int, _: FrameType | None) -> None:
        status = 128 + number
        for each in SIGNALS:
            signal.signal(each, lambda *_: os._exit(status))
        threading.Timer(PATIENCE, end, (status,)).start()
        _moving.acquire()  # and never released
        with suppress(Exception):  # a disk that is full shall not keep it from ending
            for record in _recorded:
                record()
        end(status)

    for each in SIGNALS:
        signal.signal(each, stop)


def recorded_by(record: Callable[[], None]) -> None:
    """What is to be done before the process ends by a signal."""
    _recorded.append(record)


def beside(work: Callable[[], T]) -> T:
    """Do it in another thread, and wait. A Ctrl-C in a terminal is for its child processes too: they do not hear of it."""
    block = (signal.SIG_BLOCK, {signal.SIGINT})
    with ThreadPoolExecutor(1, initializer=signal.pthread_sigmask, initargs=block) as other:
        future = other.submit(work)
        while not wait([future], timeout=0.2).done:  # a signal that another thread was given does not end a longer wait
            pass
        return future.result()


def publishes(move: Callable[[], None]) -> None:
    """Move the pointer, unless the process is being stopped: then it waits here for its end."""
    with _moving:
        move()
