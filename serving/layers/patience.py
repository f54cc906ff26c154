"""How long is waited for something that has to wait."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


async def to_the_end(coroutine: Coroutine[Any, Any, Any], waits_for: Any, *, seconds: float) -> Any:
    """What a coroutine gives that was stepped until it `waits_for` something. Raises TimeoutError, when that took too long."""
    async with asyncio.timeout(seconds):
        return await _Rest(coroutine, waits_for)


class _Rest:
    """What is left of a coroutine that was stepped until it had to wait."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        while True:
            try:
                said = yield waits_for
            except BaseException as error:  # noqa: BLE001 - such as being cancelled: the coroutine has to know
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, said)
            try:
                waits_for = step()
            except StopIteration as ended:
                return ended.value
