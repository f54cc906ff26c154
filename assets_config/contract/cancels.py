"""Jobs that were asked to end, as one file each: whoever asked may die, and the daemon still ends them.

landing/cancels/<Dagster run id>    empty; its time is when it was asked
"""

import re
from pathlib import Path

from assets_config.contract.durable import write_bytes

RUN_ID = re.compile(r"[0-9a-f-]{36}")


class Cancels:
    """The requests of one data root."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "landing" / "cancels"

    def ask(self, run_id: str) -> None:
        """Note that a run shall end; on disk when this returns."""
        write_bytes(self._path(run_id), b"")

    def is_asked(self, run_id: str) -> bool:
        return self._path(run_id).exists()

    def asked(self) -> dict[str, float]:
        """The runs that shall end, and since when, in seconds since 1970."""
        found = {}
        for path in self._folder.glob("[0-9a-f]*"):
            try:
                found[path.name] = path.stat().st_mtime
            except FileNotFoundError:
                continue
        return found

    def forget(self, run_id: str) -> None:
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} is no id of a Dagster run")
        return self._folder / run_id
