"""Whether the files of a snapshot are still the bytes that were published."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest, Part


def sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage(published: Published, manifest: Manifest) -> list[str]:
    """What is wrong with the files of a snapshot, a sentence each; empty when all is as published."""
    return [sentence for name, part in manifest.parts.items() for sentence in part_damage(published, name, part)]


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
