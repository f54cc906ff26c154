"""`python -m serving`: answer requests, on 127.0.0.1 unless DEMANDGRAPH_HOST says otherwise."""

import argparse
import fcntl
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.mp import MPServer

from assets_config.contract.keys import KeyFile, KeysError
from serving.settings import SettingError, Settings, ask_to_stop, override, read_settings, share_counts

COUNTS = "demandgraph-counts-"


def main() -> int:
    """Exit status: 0 stopped, 1 could not start (the reason is on standard error)."""
    parser = argparse.ArgumentParser(prog="demandgraph serve", description=__doc__)
    parser.add_argument("--port", type=int, help="default: DEMANDGRAPH_PORT")
    parser.add_argument("--workers", type=int, help="processes; default: DEMANDGRAPH_WORKERS")
    arguments = parser.parse_args()
    override(port=arguments.port, workers=arguments.workers)
    try:
        settings = read_settings()
    except SettingError as error:
        return _fail(str(error))
    fault = _fault(settings.host, settings.port)
    if fault:
        return _fail(fault)
    for warning in warnings(settings):
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    sweep()
    with tempfile.TemporaryDirectory(prefix=COUNTS) as folder, held(Path(folder)):
        share_counts(folder)
        Server(
            "serving.worker:app",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            respawn_failed_workers=True,
            workers_kill_timeout=10,
            log_access=False,
        ).serve()
    return 0


def sweep() -> None:
    """Delete the counts of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{COUNTS}*"):
        with suppress(OSError), held(folder):
            if time.time() - folder.stat().st_mtime > 60:  # it was made a while ago: its server would hold it by now
                shutil.rmtree(folder)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder until this process ends, however it does. Raises OSError, when another process holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class Server(MPServer):
    """Granian, that waits for open answers when it stops: streams of events are asked to end."""

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        ask_to_stop()
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed, but perhaps not meant."""
    yield from settings.mistaken
    if settings.is_on_loopback:
        return
    if settings.reader_open == "always":
        yield f"whoever reaches {settings.host}:{settings.port} can read all of it: DEMANDGRAPH_READER_OPEN is always"
    try:
        has_keys = bool(settings.api_keys or KeyFile(settings.data).read())
    except KeysError as error:
        yield str(error)
    else:
        if not has_keys:
            yield "there is no API key yet, so that nobody can write; `demandgraph keys new --role admin` makes one"


def _fail(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)  # noqa: T201
    return 1


def _fault(host: str, port: int) -> str | None:
    """Why nothing can listen there; None where it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return f"DEMANDGRAPH_HOST is {host}, which is no address of this machine"
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return f"port {port} of {host} is taken, or that is no address of this machine; choose another with --port"
    return None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
