"""What is happening, told as it happens: one answer that goes on for as long as the client listens (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Response
from litestar.types import Receive, Scope, Send
from msgspec import Meta

from serving.orchestrator.events import Event
from serving.orchestrator.feeds import Feeds, Reader
from serving.settings import Settings

MEDIA_TYPE = "text/event-stream"
MOST_TOPICS = 20
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
RETRY = 2000  # milliseconds after which a client connects again
TOPIC = "(system|alerts|(job|workflow|session):[0-9a-f]{32})"
PLACE = rf"{TOPIC}:\d{{1,15}}"
PLACES = rf"^{PLACE}(,{PLACE}){{0,19}}$"
Topics = Annotated[
    list[Annotated[str, Meta(pattern=f"^{TOPIC}$")]],
    QueryParameter(
        name="topic",
        min_items=1,
        max_items=MOST_TOPICS,
        description="What to follow: job:{job_id}, all that one job does; workflow:{workflow_id}, a season plan; "
        "session:{session_id}, a conversation; alerts; or system, each snapshot that is published. Repeat it.",
    ),
]
Places = Annotated[
    str | None,
    QueryParameter(
        pattern=PLACES,
        description="Where to go on: the id of the last event that came, which names a place in each topic. "
        "Left out: all of a job, a workflow or a session from its beginning, and of alerts and system what is yet to come.",
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", pattern=PLACES, description="The same; a browser sends it when it connects again."),
]
STREAMED = ResponseSpec(
    Event, media_type=MEDIA_TYPE, generate_examples=False, description="Each event as one message, its data in JSON."
)

OVER = ResponseSpec(None, description="Every job and workflow that was asked for has ended, and all of their events are known.")


@get("/events", operation_id="list_events", tags=["jobs"], responses={200: STREAMED, 204: OVER})
async def list_events(state: State, topics: Topics, after: Places = None, last_event_id: LastEventId = None) -> Response[None]:
    """Follow jobs, season plans, alerts and publishes as they happen, as server-sent events.

    The answer goes on, with a comment as heartbeat while nothing happens, and ends once all that it follows has ended.
    Who was cut off goes on without a gap by Last-Event-ID; 204: nothing follows any more. GET /jobs/{job_id}/events has the same of
    a job in pages.
    """
    feeds: Feeds = state.feeds
    places = _places(last_event_id or after)
    async with feeds.reading() as reader:  # its places are taken here, so that a problem can still be answered as one
        for topic in dict.fromkeys(topics):
            feed = await feeds.get(topic, places.get(topic))
            reader.join(feed, places.get(feed.source.topic))
        if reader.is_over:
            return Response(None, status_code=204)
        places = dict(reader.places)
    return EventStream(feeds, places, state.settings)


class EventStream(Response[None]):
    """An answer that goes on; whoever takes nothing for too long is cut off."""

    def __init__(self, feeds: Feeds, places: Mapping[str, int], settings: Settings) -> None:
        super().__init__(None, media_type=MEDIA_TYPE)
        self._feeds, self._places, self._settings = feeds, places, settings

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """This itself: an ASGI application for one request."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves, nothing can follow, the key holds no more, or the server stops."""
        tasks = [asyncio.ensure_future(self._send(scope, send)), asyncio.ensure_future(_left(receive))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):  # a slow reader: the answer stays without its end, which tells the client that it was cut
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, scope: Scope, send: Send) -> None:
        async with self._feeds.reading() as reader:
            for topic, place in self._places.items():
                reader.join(await self._feeds.get(topic, place), place)
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            async for piece in self._pieces(scope, reader):
                async with asyncio.timeout(self._settings.stream_send_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self, scope: Scope, reader: Reader) -> AsyncIterator[bytes]:
        yield b"retry: %d\nid: %b\n\n" % (RETRY, _named(reader.places))
        while not self._feeds.is_stopping:
            messages = b"".join(_messages(reader))
            if messages:
                yield messages
            elif reader.is_over or not scope["state"]["still_holds"]():
                return
            elif not await reader.wait(self._settings.stream_heartbeat_seconds):
                yield b": heartbeat\n\n"


async def _left(receive: Receive) -> None:
    """Until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _messages(reader: Reader) -> Iterator[bytes]:
    """What is new, each with the places of all topics as its id, so that a client that comes back names them all at once."""
    places = dict(reader.places)
    for event in reader.news():
        places[event.topic] = event.seq
        yield b"id: %b\nevent: %b\ndata: %b\n\n" % (_named(places), event.type.encode(), msgspec.json.encode(event))


def _named(places: Mapping[str, int]) -> bytes:
    return ",".join(f"{topic}:{place}" for topic, place in places.items()).encode()


def _places(said: str | None) -> dict[str, int]:
    """The place in each topic that the id of an event names."""
    named = (each.rpartition(":") for each in said.split(",")) if said else ()
    return {topic: int(place) for topic, _, place in named}
