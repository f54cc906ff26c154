"""The keys that count, in memory: those of the environment, and those of the file, which is looked at for every key."""

import hmac
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from assets_config.contract.durable import stamp_of
from assets_config.contract.keys import Key, KeyFile, KeysError, digest, key_of

log = logging.getLogger("serving.keyring")

LONGEST = 200  # bytes of a key; a longer one is none of ours, and is not hashed
NOBODY = "0" * 64


class Keyring:
    """Finds a key by its hash.

    The hash is looked up in a dict and then compared in constant time. How long the look-up takes could at most tell about
    the hash of a guess; from that nobody comes closer to a key, since SHA-256 of a close guess is not close.
    """

    def __init__(self, root: Path, entries: Sequence[str] = ()) -> None:
        self._file = KeyFile(root)
        self._fixed = {key.sha256: key for key in map(key_of, entries)}
        self._keys = self._fixed
        self._seen: tuple[int, ...] | None = None

    def find(self, secret: bytes) -> Key | None:
        """The key that a secret is, revoked or expired ones too; None for any other."""
        if len(secret) > LONGEST:
            return None
        self._refresh()
        asked = digest(secret)
        found = self._keys.get(asked)
        is_known = hmac.compare_digest(asked, found.sha256 if found else NOBODY)
        return found if is_known else None

    def holds(self, key: Key) -> bool:
        """Whether a key that was found before can still be used: for what stays connected."""
        self._refresh()
        known = self._keys.get(key.sha256)
        return known is not None and known.state(datetime.now(UTC)) == "active"

    def _refresh(self) -> None:
        """Read the file again where it changed. One that cannot be read has no key: nobody is let in by mistake."""
        seen = stamp_of(self._file.path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = {**{key.sha256: key for key in self._file.read()}, **self._fixed}
        except KeysError as error:
            log.error("%s Until then no key of the file counts.", error)
            self._keys = self._fixed
