"""`demandgraph keys`: make, list and revoke the API keys of a data root. A running API notices at once."""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assets_config.contract.keys import KeyFile, KeysError
from assets_config.contract.names import Role
from assets_config.settings import layers
from demandgraph.home import command
from demandgraph.snapshots import in_words


def new(data: Path, console: Console, *, role: Role, name: str | None, days: int | None) -> int:
    """Print a new key, alone on standard output, so that KEY=$(demandgraph keys new ...) holds it."""
    try:
        secret, made = KeyFile(data).add(role=role, name=name, days=days, now=datetime.now(UTC))
    except KeysError as error:
        return _fail(error)
    console.out(secret, highlight=False)
    until = f", until {made.expires_at:%Y-%m-%d}" if made.expires_at else ""
    _aside(f"This is the key {made.name} ({role}{until}). It is shown once: only its hash is kept.")
    return 0


def show(data: Path, console: Console, *, as_json: bool) -> int:
    """Print who has a key, never the key."""
    now = datetime.now(UTC)
    try:
        keys = KeyFile(data).read()
    except KeysError as error:
        return _fail(error)
    if as_json:
        fields = ("id", "name", "role", "created_at", "expires_at", "revoked_at")
        said = [{"state": key.state(now), **{field: getattr(key, field) for field in fields}} for key in keys]
        console.out(msgspec.json.format(msgspec.json.encode(said)).decode(), highlight=False)
        return 0
    if not keys:
        console.print(f"There is no key yet. [bold]{escape(command(data, 'keys new --role admin'))}[/] makes one.")
        return 0
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("id", "name", "role", "state", "age", "until"):
        table.add_column(heading, no_wrap=True)
    for key in keys:
        until = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else ""
        table.add_row(key.id, escape(key.name), key.role, key.state(now), in_words(now - key.created_at), until)
    console.print(table)
    return 0


def revoke(data: Path, which: str) -> int:
    """Let a key count no more from the next request on."""
    try:
        key = KeyFile(data).revoke(which, datetime.now(UTC))
    except KeysError as error:
        return _fail(error)
    _aside(f"The key {key.name} ({key.role}) is revoked.")
    return 0


def first(data: Path) -> str | None:
    """A new admin key where nobody has one that counts, neither in the file nor in DEMANDGRAPH_API_KEYS; else None.

    Raises KeysError, when the file cannot be read.
    """
    now = datetime.now(UTC)
    found = layers(os.environ).find("DEMANDGRAPH_API_KEYS")
    in_environment = found is not None and ":admin:" in found[0]
    if in_environment or any(key.role == "admin" and key.state(now) == "active" for key in KeyFile(data).read()):
        return None
    return KeyFile(data).add(role="admin", now=now)[0]


def _fail(error: KeysError) -> int:
    Console(stderr=True, soft_wrap=True).print(str(error), style="bold red", markup=False, highlight=False)
    return 1


def _aside(words: str) -> None:
    Console(stderr=True, soft_wrap=True).print(words, markup=False, highlight=False)
