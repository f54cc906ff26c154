"""Whether the processes of an `up` answer. Asked by `up` while it starts, and by `doctor`."""

import json
from http.client import HTTPException
from urllib.request import Request, urlopen

from demandgraph.ports import HOST, listens

DAEMONS = b'{"query": "{instance{daemonHealth{allDaemonStatuses{required healthy}}}}"}'


def code_server_answers(port: int) -> bool:
    """It listens once the definitions are loaded."""
    return listens(port)


def dagster_answers(port: int) -> bool:
    return fetch(port, "/server_info") is not None


def daemon_answers(dagster_port: int) -> bool:
    """Whether every daemon that this instance needs has sent a heartbeat lately; Dagster's web server is asked."""
    body = fetch(dagster_port, "/graphql", body=DAEMONS)
    if body is None:
        return False
    statuses = json.loads(body)["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(each["healthy"] for each in statuses if each["required"])


def api_answers(port: int, host: str = HOST) -> bool:
    """Whether the API has a snapshot open."""
    return fetch(port, "/readyz", host=host) is not None


def fetch(port: int, path: str, *, body: bytes | None = None, host: str = HOST) -> bytes | None:
    """The body of a 200 answer; None for any other answer and for none."""
    request = Request(f"http://{host}:{port}{path}", data=body, headers={"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=5) as answer:  # noqa: S310 - our own servers
            return bytes(answer.read())
    except (HTTPException, OSError):  # URLError is one of these
        return None
