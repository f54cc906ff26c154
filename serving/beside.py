"""What is done beside the requests, for as long as the application runs."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")
GOING_ON: set[asyncio.Task[Any]] = set()
"""What nobody may wait for any more: the loop alone would let it be collected."""


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have this done while the block runs. At the end of the block it is cancelled, where it has not ended."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What this gives. It goes on where whoever waits for it is cancelled: it may have started a job."""
    task = asyncio.create_task(work)
    GOING_ON.add(task)
    task.add_done_callback(GOING_ON.discard)
    return await asyncio.shield(task)
