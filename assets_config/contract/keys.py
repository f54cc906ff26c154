"""API keys at rest: who may do what, kept as hashes in one file under the data root.

A key is `dg_` and 32 random bytes. Its SHA-256 is kept: slow hashes such as bcrypt protect words that people choose, which
can be guessed; 256 random bits cannot, and a slow hash of them would only let anyone keep the server busy.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from assets_config.contract.durable import locked, replacing
from assets_config.contract.names import Role

PREFIX = "dg_"  # so that scanners of leaked secrets, and people, know one when they see it
HASHED = "sha256:"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ENTRY = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}:(reader|operator|admin):(sha256:[0-9a-f]{64}|(?!sha256:)[!-+\--~]{24,200})$"
"""One key of the environment: name:role:key, with the key itself, at least 24 characters, or `sha256:` and its hash."""

KeyState = Literal["active", "expired", "revoked"]


class KeysError(ValueError):
    """Why a key cannot be made, revoked or read, with what would work."""


class Key(Struct, frozen=True):
    """What is kept of a key."""

    id: str
    name: str
    role: Role
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.expires_at is None or now < self.expires_at else "expired"


class KeyFile:
    """The keys of one data root. Every change replaces the file in one step, under a lock; only its owner can read it."""

    def __init__(self, root: Path) -> None:
        self.path = root / "keys.json"
        self._lock = root / "keys.lock"

    def read(self) -> list[Key]:
        """All keys, revoked ones too, oldest first. Raises KeysError, when the file cannot be read as keys."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Key])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            raise KeysError(f"{self.path} cannot be read: {error}. Mend it, or delete it and make new keys.") from error

    def add(self, *, role: Role, now: datetime, name: str | None = None, days: int | None = None) -> tuple[str, Key]:
        """A new key, which is nowhere but in what this gives, and what is kept of it.

        Raises KeysError, when the name is taken by a key that can be used, or is no name.
        """
        secret = PREFIX + secrets.token_urlsafe(32)
        made = Key(secrets.token_hex(4), "", role, digest(secret.encode()), now, now + timedelta(days=days) if days else None)
        made = replace(made, name=name or f"{role}-{made.id}")
        if not NAME.fullmatch(made.name):
            raise KeysError(f"'{made.name}' is no name: use letters, digits, '.', '_' and '-', at most 60.")
        with locked(self._lock):
            known = self.read()
            if any(each.name == made.name and each.state(now) == "active" for each in known):
                raise KeysError(f"There is a key called {made.name}: take another name, or revoke that one first.")
            self._write([*known, made])
        return secret, made

    def revoke(self, which: str, now: datetime) -> Key:
        """Let a key, named by its name or id, count no more. Raises KeysError where none of that name can be used."""
        with locked(self._lock):
            known = self.read()
            found = next((each for each in known if which in (each.name, each.id) and each.revoked_at is None), None)
            if found is None:
                raise KeysError(f"No key that counts is called {which}; `demandgraph keys list` lists them.")
            revoked = replace(found, revoked_at=now)
            self._write([revoked if each is found else each for each in known])
        return revoked

    def _write(self, keys: Sequence[Key]) -> None:
        with replacing(self.path) as beside:
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")


def digest(secret: bytes) -> str:
    """What is kept of a key: 64 hexadecimal digits."""
    return hashlib.sha256(secret).hexdigest()


def hashed(entry: str) -> str:
    """An entry of the environment with the hash in place of the key.

    >>> hashed("till:operator:0123456789abcdefghijklmn").split(":")[:3]
    ['till', 'operator', 'sha256']
    """
    name, role, secret = entry.split(":", 2)
    return entry if secret.startswith(HASHED) else f"{name}:{role}:{HASHED}{digest(secret.encode())}"


def key_of(entry: str) -> Key:
    """The key that an entry of the environment, of the form ENTRY, speaks of."""
    name, role, secret = hashed(entry).split(":", 2)
    sha256 = secret.removeprefix(HASHED)
    return Key(sha256[:8], name, msgspec.convert(role, Role), sha256, datetime.fromtimestamp(0, UTC))
