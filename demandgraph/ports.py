"""Ports of the loopback interface, where every process of `demandgraph up` listens; the API elsewhere too, if told so."""

import socket

from demandgraph.home import setting

HOST = "127.0.0.1"
REACHED_AT = {"0.0.0.0": HOST, "::": "::1", "localhost": HOST}  # noqa: S104 - told apart, not bound to


def api_host() -> str:
    """Where this machine reaches the API, as it stands in a URL: on loopback, unless it listens on one other address alone."""
    host = setting("DEMANDGRAPH_HOST") or HOST
    host = REACHED_AT.get(host, host)
    return f"[{host}]" if ":" in host else host


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A port that is free now, picked by the system."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def next_free_port(port: int) -> int:
    """The next port above one that is taken; any where there is none."""
    return next((above for above in range(port + 1, 65536) if is_free(above)), any_free_port())


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
