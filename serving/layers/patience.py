"""How long is waited for something that seldom has to wait at all."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, TypeVar, cast

Given = TypeVar("Given")


async def within(seconds: float, coroutine: Coroutine[Any, Any, Given]) -> Given:
    """What a coroutine gives. Raises TimeoutError, when it has been waited for that long.

    The clock is started when it first waits: most reads never do, and a clock costs as much as a look-up.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as ended:
        return cast(Given, ended.value)
    async with asyncio.timeout(seconds):
        return cast(Given, await _Rest(coroutine, waits_for))


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
