"""The command `demandgraph`, read from the top: its sub-commands, and what each starts."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn, get_args

from rich.console import Console

from assets_config.contract.names import Role
from assets_config.settings import layers
from demandgraph import keys
from demandgraph.doctor import doctor
from demandgraph.home import Home, data_root, environment, setting
from demandgraph.processes import PYTHON
from demandgraph.snapshots import show
from demandgraph.up import Up

console = Console(soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; 2 for a command that is not understood."""
    options = parser().parse_args(arguments)
    if options.command == "up" and options.port == options.dagster_port:
        parser().error(f"--port and --dagster-port are both {options.port}: two servers need two ports")
    data = data_root(options.data)
    for sentence in () if options.command == "serve" else layers(os.environ).mistaken():  # the API tells them itself
        Console(stderr=True, soft_wrap=True).print(f"warning: {sentence}", markup=False, highlight=False)
    try:
        return _do(options, data)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = f"{where}{error.strerror or error}. Make room or make {data} writable, or name another root with --data."
        Console(stderr=True, soft_wrap=True).print(said, style="bold red", markup=False, highlight=False)
        return 1


def _do(options: argparse.Namespace, data: Path) -> int:
    match options.command:
        case "up":
            up = Up(data, console, port=options.port, dagster_port=options.dagster_port, workers=options.workers)
            return up.run()
        case "materialize":
            Home(data).make()
            return _run(data, "pipelines", "materialize", *_given(options, "preset", "source", "path", "select"))
        case "serve":
            return _run(data, "serving", *_given(options, "port", "workers"))
        case "rollback":
            return _run(data, "pipelines", "rollback", options.snapshot)
        case "keys" if options.action == "new":
            return keys.new(data, console, role=options.role, name=options.name, days=options.days)
        case "keys" if options.action == "revoke":
            return keys.revoke(data, options.key)
        case "keys":
            return keys.show(data, console, as_json=options.json)
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
    port = setting("DEMANDGRAPH_PORT") or "8123"
    up.add_argument("--port", type=_port, default=port, help="of the API (DEMANDGRAPH_PORT, else 8123)")
    up.add_argument("--dagster-port", type=_port, default=3000, help="of the Dagster UI (%(default)s)")
    up.add_argument("--workers", type=_workers, help="processes of the API")

    make = commands.add_parser("materialize", parents=[root], help="run the graph, or a part of it, and publish")
    where = make.add_mutually_exclusive_group()
    where.add_argument("--preset", metavar="NAME", help="a generator of sources.yaml, such as demo_minimal")
    where.add_argument("--source", metavar="NAME", help="an entry of sources.yaml that reads files; needs --path")
    make.add_argument("--path", metavar="DIR", help="the folder of the source's files")
    make.add_argument("--select", metavar="NAME", nargs="+", help="stages or assets, such as forecasts or core/sales_daily")

    serve = commands.add_parser("serve", parents=[root], help="run the API alone, over what is published")
    serve.add_argument("--port", type=_port, help="of the API (DEMANDGRAPH_PORT, else 8123)")
    serve.add_argument("--workers", type=_workers, help="processes of the API")

    actions = commands.add_parser("keys", parents=[root], help="make, list and revoke API keys").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    new = actions.add_parser("new", parents=[root], help="make a key and print it, once")
    new.add_argument("--role", choices=get_args(Role), required=True, help="what it may do; each role may do what those before may")
    new.add_argument("--name", help="whose it is; by default made of the role")
    new.add_argument("--days", type=_days, help="how long it counts; by default until it is revoked")
    held = actions.add_parser("list", parents=[root], help="list the keys, never what they are")
    held.add_argument("--json", action="store_true", help="as JSON")
    actions.add_parser("revoke", parents=[root], help="let a key count no more").add_argument("key", help="its name or id")

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


def _run(data: Path, module: str, *arguments: str) -> NoReturn:
    """Become a module of ours: what is signalled, killed or waited for is the one that does the work."""
    command = [*PYTHON, "-m", module, *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment(data))  # noqa: S606 - our own modules


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36500:
        raise argparse.ArgumentTypeError(f"{days} days: use 1 to 36500")
    return days


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port: 1 to 65535")
    return port


def _workers(text: str) -> int:
    workers = int(text)
    if not 1 <= workers <= 64:
        raise argparse.ArgumentTypeError(f"{workers} workers: use 1 to 64")
    return workers
