"""`python -m serving`: answer requests on 127.0.0.1."""

import argparse
import logging
import socket
import sys
import tempfile

from granian import Granian
from granian.constants import Interfaces

from serving.settings import SettingError, read_settings, share_counts

HOST = "127.0.0.1"  # until there are keys, nobody else may write


def main() -> int:
    """Exit status: 0 stopped, 1 could not start (the reason is on standard error)."""
    parser = argparse.ArgumentParser(prog="demandgraph serve", description=__doc__)
    parser.add_argument("--port", type=int, help="default: DEMANDGRAPH_PORT")
    parser.add_argument("--workers", type=int, help="processes; default: DEMANDGRAPH_WORKERS")
    arguments = parser.parse_args()
    try:
        settings = read_settings()
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    port = arguments.port or settings.port
    if not _is_free(port):
        print(f"error: port {port} of {HOST} is taken; choose another with --port", file=sys.stderr)  # noqa: T201
        return 1
    workers = arguments.workers or settings.workers
    with tempfile.TemporaryDirectory(prefix="demandgraph-counts-") as folder:
        share_counts(folder)
        Granian(
            "serving.worker:app",
            address=HOST,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            respawn_failed_workers=True,
            workers_kill_timeout=10,
            log_access=False,
        ).serve()
    return 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main())
