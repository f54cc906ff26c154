"""The kept snapshots of a data root, read from their manifests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Pointer
from demandgraph.home import command


class Kept(msgspec.Struct, frozen=True):
    """One line of `demandgraph snapshots`."""

    id: str
    current: bool
    published_at: datetime
    age_seconds: int
    source: str
    as_of: str
    rows: int
    parts: int
    omitted: list[str]


def read_pointer(published: Published) -> Pointer | None:
    """Which snapshot is served; None where nothing was published.

    Raises msgspec.MsgspecError, when the file is not a pointer.
    """
    try:
        return msgspec.json.decode(published.pointer.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None


def read_manifests(published: Published) -> tuple[list[Manifest], list[str]]:
    """The kept snapshots, newest first, and a sentence for each manifest that cannot be read."""
    manifests, faults = [], []
    for path in sorted(published.snapshots.glob("*.json"), reverse=True):
        try:
            manifests.append(msgspec.json.decode(path.read_bytes(), type=Manifest))
        except (msgspec.MsgspecError, OSError) as error:
            faults.append(f"snapshot {path.stem}: its manifest cannot be read: {error}")
    return manifests, faults


def served(published: Published) -> Manifest | None:
    """The manifest that the pointer names; None where there is none that can be read."""
    pointed = _pointed(published)
    return next((manifest for manifest in read_manifests(published)[0] if manifest.id == pointed), None)


def kept(data: Path, *, now: datetime) -> list[Kept]:
    """What is kept, newest first."""
    published = Published(data)
    pointer = _pointed(published)
    return [
        Kept(
            id=manifest.id,
            current=manifest.id == pointer,
            published_at=manifest.published_at,
            age_seconds=int((now - manifest.published_at).total_seconds()),
            source=manifest.source,
            as_of=manifest.as_of.isoformat(),
            rows=sum(rows for part in manifest.parts.values() for rows in part.tables.values()),
            parts=len(manifest.parts),
            omitted=sorted(manifest.omitted),
        )
        for manifest in read_manifests(published)[0]
    ]


def show(data: Path, console: Console, *, as_json: bool) -> int:
    """Print the kept snapshots; exit code 0 also where there are none."""
    found = kept(data, now=datetime.now(UTC))
    if as_json:
        console.out(msgspec.json.format(msgspec.json.encode(found)).decode(), highlight=False)
        return 0
    if not found:
        make = escape(command(data, "materialize"))
        console.print(f"Nothing is published under {escape(str(data))}. [bold]{make}[/] publishes a snapshot.")
        return 0
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("", "snapshot", "source", "as of", "rows", "age"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        mark = "[green]served[/]" if each.current else ""
        age = in_words(timedelta(seconds=each.age_seconds))
        table.add_row(mark, each.id, each.source, each.as_of, f"{each.rows:,}", age)
    console.print(table)
    for each in found:
        if each.omitted:
            console.print(f"{each.id} leaves out {', '.join(each.omitted)}.", markup=False, highlight=False)
    return 0


def in_words(age: timedelta) -> str:
    """An age in its largest unit.

    >>> in_words(timedelta(hours=30))
    '1 d'
    """
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _pointed(published: Published) -> str | None:
    try:
        pointer = read_pointer(published)
    except msgspec.MsgspecError:
        return None
    return pointer.snapshot if pointer else None
