"""Whether the files of a snapshot are still the bytes that were published."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Part


def sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage(published: Published, manifest: Manifest) -> list[str]:
    """What is wrong with the files of a snapshot, a sentence each; empty when all is as published."""
    return damages(published, [manifest])[manifest.id]


def damages(published: Published, manifests: Iterable[Manifest]) -> dict[str, list[str]]:
    """The damage of each snapshot, by its id. A part is read once, however many of them share it."""
    found: dict[tuple[object, ...], list[str]] = {}

    def of(name: str, part: Part) -> list[str]:
        said = (name, part.key, frozenset(part.files.items()))
        if said not in found:
            found[said] = list(part_damage(published, name, part))
        return found[said]

    return {each.id: [sentence for name, part in each.parts.items() for sentence in of(name, part)] for each in manifests}


def part_damage(published: Published, name: str, part: Part) -> Iterator[str]:
    """What is wrong with the files of one part: missing, of another length, or with other content."""
    for relative, expected in part.files.items():
        path = published.part(part.key) / relative
        where = f"part {name} ({part.key}): {relative}"
        try:
            size = path.stat().st_size
            if size != expected.bytes:
                yield f"{where} has {size} bytes instead of {expected.bytes}"
            elif sha256(path) != expected.sha256:
                yield f"{where} does not have the content that was published"
        except FileNotFoundError:
            yield f"{where} is missing"
        except OSError as error:
            yield f"{where} cannot be read: {error.strerror}"
