"""Answers of one turn of the event loop are sent in the next, all together (docs/adr/0028)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serving.app import create_asgi
from tests.serving.conftest import settings_of
from tests.serving.layers.test_cache import cache_of

QUESTIONS = [f"start_date=2024-12-01&end_date=2024-12-{day}" for day in range(10, 20)]


@pytest.mark.parametrize("is_kept", [False, True], ids=["computed", "kept"])
def test_none_is_sent_before_all_of_its_turn_are_there(root: Path, *, is_kept: bool) -> None:
    app = create_asgi(settings_of(root))
    cache = cache_of(app)
    answered: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            answered.append(cache.hits + cache.misses)

    async def ask(query: str) -> None:
        path = "/api/v1/analytics/kpis"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode()}
        sent_by = {"headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1)}
        await app({**scope, **sent_by, "root_path": "", "scheme": "http", "http_version": "1.1"}, receive, send)

    async def ask_all() -> None:
        await ask("start_date=2024-12-01&end_date=2024-12-02")  # opens the snapshot, which is waited for
        for _ in range(1 + is_kept):
            answered.clear()
            await asyncio.gather(*map(ask, QUESTIONS))

    asyncio.run(ask_all())

    assert answered == [1 + len(QUESTIONS) * (1 + is_kept)] * len(QUESTIONS)
