"""The command `demandgraph`, read from the top: its sub-commands, and what each starts."""

import argparse
import os
import signal
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from demandgraph.doctor import doctor
from demandgraph.home import Home, data_root, environment
from demandgraph.processes import PYTHON
from demandgraph.snapshots import show
from demandgraph.up import Up

console = Console(soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; 2 for a command that is not understood."""
    options = parser().parse_args(arguments)
    data = data_root(options.data)
    match options.command:
        case "up":
            up = Up(data, console, port=options.port, dagster_port=options.dagster_port, workers=options.workers)
            return up.run()
        case "materialize":
            return _run(data, "pipelines", "materialize", *_given(options, "preset", "source", "path", "select"))
        case "serve":
            return _run(data, "serving", *_given(options, "port", "workers"))
        case "rollback":
            return _run(data, "pipelines", "rollback", options.snapshot)
        case "snapshots":
            return show(data, console, as_json=options.json)
    return doctor(data, console)


def parser() -> argparse.ArgumentParser:
    """Every sub-command with its options."""
    top = argparse.ArgumentParser(prog="demandgraph", description="A retail-demand asset graph with a read-only REST API.")
    top.add_argument("--version", action="version", version=version("demandgraph"))
    root = argparse.ArgumentParser(add_help=False)
    for each, default in ((top, None), (root, argparse.SUPPRESS)):
        each.add_argument("--data", metavar="PATH", default=default, help="root of all state (DEMANDGRAPH_DATA, else data)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[root], help="run the Dagster UI, its daemon and the API; Ctrl-C stops all")
    port = os.environ.get("DEMANDGRAPH_PORT") or "8123"
    up.add_argument("--port", type=_port, default=port, help="of the API (DEMANDGRAPH_PORT, else 8123)")
    up.add_argument("--dagster-port", type=_port, default=3000, help="of the Dagster UI (%(default)s)")
    up.add_argument("--workers", type=int, help="processes of the API")

    make = commands.add_parser("materialize", parents=[root], help="run the graph, or a part of it, and publish")
    where = make.add_mutually_exclusive_group()
    where.add_argument("--preset", metavar="NAME", help="a generator of sources.yaml, such as demo_minimal")
    where.add_argument("--source", metavar="NAME", help="an entry of sources.yaml that reads files; needs --path")
    make.add_argument("--path", metavar="DIR", help="the folder of the source's files")
    make.add_argument("--select", metavar="NAME", nargs="+", help="stages or assets, such as forecasts or core/sales_daily")

    serve = commands.add_parser("serve", parents=[root], help="run the API alone, over what is published")
    serve.add_argument("--port", type=_port, help="of the API (DEMANDGRAPH_PORT, else 8123)")
    serve.add_argument("--workers", type=int, help="processes of the API")

    listed = commands.add_parser("snapshots", parents=[root], help="list the kept snapshots, newest first")
    listed.add_argument("--json", action="store_true", help="as JSON")

    back = commands.add_parser("rollback", parents=[root], help="serve a kept snapshot again")
    back.add_argument("snapshot", metavar="ID", help="as `demandgraph snapshots` lists it")

    commands.add_parser("doctor", parents=[root], help="say what is missing or broken, and how to mend it")
    return top


def _given(options: argparse.Namespace, *names: str) -> list[str]:
    """The options that were given, spelled again for the child."""
    found = [(name, getattr(options, name)) for name in names]
    return [
        word
        for name, value in found
        if value is not None
        for word in (f"--{name}", *(value if isinstance(value, list) else [str(value)]))
    ]


def _run(data: Path, module: str, *arguments: str) -> int:
    """Run a module of ours in the foreground and pass its exit code on. Ctrl-C goes to it; it decides how to stop."""
    Home(data).make()
    signal.signal(signal.SIGINT, lambda *_: None)  # before the child starts: an ignored signal would be inherited
    child = subprocess.Popen([*PYTHON, "-m", module, *arguments], env=environment(data))  # noqa: S603 - our own modules
    signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    code = child.wait()
    return 128 - code if code < 0 else code


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port: 1 to 65535")
    return port
