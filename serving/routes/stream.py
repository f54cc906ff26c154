"""What is happening, over a websocket: the same events as `/events`, with topics that may change while it is open.

Frames in are JSON objects: {"subscribe": [topics], "after": seq}, {"unsubscribe": [topics]}, {"ping": anything}; members that are
not known are left alone. Frames out are events, and between them {type, data, ts} with type subscribed, pong, heartbeat or error.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import WebSocket, websocket
from litestar.datastructures import State
from litestar.params import FromPath
from msgspec import Meta, Struct

from serving.layers.access import SUBPROTOCOL
from serving.layers.edge import POLICY_VIOLATION
from serving.orchestrator.feeds import Feeds, Reader
from serving.problems import Gone, OrchestratorUnavailable, Problem, Validation, invalid
from serving.settings import Settings

log = logging.getLogger("serving.stream")

MOST_TOPICS = 20
LARGEST_FRAME = 4096  # letters
MOST_ANSWERS = 100  # that wait for a client which asks and does not read
NORMAL, TOO_BIG, RESTART, TRY_LATER = 1000, 1009, 1012, 1013
SLOW, NO_SESSION = 4408, 4410
CLOSING = 5.0  # seconds that the last frame may take
WHY = {
    NORMAL: "bye",
    POLICY_VIOLATION: "the key can be used no more, or too much was asked",
    TOO_BIG: f"a frame may have {LARGEST_FRAME} letters",
    RESTART: "the server stops; come back with after",
    TRY_LATER: "too many clients follow events here; come back later",
    SLOW: "too slow; come back with after",
    NO_SESSION: "the session has ended or never was; open another one",
}


class Frame(Struct, frozen=True):
    """What a client asks."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []
    after: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    ping: Any = None


class Said(Struct, frozen=True):
    """What is sent beside events."""

    type: str
    data: dict[str, Any]
    ts: datetime


@websocket("/stream")
async def stream(socket: WebSocket[Any, Any, Any], state: State) -> None:
    """Follow any topics over a websocket; `?topic=` subscribes at once, from `?after=` on."""
    await converse(socket, state, socket.query_params.getall("topic", []))


@websocket("/workflows/{workflow_id:str}/stream")
async def stream_workflow(socket: WebSocket[Any, Any, Any], state: State, workflow_id: FromPath[str]) -> None:
    """Follow one season plan: as `/stream?topic=workflow:{workflow_id}`."""
    await converse(socket, state, [f"workflow:{workflow_id}"])


@websocket("/demo/stream")
async def stream_demo(socket: WebSocket[Any, Any, Any], state: State) -> None:
    """Follow the newest job `demo`: as `/stream?topic=job:{job_id}`."""
    try:
        newest = next((each for each in await state.jobs.newest() if each.job_type == "demo"), None)
    except OrchestratorUnavailable:  # told by frames, as for every topic
        newest = None
    await converse(socket, state, [f"job:{newest.job_id}"] if newest else [])


async def converse(
    socket: WebSocket[Any, Any, Any], state: State, topics: list[str], kind: "type[Conversation] | None" = None
) -> None:
    """Accept a websocket and hold it to its end, with these topics subscribed."""
    feeds: Feeds = state.feeds
    asked = {"subscribe": topics, "after": socket.query_params.get("after")}
    await socket.accept(subprotocols=SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    try:
        async with feeds.reading() as reader:
            code = await (kind or Conversation)(socket, feeds, reader, state).hold(asked)
    except Problem:
        code = TRY_LATER
    except TimeoutError:
        code = SLOW
    with suppress(Exception):  # the client may be gone
        async with asyncio.timeout(CLOSING):
            await socket.close(code, WHY[code])


class Conversation:
    """One websocket, from its first frame to the code that it is closed with."""

    def __init__(self, socket: WebSocket[Any, Any, Any], feeds: Feeds, reader: Reader, state: State) -> None:
        self._socket, self._feeds, self._reader, self._state = socket, feeds, reader, state
        self._settings: Settings = state.settings
        self._answers: deque[Said] = deque()
        self._code: int | None = None
        self._last: int | None = None  # the code to close with once all answers are sent

    async def hold(self, asked: dict[str, Any]) -> int:
        """Listen and tell until one side ends it. Raises TimeoutError where the client takes nothing for too long."""
        if asked["subscribe"]:
            await self._answer(msgspec.json.encode(asked))
        listening = asyncio.create_task(self._listen())
        listening.add_done_callback(lambda _: self._end(NORMAL if self._code is None else self._code))
        try:
            return await self._tell()
        finally:
            listening.cancel()
            [ended] = await asyncio.gather(listening, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("a websocket stopped listening: %s", self._socket.url.path, exc_info=ended)

    async def _tell(self) -> int:
        still_holds = self._socket.scope["state"]["still_holds"]
        while self._code is None:
            if self._last is not None and not self._answers:
                return self._last
            if self._feeds.is_stopping:
                return RESTART
            if not still_holds():
                return POLICY_VIOLATION
            waiting = [self._answers.popleft() for _ in range(len(self._answers))]
            try:
                news = self._reader.news()
            except Gone:
                return SLOW
            for frame in (*waiting, *news):
                async with asyncio.timeout(self._settings.stream_send_seconds):
                    await self._socket.send_text(msgspec.json.encode(frame).decode())
            if not waiting and not news and not await self._reader.wait(self._settings.stream_heartbeat_seconds):
                self._say("heartbeat")
        return self._code

    async def _listen(self) -> None:
        while self._code is None:
            message: Any = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._end(NORMAL)
                return
            text = message.get("text") or message.get("bytes") or ""
            if len(text) > LARGEST_FRAME:
                self._end(TOO_BIG)
            elif len(self._answers) >= MOST_ANSWERS:
                self._end(POLICY_VIOLATION)
            else:
                await self._answer(text)

    def _end(self, code: int) -> None:
        self._code = code
        self._reader.woken.set()

    def _end_after_all(self, code: int) -> None:
        """End it once what was said is sent."""
        self._last = code
        self._reader.woken.set()

    def _say(self, kind: str, **data: Any) -> None:
        self._answers.append(Said(kind, data, datetime.now(UTC)))
        self._reader.woken.set()

    async def _answer(self, text: str | bytes) -> None:
        """Do what a frame asks; what is wrong with it is said, and the socket stays open."""
        try:
            frame = msgspec.json.decode(text, type=Frame, strict=False)
            if not (frame.subscribe or frame.unsubscribe or frame.ping is not None):
                raise invalid("subscribe", None, 'send {"subscribe": [topics]}, {"unsubscribe": [topics]} or {"ping": 1}')
            for topic in frame.unsubscribe:
                self._reader.leave(topic)
            for topic in dict.fromkeys(frame.subscribe):
                await self._subscribe(topic, frame.after)
            if frame.ping is not None:
                self._say("pong", ping=frame.ping)
        except msgspec.DecodeError as error:
            self._refuse(Validation(str(error)))
        except Problem as problem:
            self._refuse(problem)

    async def _subscribe(self, topic: str, after: int | None) -> None:
        if len(self._reader.places) >= MOST_TOPICS:
            raise invalid("subscribe", topic[:100], f"one client follows {MOST_TOPICS} topics at most")
        feed = await self._feeds.get(topic, after)
        self._reader.join(feed, after)
        self._say("subscribed", topic=feed.source.topic, seq=self._reader.places[feed.source.topic])

    def _refuse(self, problem: Problem) -> None:
        said = problem.body(str(self._socket.scope["state"].get("request_id", "")))
        self._say("error", code=said.code, detail=said.detail)
