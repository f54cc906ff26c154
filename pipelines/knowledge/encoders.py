"""The encoder that knowledge.yaml declares, and the cache of what it has encoded: a text is encoded once."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from assets_config.contract.durable import making_folder, remove_leftovers
from assets_config.knowledge import Encoder, LocalEncoder, NoEncoder
from pipelines.knowledge.minilm import MiniLM
from pipelines.knowledge.remote import Remote

AT_ONCE = 256
"""Texts that are encoded before they are kept: what a killed run loses at most."""


Told = Callable[[int, int], None]
"""Hears how many texts are encoded, and of how many."""


class Encodes(Protocol):
    """What makes vectors of texts."""

    identity: str  # differs where the same text would get another vector
    dimensions: int

    @property
    def vocabulary(self) -> Sequence[str] | None:
        """Its word pieces, where it tells them."""

    @property
    def words(self) -> np.ndarray | None:
        """A vector for each of these, before any context."""

    def encode(self, texts: Sequence[str]) -> np.ndarray: ...


def encoder(declared: Encoder, *, key: str) -> Encodes | None:
    """The encoder of a declaration; None where no vectors are wanted. Raises PipelineError, where it cannot be had."""
    if isinstance(declared, NoEncoder):
        return None
    if isinstance(declared, LocalEncoder):
        return MiniLM(Path(declared.folder), digest=declared.sha256, heads=declared.heads)
    return Remote(declared, key)


class Cache:
    """Vectors by the hash of their text, in a folder an encoder."""

    def __init__(self, folder: Path, encodes: Encodes) -> None:
        self._encodes = encodes
        self._folder = folder / hashlib.sha256(encodes.identity.encode()).hexdigest()[:16]
        self.encoded = 0  # texts that were not known

    def vectors(self, texts: Sequence[str], *, told: Told | None = None) -> np.ndarray:
        """The vectors of texts, float32 of shape [texts, dimensions]; those that are new are encoded, and kept as they come.

        `told` hears how many of the new ones are done.
        """
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        known = self._read()
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        waiting = list(new.items())
        for first in range(0, len(waiting), AT_ONCE):
            some = waiting[first : first + AT_ONCE]
            made = self._encodes.encode([text for _, text in some])
            self._keep([key for key, _ in some], made)
            known.update(zip((key for key, _ in some), made, strict=True))
            self.encoded += len(some)
            if told is not None:
                told(first + len(some), len(waiting))
        if not keys:
            return np.empty((0, self._encodes.dimensions), np.float32)
        return np.stack([known[key] for key in keys])

    def keep_only(self, texts: Sequence[str]) -> None:
        """Forget the vectors of all other texts, and put the rest into one file."""
        wanted = {hashlib.sha256(text.encode()).hexdigest() for text in texts}
        earlier = self._parts()
        known = {key: vector for key, vector in self._read().items() if key in wanted}
        if len(earlier) > 1 or len(known) < sum(len(np.load(part / "keys.npy")) for part in earlier):
            if known:
                self._keep(list(known), np.stack(list(known.values())))
            for part in earlier:
                shutil.rmtree(part)
        for other in self._folder.parent.iterdir():
            if other.is_dir() and other != self._folder:  # of an encoder that is not in use
                shutil.rmtree(other)

    def _parts(self) -> list[Path]:
        remove_leftovers(self._folder, of_the_dead=True)
        return sorted(path for path in self._folder.glob("*") if path.is_dir() and not path.name.startswith("."))

    def _read(self) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for part in self._parts():
            found.update(zip(np.load(part / "keys.npy").tolist(), np.load(part / "vectors.npy"), strict=True))
        return found

    def _keep(self, keys: Sequence[str], vectors: np.ndarray) -> None:
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
        if (self._folder / name).exists():
            return
        with making_folder(self._folder / name) as beside:
            np.save(beside / "keys.npy", np.array(keys))
            np.save(beside / "vectors.npy", vectors.astype(np.float32))
