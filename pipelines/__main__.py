"""`python -m pipelines`: materialise the graph in this process, or point to an earlier snapshot."""

import argparse
import os
import sqlite3
import sys
import uuid

from assets_config.contract.graph import ASSETS
from assets_config.contract.launch import UnknownAssets, selection
from assets_config.contract.materialize import MaterializeParams
from assets_config.declared import Generator
from assets_config.entries import DeclarationError
from assets_config.settings import SettingError
from pipelines import stop
from pipelines.errors import PipelineError


def main() -> int:
    """Exit status: 0 done, 1 failed (the reason is on standard error), 2 wrong arguments, 130 or 143 stopped by a signal."""
    stop.on_signal()
    parser = argparse.ArgumentParser(prog="demandgraph", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    materialize = commands.add_parser("materialize", help="make assets and publish them")
    which = materialize.add_mutually_exclusive_group()
    which.add_argument("--preset", help="a generator of sources.yaml, for example demo_minimal")
    which.add_argument("--source", help="an entry of sources.yaml, for example m5_sample")
    materialize.add_argument("--path", help="folder of the files, for sources that read files")
    materialize.add_argument("--select", nargs="+", default=[], metavar="STAGE_OR_ASSET", help="default: everything")
    back = commands.add_parser("rollback", help="serve an earlier snapshot again")
    back.add_argument("id", help="one that `demandgraph snapshots` lists")
    arguments = parser.parse_args()
    try:
        if arguments.command == "rollback":
            return _rollback(arguments.id)
        return _materialize(arguments)
    except (PipelineError, DeclarationError, SettingError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except Exception as error:
        fault = _disk_fault(error)
        if fault is None:
            raise
        print(f"error: {fault}. Is there room, and may the data root be written? `demandgraph doctor` looks.", file=sys.stderr)  # noqa: T201
        return 1


def _disk_fault(error: BaseException | None) -> str | None:
    """What the system said of a file, or of one of Dagster's databases; None where an error is of another kind."""
    while error is not None:
        if isinstance(error, OSError):
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        if isinstance(error, sqlite3.OperationalError):
            return f"a database of Dagster: {error}"
        error = error.__cause__
    return None


def _rollback(snapshot_id: str) -> int:
    from pipelines.publish.snapshot import rollback
    from pipelines.resources import Storage

    manifest = rollback(Storage().warehouse().published, snapshot_id)
    print(f"snapshot {manifest.id} (data up to {manifest.as_of}) is served from the next request on")  # noqa: T201
    return 0


def _materialize(arguments: argparse.Namespace) -> int:
    from pipelines.resources import Storage
    from pipelines.sources.origin import choose

    try:
        keys = selection("materialize", MaterializeParams(arguments.select))
    except UnknownAssets as error:
        print(f"error: --select: {error} is no stage and no asset; assets are {', '.join(ASSETS)}", file=sys.stderr)  # noqa: T201
        return 2
    storage = Storage()
    declarations = storage.declarations()
    name = arguments.preset or arguments.source
    if arguments.preset and not isinstance(declarations.sources.get(arguments.preset), Generator):
        presets = ", ".join(key for key, each in declarations.sources.items() if isinstance(each, Generator))
        raise PipelineError(f"no preset is called {arguments.preset}; there are {presets}")
    choose(storage.warehouse(), declarations, name=name, path=arguments.path)  # a wrong name fails before Dagster loads
    from pipelines.progress import run_with_progress

    config = {"ops": {"sources__batches": {"config": {"name": name, "path": arguments.path}}}} if name else {}
    if name and "sources/batches" not in keys:
        raise PipelineError(f"--source {name} needs the stage sources among what is selected")
    return run_with_progress(keys, run_config=config, run_id=str(uuid.uuid4()), warehouse=storage.warehouse())


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is on disk; DuckDB's bindings would fill the screen with leak reports on the way out
