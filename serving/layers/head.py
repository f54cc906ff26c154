"""HEAD: answered as GET is, without the body."""

from typing import Any

from litestar.types import Message, Receive, Send


class Headless:
    """Lets the head of an answer through, ends it there, and tells the application that nobody listens any more."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._is_over = False

    async def receive(self) -> Any:
        return {"type": "http.disconnect"} if self._is_over else await self._receive()

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        await self._send(message)
        if message["type"] == "http.response.start":
            self._is_over = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
