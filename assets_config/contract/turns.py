"""Messages and their answers that were given and wait to be written down: `landing/turns/<session_id>/<turn_id>.json`."""

import shutil
from pathlib import Path

from assets_config.contract.durable import write_once


class Turns:
    """The turns of one data root. Ids are 32 hex digits, which the contract checks."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "landing" / "turns"

    def keep(self, session_id: str, turn_id: str, content: bytes) -> bytes:
        """Keep the bytes of a turn, whole or not at all; gives those that are kept: the first ones, where it was answered twice."""
        return write_once(self._path(session_id, turn_id), content)

    def read(self, session_id: str, turn_id: str) -> bytes | None:
        """The bytes of a turn; None where there are none."""
        try:
            return self._path(session_id, turn_id).read_bytes()
        except FileNotFoundError:
            return None

    def newest(self, session_id: str) -> bytes | None:
        """The bytes of the turn that was kept last; None before the first."""
        kept = [(path.stat().st_mtime_ns, path) for path in (self._folder / session_id).glob("[0-9a-f]*.json")]
        return max(kept)[1].read_bytes() if kept else None

    def forget(self, session_id: str) -> None:
        """Delete all turns of a session."""
        shutil.rmtree(self._folder / session_id, ignore_errors=True)

    def _path(self, session_id: str, turn_id: str) -> Path:
        return self._folder / session_id / f"{turn_id}.json"
