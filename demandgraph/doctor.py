"""`demandgraph doctor`: what is missing or broken, and how to mend it."""

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assets_config.contract.integrity import damages
from assets_config.contract.keys import KeyFile, KeysError
from assets_config.contract.layout import Published
from assets_config.declared import load_declarations
from assets_config.entries import DeclarationError
from demandgraph import health
from demandgraph.home import Home, command, setting
from demandgraph.installed import requirements
from demandgraph.ports import api_host
from demandgraph.running import running_now
from demandgraph.snapshots import read_manifests, read_pointer

ENOUGH_DISK = 1 << 30
MARKS = {"ok": "[green]ok[/]", "note": "[yellow]--[/]", "broken": "[bold red]broken[/]"}


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one check. A note is no fault: something is not there, and need not be."""

    check: str
    state: Literal["ok", "note", "broken"]
    found: str
    mend: str = ""


def doctor(data: Path, console: Console) -> int:
    """Run every check and print a table; exit code 1 where something is broken."""
    findings = [finding for check in CHECKS for finding in check(data)]
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("", "check", "found", "how to mend it"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "check")
    for each in findings:
        table.add_row(MARKS[each.state], *(escape(cell) for cell in (each.check, each.found, each.mend)))
    console.print(table)
    return int(any(each.state == "broken" for each in findings))


def python(_: Path) -> Iterator[Finding]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info < (3, 14):
        yield Finding("Python", "ok", found)
    else:
        yield Finding("Python", "broken", found, "Use Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12")


def packages(_: Path) -> Iterator[Finding]:
    """An extra of which most is missing is a note, as long as the other one is there."""
    everything = requirements()
    installed = []
    for extra in ("", "pipelines", "serving"):
        asked = [each for each in everything if each.extra == extra]
        own = [each for each in asked if not any(each.name == other.name and other.extra != extra for other in everything)]
        label = f"packages [{extra}]" if extra else "packages"
        faults = [fault for each in asked if (fault := each.fault())]
        if extra and sum(each.found is not None for each in own) < len(own) / 2:  # others need some of them too
            yield Finding(label, "note", "not installed", f"To have it: pip install 'demandgraph[{extra}]'")
            continue
        installed.append(extra)
        if faults:
            name = f"demandgraph[{extra}]" if extra else "demandgraph"
            yield Finding(label, "broken", "; ".join(faults), f"pip install '{name}', or make setup in a checkout")
        else:
            yield Finding(label, "ok", f"{len(asked)} installed")
    if len(installed) == 1:
        mend = "pip install 'demandgraph[pipelines,serving]'"
        yield Finding("packages", "broken", "neither [pipelines] nor [serving] is installed", mend)


def data_root(data: Path) -> Iterator[Finding]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            free = shutil.disk_usage(data).free
    except OSError as error:
        mend = "Make it writable, or name another root with --data or DEMANDGRAPH_DATA."
        yield Finding("data root", "broken", f"{data}: {error.strerror}", mend)
        return
    yield Finding("data root", "ok", f"{data} can be written")
    amount = f"{free / (1 << 30):,.1f} GiB free"
    if free < ENOUGH_DISK:
        yield Finding("disk", "broken", amount, "Make room: a snapshot is written beside the old ones before it is served.")
    else:
        yield Finding("disk", "ok", amount)


def declarations(_: Path) -> Iterator[Finding]:
    overlay = setting("DEMANDGRAPH_CONFIG")
    try:
        declared = load_declarations(Path(overlay) if overlay else None)
    except DeclarationError as error:
        yield Finding("declarations", "broken", str(error), "Correct that entry; docs/sources.md shows each kind.")
        return
    counts = f"{len(declared.sources)} sources, {len(declared.models)} models, {len(declared.kpis)} KPIs"
    yield Finding("declarations", "ok", f"{counts}{f', with {overlay}' if overlay else ''}")


def snapshots(data: Path) -> Iterator[Finding]:
    """Every byte of every kept snapshot is read and compared with its checksum."""
    published = Published(data)
    manifests, faults = read_manifests(published)
    yield _pointer(data, [manifest.id for manifest in manifests])
    for fault in faults:
        yield Finding("snapshot", "broken", fault, "Restore the file from a backup, or delete it: it is not served.")
    found = damages(published, manifests)
    for manifest in manifests:
        wrong = found[manifest.id]
        if wrong:
            again = command(data, "materialize --select publish")
            mend = f"{again} makes the part again from the warehouse; or roll back."
            yield Finding(f"snapshot {manifest.id}", "broken", "; ".join(wrong), mend)
        else:
            files = sum(len(part.files) for part in manifest.parts.values())
            yield Finding(f"snapshot {manifest.id}", "ok", f"{files} files as published")


def dagster_home(data: Path) -> Iterator[Finding]:
    """Nothing where the data root or its disk is broken: SQLite then says of whole databases that they cannot be read."""
    if any(each.state == "broken" for each in data_root(data)):
        return
    home = Home(data)
    if not home.instance.exists():
        yield Finding(
            "Dagster home", "note", f"{home.folder} is not there yet", f"{command(data, 'up')}, or materialize, makes it."
        )
        return
    mend = f"Correct {home.instance}, or delete it: it is made again."
    try:
        yaml.safe_load(home.instance.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError) as error:
        yield Finding("Dagster home", "broken", str(error), mend)
        return
    if not home.instance.stat().st_size:
        yield Finding("Dagster home", "broken", f"{home.instance} is empty: Dagster goes by its own defaults", mend)
        return
    for path in sorted(home.folder.rglob("*.db")):
        fault = _database_fault(path)
        if fault and path.parent.name == "runs" and path.stem != "index":
            mend = "None if that run has just begun: Dagster completes it. Else move it aside: only what that run told is lost."
            yield Finding("Dagster home", "note", f"{path}, the events of one run: {fault}", mend)
        elif fault:
            mend = f"Stop everything, move {home.folder} aside: it is made again, without the history of jobs."
            yield Finding("Dagster home", "broken", f"{path}: {fault}", mend)
            return
    yield Finding("Dagster home", "ok", str(home.folder))


def keys(data: Path) -> Iterator[Finding]:
    """The file of API keys: whether it can be read, and by its owner alone."""
    file = KeyFile(data)
    try:
        found = [key for key in file.read() if key.state(datetime.now(UTC)) == "active"]
        mode = file.path.stat().st_mode & 0o777 if file.path.exists() else 0o600
    except (KeysError, OSError) as error:
        yield Finding("API keys", "broken", str(error), "Mend the file, or delete it and make keys anew.")
        return
    if mode & 0o077:
        yield Finding("API keys", "broken", f"{file.path} is open to others (mode {mode:o})", f"chmod 600 {file.path}")
    elif not found:
        yield Finding("API keys", "note", "there is none in the data root", command(data, "keys new --role admin"))
    else:
        yield Finding("API keys", "ok", f"{len(found)} that count, {sum(key.role == 'admin' for key in found)} of them admin")


def processes(data: Path) -> Iterator[Finding]:
    """What an `up` of this data root runs, if there is one."""
    ports = running_now(Home(data))
    if ports is None:
        yield Finding("demandgraph up", "note", "not running", command(data, "up"))
        return
    asked = {
        f"API on port {ports.port}": health.api_answers(ports.port, api_host()),
        f"Dagster UI on port {ports.dagster_port}": health.dagster_answers(ports.dagster_port),
        f"code server on port {ports.code_server_port}": health.code_server_answers(ports.code_server_port),
        "Dagster daemon": health.daemon_answers(ports.dagster_port),
    }
    for name, answers in asked.items():
        if answers:
            yield Finding(name, "ok", "answers")
        else:
            yield Finding(name, "broken", "does not answer", f"See the logs in {data / 'logs'}; stop `up`, start it again.")


def _database_fault(path: Path) -> str | None:
    """What is wrong with one of Dagster's databases. Two processes that made it at once leave two schema versions."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            heads = connection.execute("SELECT count(*) FROM alembic_version").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return None if heads == 1 else f"it has {heads} schema versions instead of one"


def _pointer(data: Path, kept: list[str]) -> Finding:
    published, make = Published(data), command(data, "materialize")
    mend = f"{make} publishes a new snapshot; {command(data, 'rollback ID')} points to a kept one."
    try:
        pointer = read_pointer(published)
    except (msgspec.MsgspecError, OSError) as error:
        return Finding("served snapshot", "broken", f"{published.pointer} cannot be read: {error}", mend)
    if pointer is None and not kept:
        return Finding("served snapshot", "note", "nothing is published yet", f"{command(data, 'up')}, or {make}")
    if pointer is None:
        return Finding("served snapshot", "broken", f"{published.pointer} is missing", mend)
    if pointer.snapshot not in kept:
        return Finding("served snapshot", "broken", f"{pointer.snapshot} has no manifest that can be read", mend)
    return Finding("served snapshot", "ok", pointer.snapshot)


CHECKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    python,
    packages,
    data_root,
    declarations,
    snapshots,
    dagster_home,
    keys,
    processes,
)
