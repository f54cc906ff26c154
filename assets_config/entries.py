"""YAML files of declarations, the shipped ones with those of a user's folder laid over them, read into Structs.

A mistake is a DeclarationError that names file, entry and field.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

T = TypeVar("T")
STEPS = re.compile(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]")
"""Of a path as msgspec writes it."""


class DeclarationError(ValueError):
    """A mistake in a YAML file; the message says file, entry and field, and what would work."""


def fields_of(name: str, overlay: Path | None, shape: type[T]) -> T:
    """A file that is one entry: its fields, those of the overlay's file of the same name over the shipped ones.

    Raises DeclarationError, naming the file that the faulty field stands in.
    """
    found: dict[str, Any] = {}
    for where, text in texts(name, overlay):
        found |= content_of(where, text, dict[str, Any])
        try:
            read = msgspec.convert(found, shape)
        except msgspec.ValidationError as error:
            raise DeclarationError(f"{where}: {error}") from error
    return read


def entries_of(name: str, overlay: Path | None, members: Mapping[str, type[Any]]) -> dict[str, list[Any]]:
    """The entries that a file lists under each of its members, the shipped ones first.

    Raises DeclarationError, naming file, entry and field.
    """
    found: dict[str, list[Any]] = {member: [] for member in members}
    for where, text in texts(name, overlay):
        listed = content_of(where, text, dict[str, list[Any]])
        if unknown := listed.keys() - members.keys():
            raise DeclarationError(f"{where}: {', '.join(sorted(unknown))} is unknown; known are {', '.join(members)}")
        for member, entries in listed.items():
            found[member] += [entry_of(where, entry, members[member], label="key") for entry in entries]
    return found


def texts(name: str, overlay: Path | None) -> list[tuple[str, str]]:
    """Where a file stands and what is in it: the shipped one, then that of the overlay where it has one.

    Raises DeclarationError, when the overlay is no folder.
    """
    found = [(f"assets_config/{name}", files("assets_config").joinpath(name).read_text(encoding="utf-8"))]
    if overlay is not None:
        if not overlay.is_dir():
            raise DeclarationError(f"DEMANDGRAPH_CONFIG: {overlay} is not a folder")
        path = overlay / name
        if path.exists():
            found.append((str(path), path.read_text(encoding="utf-8")))
    return found


def content_of(where: str, text: str, shape: type[T]) -> T:
    """The YAML of a file. Raises DeclarationError, naming the file."""
    try:
        return msgspec.convert(_parsed(text) or {}, shape)
    except yaml.YAMLError as error:
        raise DeclarationError(f"{where}: not readable as YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise DeclarationError(f"{where}: {error}") from error


def _parsed(text: str) -> Any:
    if not yaml.__with_libyaml__:
        return yaml.safe_load(text)
    try:
        return yaml.load(text, yaml.CSafeLoader)  # ten times as fast as the parser in Python, whose errors show the line
    except yaml.YAMLError:
        return yaml.safe_load(text)


def entry_of(where: str, entry: Any, shape: type[T], *, label: str = "name") -> T:
    """One entry of a file. Raises DeclarationError, naming the file and what the entry says under `label`."""
    named = entry.get(label, "?") if isinstance(entry, dict) else entry
    try:
        return msgspec.convert(entry, shape)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"{where}: entry {named}: {_located(str(error), entry, shape)}") from error


def _located(said: str, entry: Any, shape: type[Any]) -> str:
    """What is wrong with an entry, with the keys that msgspec leaves out of the path: `$.tables[...].columns[...]`."""
    what, at, path = said.partition(" - at `$")
    whole = node = deepcopy(entry)
    found = ""
    for name, index in STEPS.findall(path):
        key: Any = int(index) if index.isdigit() else name
        if index == "...":
            key = next((each for each in list(node) if _alone(node, each, lambda: _mistake(whole, shape) == said)), None)
            if key is None:
                return said
        found += f"[{key}]" if index.isdigit() else f".{key}"
        node = node[key]
    return f"{what}{at}{found}`" if found else said


def _alone(members: dict[Any, Any], key: Any, question: Callable[[], bool]) -> bool:
    """Whether it is so where this member is the only one."""
    others = dict(members)
    members.clear()
    members[key] = others[key]
    is_so = question()
    members.clear()
    members.update(others)
    return is_so


def _mistake(entry: Any, shape: type[Any]) -> str:
    try:
        msgspec.convert(entry, shape)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
