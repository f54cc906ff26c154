"""Documents that were posted, kept under the hash of their bytes: `landing/documents/<sha256>`. A job names them by it."""

import hashlib
from pathlib import Path

from assets_config.contract.durable import write_bytes


class Documents:
    """The posted documents of one data root."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "landing" / "documents"

    def keep(self, content: bytes) -> str:
        """Keep a document's bytes, whole or not at all; gives their SHA-256. The same bytes are kept once."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / digest
        if not path.exists():
            write_bytes(path, content)
        return digest

    def read(self, digest: str) -> bytes | None:
        """The bytes of that hash; None where they were not kept, or are others by now."""
        try:
            content = (self._folder / digest).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None
