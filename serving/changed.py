"""Settings that are changed while the API runs: one file under the data root, over the environment and `.env`.

Every process looks at the file each second, and at once where the settings are asked for or changed. They are kept beside the
keys rather than in the snapshot: a rollback takes none back, and they hold before the first publish and while Dagster is away.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from assets_config.contract.durable import locked, stamp_of, write_bytes
from assets_config.settings import shown
from serving.beside import beside
from serving.settings import LIVE_SETTINGS, Settings

log = logging.getLogger("serving.changed")

EVERY = 1.0  # seconds between two looks at the file


class Change(Struct, frozen=True):
    """One setting as it was changed."""

    value: Any
    changed_at: datetime
    changed_by: str | None  # name of the key


class UnreadableChanges(ValueError):
    """The file cannot be read; the message says how to go on."""


class Changed:
    """The settings that hold: those that were given at the start, and what was changed over them."""

    def __init__(self, given: Settings) -> None:
        self.path: Path = given.data.absolute() / "settings.json"
        self.changes: Mapping[str, Change] = {}
        self.settings = given
        self._given = given
        self._told: list[Callable[[Settings], None]] = []
        self._seen: tuple[int, ...] | None = None
        self.look()

    def tell(self, *who: Callable[[Settings], None]) -> None:
        """Whom to call with the settings, whenever they have changed."""
        self._told += who

    def look(self) -> None:
        """Read the file where it is another one. One that cannot be read changes nothing: what was given holds."""
        seen = stamp_of(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            changes = self._read()
        except UnreadableChanges as error:
            log.error("%s Until then no setting is changed.", error)
            changes = {}
        self.changes = changes
        self.settings = structs.replace(self._given, **{name: each.value for name, each in changes.items()})
        for told in self._told:
            told(self.settings)

    def write(self, values: Mapping[str, Any], *, at: datetime, by: str | None) -> None:
        """Change settings, all or none; None takes a change back. They hold with the next look. Waits for others who write.

        Takes    values that fit their types.
        Raises   UnreadableChanges, when the file cannot be read: it is not written over.
        """
        with locked(self.path.with_suffix(".lock")):
            before = self._read()
            after = {**before, **{name: Change(value, at, by) for name, value in values.items()}}
            after = {name: each for name, each in after.items() if each.value is not None}
            write_bytes(self.path, msgspec.json.format(msgspec.json.encode(after)) + b"\n")
        for name, value in values.items():
            log.info("setting %s was changed to %s by %s", name, "what was given" if value is None else shown(value), by)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look every second, for as long as the application runs."""

        async def look_again() -> None:
            while True:
                await asyncio.sleep(EVERY)
                self.look()

        async with beside(look_again()):
            yield

    def _read(self) -> dict[str, Change]:
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=dict[str, Change])
            return {name: structs.replace(each, value=_typed(name, each.value)) for name, each in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise UnreadableChanges(f"{self.path} cannot be read: {error}. Mend it, or delete it.") from error


def _typed(name: str, value: Any) -> Any:
    """A value of the type of its setting. Raises ValidationError."""
    if name not in LIVE_SETTINGS:
        raise msgspec.ValidationError(f"{name[:100]} is no setting that changes while the API runs")
    try:
        return msgspec.convert(value, LIVE_SETTINGS[name].type)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{name}: {error}") from error
