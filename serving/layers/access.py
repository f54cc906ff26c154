"""Who asks, whether they may, and whether they ask too much: before anything is served, as plain ASGI.

Leaves in scope["state"] the name of the key as `key` and the role as `role`, each None where there is none.
"""

import math
import time
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import IPv6Address
from typing import Any

from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send

from assets_config.contract.keys import Key
from assets_config.contract.names import Role
from serving.layers.buckets import Buckets
from serving.layers.edge import POLICY_VIOLATION
from serving.layers.keyring import Keyring
from serving.layers.kinds import HTTP, SOCKET
from serving.layers.rules import RANK, Rule, Rules
from serving.layers.shared_buckets import SharedBuckets
from serving.problems import Forbidden, Problem, RateLimited, Unauthorized, refuse
from serving.settings import Settings, shared_counts

FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="demandgraph"'}
REFUSED = {"WWW-Authenticate": 'Bearer realm="demandgraph", error="invalid_token"'}
SUBPROTOCOL = "demandgraph"
KEY_IN_SUBPROTOCOL = b"key."
WRITE = Rule("operator", is_write=True)
HOW = "Send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`; `demandgraph keys new` makes one."


class Access:
    """Lets through what its rule allows, and answers 401, 403 or 429 to the rest."""

    def __init__(self, app: ASGIApp, rules: Rules, settings: Settings) -> None:
        self.app = app
        self._rules = rules
        self._keyring = Keyring(settings.data, settings.api_keys)
        self._reader_open = settings.reader_open
        self._is_on_loopback = settings.is_on_loopback
        folder = shared_counts() if settings.workers > 1 else None
        self._reads, self._writes = (
            Buckets(0, 1) if folder is None else SharedBuckets(folder / f"{what}.buckets", 0, 1) for what in ("reads", "writes")
        )
        self.hold_by(settings)

    def hold_by(self, settings: Settings) -> None:
        """Have these rates hold from now on."""
        for buckets, rate in ((self._reads, settings.read_rate), (self._writes, settings.write_rate)):
            buckets.hold_by(rate, max(rate * settings.rate_burst_seconds, 1))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if "headers" not in scope:  # the server starts or ends
            return self.app(scope, receive, send)
        problem = self.admit(scope)
        if problem is None:
            return self.app(scope, receive, send)
        if scope["type"] == HTTP:
            return refuse(send, problem, str(scope["state"].get("request_id", "")))
        return send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": problem.detail[:120]})

    def admit(self, scope: Scope) -> Problem | None:
        """Why a request may not go on; None where it may. Who asks is left in its state."""
        rule = self._rules.of(scope)
        key, wrong, is_forwarded = self._identify(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""  # type: ignore[index]
        role: Role | None = key.role if key else None
        if role is None and not _is_page(scope) and self._is_open(peer, is_forwarded=is_forwarded):
            role = "reader"
        state: dict[str, Any] = scope.setdefault("state", {})
        state["key"], state["role"] = key.name if key else None, role
        state["still_holds"] = partial(self._keyring.holds, key) if key else _always
        client = f"key {key.id}" if key else _network(peer)
        if scope["type"] == SOCKET:
            state["admit_write"] = partial(self._too_often, WRITE, client)  # it is read once and may then write
        often = None if rule.is_probe else self._too_often(rule, client)
        if often is not None:
            return often
        if rule.needs is None:
            return None
        if wrong:
            return Unauthorized(f"{wrong} {HOW}", headers=REFUSED)
        if RANK[role] >= RANK[rule.needs]:
            return None
        if key is None:
            return Unauthorized(f"This needs a key with the role {rule.needs}, and none was sent. {HOW}", headers=CHALLENGE)
        return Forbidden(_too_low(rule.needs, role, state["key"]))

    def _too_often(self, rule: Rule, client: str) -> RateLimited | None:
        wait = (self._writes if rule.is_write else self._reads).take(client, time.monotonic())
        if not wait:
            return None
        seconds, what = math.ceil(wait), "writes" if rule.is_write else "reads"
        return RateLimited(f"Too many {what}: come back in {seconds} s.", headers={"Retry-After": str(seconds)})

    def _identify(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Key | None, str, bool]:
        """The key that is sent, what is wrong with it (empty: nothing), and whether a proxy sent the request on."""
        secrets: list[bytes] = []
        is_forwarded = False
        for name, value in headers:
            if name == b"x-api-key":
                secrets.append(value.strip())
            elif name == b"authorization":
                scheme, _, secret = value.strip().partition(b" ")
                secrets.append(secret.strip() if scheme.lower() == b"bearer" else b"")
            elif name == b"sec-websocket-protocol":  # a page in a browser can set no other header of a websocket
                offered = (each.strip() for each in value.split(b","))
                secrets += [each.removeprefix(KEY_IN_SUBPROTOCOL) for each in offered if each.startswith(KEY_IN_SUBPROTOCOL)]
            elif name in FORWARDED:
                is_forwarded = True
        if not secrets:
            return None, "", is_forwarded
        if len(secrets) > 1:
            return None, "More than one key was sent.", is_forwarded
        key = self._keyring.find(secrets[0]) if secrets[0] else None
        if key is None:
            return None, "The key that was sent is not known." if secrets[0] else "The header holds no key.", is_forwarded
        state = key.state(datetime.now(UTC))
        return (key, "", is_forwarded) if state == "active" else (None, f"The key {key.name} is {state}.", is_forwarded)

    def _is_open(self, peer: str, *, is_forwarded: bool) -> bool:
        """Whether someone without a key may read."""
        if self._reader_open == "loopback":
            return self._is_on_loopback and not is_forwarded and _is_here(peer)
        return self._reader_open == "always"


def require(request: Request[Any, Any, Any], role: Role, what: str) -> None:
    """Raises Forbidden, unless the request has the role: for what depends on more than the route."""
    state = request.scope["state"]
    had: Role | None = state.get("role")
    if RANK[had] < RANK[role]:
        raise Forbidden(f"{what}: {_too_low(role, had, state.get('key'))}")


def _always() -> bool:
    """Whether who sent no key may still read."""
    return True


def _too_low(needed: Role, had: Role | None, key: str | None) -> str:
    return f"the role {needed} is needed, and the key {key} has {had or 'none'}."


def _is_page(scope: Scope) -> bool:
    """Whether a page in a browser opens a websocket, which CORS does not keep other origins from: it needs a key."""
    return scope["type"] == SOCKET and any(name == b"origin" for name, _ in scope["headers"])


@lru_cache(maxsize=1024)
def _is_here(peer: str) -> bool:
    """Whether a peer is this machine.

    One without an address came in process, or over a Unix socket, whose file's mode says who may.
    """
    peer = peer.removeprefix("::ffff:")
    return peer.startswith("127.") or peer == "::1" or not ("." in peer or ":" in peer)


@lru_cache(maxsize=1024)
def _network(peer: str) -> str:
    """What counts as one client: an IPv4 address, or the half of an IPv6 address that a network is given."""
    peer = peer.removeprefix("::ffff:")
    return str(int(IPv6Address(peer)) >> 64) if ":" in peer else peer
