"""What does it cost to ask who asks? One line of JSON.

    python benchmarks/access.py

Calls each layer in this process over an application that does nothing, and gives the CPU time that it adds to a request [us]: the
median of several rounds, less that of the application alone. `litestar_rate_limit` is the peer: Litestar's own middleware over
the same application, at its best after few requests of the client and after many.
"""

import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from litestar import Litestar, get
from litestar.middleware.rate_limit import RateLimitConfig

from assets_config.contract.keys import KeyFile
from serving.app import create_app
from serving.layers.access import Access
from serving.layers.browsers import Browsers
from serving.layers.buckets import Buckets
from serving.layers.edge import Edge
from serving.layers.keyring import Keyring
from serving.layers.limits import Limits
from serving.layers.rules import Rules
from serving.settings import Settings

ROUNDS, REQUESTS = 15, 4_000
PATH = "/api/v1/dimensions/stores"


async def nothing(_scope: dict, _receive: Callable, send: Callable) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def receive() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


async def drop(_: dict) -> None:
    pass


def scope_of(headers: list[tuple[bytes, bytes]]) -> dict:
    usual = [(b"host", b"127.0.0.1:8123"), (b"user-agent", b"x/1"), (b"accept", b"application/json"), (b"accept-encoding", b"gzip")]
    fixed = {"type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": ""}
    return {
        **fixed,
        "headers": usual + headers,
        "client": ("127.0.0.1", 5000),
        "server": None,
        "http_version": "1.1",
        "scheme": "http",
    }


async def cost(app: Callable, scope: dict, requests: int = REQUESTS) -> float:
    """CPU time a request [us], the median of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(requests):
            await app({**scope, "state": {}}, receive, drop)
        rounds.append((time.process_time() - began) / requests * 1e6)
    return median(rounds)


def each(function: Callable[[], object], number: int = 100_000) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(number // ROUNDS):
            function()
        rounds.append((time.process_time() - began) / (number // ROUNDS) * 1e6)
    return round(median(rounds), 2)


async def peer(after: int) -> float:
    """Litestar with its rate limit, less Litestar without, once the client has made `after` requests within the window."""

    @get(PATH)
    async def handler() -> None:
        return None

    bare = Litestar([handler], openapi_config=None)
    limit = RateLimitConfig(rate_limit=("hour", 10_000_000)).middleware
    limited = Litestar([handler], middleware=[limit], openapi_config=None)
    scope = scope_of([])
    for _ in range(after):
        await limited({**scope, "state": {}}, receive, drop)
    return round(await cost(limited, scope, 50) - await cost(bare, scope, 50), 1)


async def measure(root: Path) -> dict[str, object]:
    secret, _ = KeyFile(root).add(role="reader", name="bench", now=datetime.now(UTC))
    settings = Settings(data=root, read_rate=1e9, cors_origins=("https://dash.example",))
    app = create_app(settings)
    rules = Rules(app)
    keyed, plain = scope_of([(b"x-api-key", secret.encode())]), scope_of([])
    crossing = scope_of([(b"x-api-key", secret.encode()), (b"origin", b"https://dash.example")])
    base = await cost(nothing, plain)
    access, limits = Access(nothing, rules, settings), Limits(nothing, rules, settings)
    layers = {
        "access_without_key": await cost(access, plain) - base,
        "access_with_key": await cost(access, keyed) - base,
        "limits": await cost(limits, plain) - base,
        "edge": await cost(Edge(nothing), plain) - base,
        "edge_with_cors": await cost(Edge(nothing, browsers=Browsers(origins=settings.cors_origins)), crossing) - base,
        "all_with_key": await cost(Edge(Access(limits, rules, settings)), keyed) - base,
    }
    buckets, keyring, client = Buckets(1e9, 1e9), Keyring(root), iter(range(10**9))
    pieces = {
        "bucket": each(lambda: buckets.take("a", time.monotonic())),
        "bucket_of_a_new_client": each(lambda: buckets.take(str(next(client)), time.monotonic())),
        "find_key": each(lambda: keyring.find(secret.encode())),
        "rule": each(lambda: rules.of(plain)),
    }
    return {
        "benchmark": "access",
        "added_us": {name: round(value, 1) for name, value in layers.items()},
        "pieces_us": pieces,
        "litestar_rate_limit_us": {f"after_{count}_requests": await peer(count) for count in (0, 2_000)},
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        said = asyncio.run(measure(Path(root)))
    packages = {name: version(name) for name in ("litestar", "msgspec")}
    print(json.dumps({**said, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


if __name__ == "__main__":
    main()
