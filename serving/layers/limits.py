"""How large a body may be, how slowly it may come in, and how long an answer may take, for every route, as plain ASGI."""

import asyncio

from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send, WebSocketReceiveMessage

from serving.beside import to_its_end
from serving.layers.kinds import HTTP
from serving.layers.rules import Rules
from serving.problems import PayloadTooLarge, Problem, SlowBody, TimedOut, refuse
from serving.settings import Settings

MIB = 1 << 20


class Limits:
    """Ends what takes too long.

    A read is given up. A write is answered, but goes on: a job that is being started would else be half-started, and the
    Idempotency-Key could not tell that it was.
    """

    def __init__(self, app: ASGIApp, rules: Rules, settings: Settings) -> None:
        self.app = app
        self._rules = rules
        self._most = settings.max_body_kb << 10
        self.hold_by(settings)

    def hold_by(self, settings: Settings) -> None:
        """Have these times hold from now on."""
        self._body_seconds = settings.body_seconds
        self._seconds = settings.request_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP:
            await self.app(scope, receive, send)
            return
        rule = self._rules.of(scope)
        most = None if rule.reads_body else self._most
        problem = None if most is None else _announced(scope, most)
        call = _Call(receive, send, most, self._body_seconds)
        try:
            async with asyncio.timeout(self._seconds) as call.clock:
                if problem is None and rule.is_write:
                    await to_its_end(_run(self.app, scope, call))
                elif problem is None:
                    await self.app(scope, call.receive, call.send)
        except TimeoutError:
            if call.is_begun or not call.clock.expired():
                raise
            call.is_over = True
            problem = timed_out(self._seconds, is_write=rule.is_write)
        if problem is not None:
            await refuse(send, problem, str(scope["state"].get("request_id", "")))


_DETAILS = {
    False: "The answer took longer than {:g} s and was given up. Ask for less at once, or raise DEMANDGRAPH_REQUEST_SECONDS.",
    True: "This took longer than {:g} s and goes on. See /api/v1/jobs, or send it again with the same Idempotency-Key.",
}


def timed_out(seconds: float, *, is_write: bool) -> TimedOut:
    """What who waited for that long is told."""
    return TimedOut(_DETAILS[is_write].format(seconds), headers={"Retry-After": "5"})


async def _run(app: ASGIApp, scope: Scope, call: "_Call") -> None:
    await app(scope, call.receive, call.send)


class _Call:
    """One request: its body is counted and timed as it comes in, and what is sent after the end is dropped."""

    clock: asyncio.Timeout

    def __init__(self, receive: Receive, send: Send, most: int | None, body_seconds: float) -> None:
        self._receive, self._send = receive, send
        self._most, self._body_seconds = most, body_seconds
        self._size, self._waited = 0, 0.0
        self._has_all = False
        self.is_begun = self.is_over = False

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        if self._has_all or self.is_begun:
            return await self._receive()  # which waits for the client to hang up
        loop = asyncio.get_running_loop()
        began, ends = loop.time(), self.clock.when()
        self._move(None)
        left = self._body_seconds * (1 + self._size / MIB) - self._waited
        try:
            async with asyncio.timeout(max(left, 0)):
                message = await self._receive()
        except TimeoutError as error:
            raise SlowBody(f"{self._size:,} bytes of the body came in, and then no more in time. Send it again.") from error
        finally:
            waited = loop.time() - began
            self._waited += waited
            self._move(None if ends is None else ends + waited)
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._has_all = not message.get("more_body", False)
            if self._most is not None and self._size > self._most:
                raise _too_large(f"more than {self._most:,} bytes", self._most)
        return message

    async def send(self, message: Message) -> None:
        if self.is_over:
            return
        if not self.is_begun:
            self.is_begun = True
            self._move(None)  # an answer that has begun may stream as long as it likes
        await self._send(message)

    def _move(self, when: float | None) -> None:
        try:
            self.clock.reschedule(when)
        except RuntimeError:  # it has expired already: a write that goes on
            return


def _announced(scope: HTTPScope, most: int) -> Problem | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > most):
            return _too_large(f"{value[:18].decode()} bytes", most)
    return None


def _too_large(size: str, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body has {size}; at most {most:,} are accepted here (DEMANDGRAPH_MAX_BODY_KB).")
