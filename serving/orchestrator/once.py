"""Idempotency keys: one file a key, created in one step, so that of all workers one launches and the others find its run."""

import asyncio
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from assets_config.contract.durable import locked
from serving.problems import Conflict, OrchestratorUnavailable

Launch = Callable[[], Awaitable[str]]
Find = Callable[[], Awaitable[str | None]]
KEEP = 24 * 3600
PATIENCE = 30.0  # seconds that one waits for another worker to launch
SETTLED = 10.0  # age from which a claim whose process is gone has no request under way any more
FORGOTTEN = 60.0  # age from which a claim without a run counts as left behind, whichever machine its process was on


class Claim(Struct, frozen=True):
    """What is known of a key: the body that it came with, who launches for it, and the run once there is one."""

    body: str
    run: str | None = None
    host: str = ""
    pid: int = 0
    token: str = ""  # tells two claims of one process apart

    @classmethod
    def mine(cls, body: str, run: str | None = None) -> "Claim":
        """A claim of this process."""
        return cls(body, run, socket.gethostname(), os.getpid(), secrets.token_hex(8))


class Once:
    """The keys of one data root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_known(self, key: str, body: str) -> bool:
        """Whether this key came with this body in the last 24 hours."""
        known = self._read(key)
        return known is not None and known.body == body

    def refuse_other(self, key: str, body: str) -> None:
        """Raises Conflict, when the key came with another body in the last 24 hours."""
        known = self._read(key)
        if known is not None and known.body != body:
            raise Conflict(f"The Idempotency-Key '{key}' was used for another body in the last 24 hours.")

    async def run(self, key: str, body: str, launch: Launch, launched: Find) -> str:
        """The run of a key: the one that it has, or that `launch` gives.

        Takes    `launched`: finds the run that a worker launched for this key and died before it could say so.
        Raises   Conflict as `refuse_other`; what `launch` raises, and the key is free again; OrchestratorUnavailable, when
                 another worker does not come to an end with launching.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._claim(key, body):
                return await self._launch(key, body, launch)
            self.refuse_other(key, body)
            known = self._read(key)
            if known is not None and known.run is not None:
                return known.run
            if known is not None and self._is_left_behind(key, known):
                taken = await self._take_over(key, body, known, launch, launched)
                if taken is not None:
                    return taken
            await asyncio.sleep(0.1)
        raise OrchestratorUnavailable("A request with this key is being launched; try again.", headers={"Retry-After": "5"})

    async def _launch(self, key: str, body: str, launch: Launch) -> str:
        try:
            run = await launch()
        except BaseException:
            self._path(key).unlink(missing_ok=True)
            raise
        self._write(key, Claim.mine(body, run))
        return run

    async def _take_over(self, key: str, body: str, left: Claim, launch: Launch, launched: Find) -> str | None:
        """The run of a key that its worker left behind; None where another one was quicker to take it over."""
        run = await launched()
        with locked(self._folder / ".lock"):
            if self._read(key) != left:
                return None
            self._write(key, Claim.mine(body, run))
        return run if run is not None else await self._launch(key, body, launch)

    def _is_left_behind(self, key: str, known: Claim) -> bool:
        age = self._age(key)
        if known.host != socket.gethostname():
            return age > FORGOTTEN
        return age > FORGOTTEN or (age > SETTLED and not Path(f"/proc/{known.pid}").exists())

    def _claim(self, key: str, body: str) -> bool:
        """Take a key, unless it is taken and not yet 24 hours old."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._age(key) > KEEP:
            path.unlink(missing_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp")
        beside.write_bytes(msgspec.json.encode(Claim.mine(body)))
        try:
            os.link(beside, path)  # whole or absent, and fails where it is there: no reader sees half of it
        except FileExistsError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        return True

    def _age(self, key: str) -> float:
        try:
            return time.time() - self._path(key).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _read(self, key: str) -> Claim | None:
        try:
            known = msgspec.json.decode(self._path(key).read_bytes(), type=Claim)
        except (FileNotFoundError, ValueError):  # a torn file: no JSON, or none of a claim
            return None
        return None if self._age(key) > KEEP else known

    def _write(self, key: str, claim: Claim) -> None:
        path = self._path(key)
        beside = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp")
        beside.write_bytes(msgspec.json.encode(claim))
        beside.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()
