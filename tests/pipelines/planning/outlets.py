"""Real servers that notifications are sent to, which fail as they are told."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP


class Hook:
    """What a webhook was sent, and what it answers: statuses in turn, the last one for good; `slow` and `drip` seconds before."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses = [200]
        self.slow = self.drip = 0.0
        self.seen: list[tuple[dict[str, str], bytes]] = []

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        self.seen.append((headers, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def http_server() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = hook.answer(dict(self.headers), body)
            time.sleep(hook.slow)
            try:
                if hook.drip:
                    for letter in b"HTTP/1.1 200 OK and much more to say":
                        self.wfile.write(bytes([letter]))
                        time.sleep(hook.drip)
                self.send_response(status)
                self.send_header("Location", hook.url)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # whoever asked hung up

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hook.url = f"http://127.0.0.1:{server.server_address[1]}/hook?a=1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


class Post:
    """What a mail server took, and what it answers to a recipient and to a letter; the last answer for good."""

    def __init__(self) -> None:
        self.url = ""
        self.recipient = ["250 OK"]
        self.data = ["250 OK"]
        self.slow = 0.0
        self.letters: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        said = _next(self.recipient)
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.slow)
        said = _next(self.data)
        if said.startswith("250"):
            self.letters.append(message_from_bytes(envelope.content))
        return said


def _next(answers: list[str]) -> str:
    return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def smtp_server() -> Iterator[Post]:
    post, ready, loop = Post(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> Any:
        server = await loop.create_server(lambda: SMTP(post, hostname="localhost", loop=loop), "127.0.0.1", 0)
        post.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        return server

    def run() -> None:
        server = loop.run_until_complete(serve())
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(60)
    try:
        yield post
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
