"""Topics that clients follow: however many read one, a process asks Dagster for it once.

A feed holds what was told of its topic. It is asked for news while somebody reads; the last few that nobody reads are held too, so
that a client which comes back finds what it missed without Dagster being asked for all of it again.
"""

import asyncio
import re
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol
from uuid import UUID

from serving.beside import beside
from serving.orchestrator.dagster import Dagster
from serving.orchestrator.events import SYSTEM, Event, JobLog, PublishLog
from serving.orchestrator.histories import ALERTS, SESSION, WORKFLOW, AlertLog, SessionLog, WorkflowLog
from serving.problems import Gone, NotFound, OrchestratorUnavailable, RateLimited, invalid
from serving.settings import Settings

EVERY = 0.5  # seconds between two questions for the news of one topic
PATIENCE = 2.0  # the same while Dagster is away
MOST_EVENTS = 20_000  # of one topic that are held
MOST_TOPICS = 200  # that are read at once in one process
IDLE_TOPICS = 32  # that are held while nobody reads them
AT_ONCE = 200  # events that a reader is given at once
JOB = "job:"
TOPICS = "job:{job_id}, workflow:{workflow_id}, session:{session_id}, alerts and system"


class Source(Protocol):
    """Where the events of one topic come from."""

    topic: str
    seq: int  # place up to which it was read
    first: int  # place before the first event that it tells
    has_more: bool  # whether some follow already
    is_over: bool  # whether none can follow
    is_story: bool  # whether who names no place wants all of it, rather than what is yet to come

    async def read(self) -> list[Event]:
        """Events after those that were read before, in order."""


class Feed:
    """One topic in this process."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.events: list[Event] = []
        self.first = 0  # place before the first event that is held
        self.readers: set[Reader] = set()
        self._asked = -EVERY
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.source.is_over

    async def refresh(self) -> None:
        """Read what is new, unless that was just done or nothing can follow. Raises NotFound, OrchestratorUnavailable."""
        async with self._lock:
            if self.is_over or time.monotonic() - self._asked < EVERY:
                return
            self._hold(await self.source.read())
            while self.source.has_more:
                self._hold(await self.source.read())
            self._asked = time.monotonic()

    async def reach(self, place: int) -> None:
        """Have what follows a place where the source can still tell it. Raises OrchestratorUnavailable."""
        async with self._lock:
            if isinstance(self.source, PublishLog) and 0 < place < self.first == self.source.first:
                self.events = await self.source.read_back(place) + self.events
                self.first = self.source.first

    def _hold(self, found: list[Event]) -> None:
        self.events += found
        self.first = max(self.first, self.source.first)
        if len(self.events) > MOST_EVENTS:
            self.first = self.events[-MOST_EVENTS - 1].seq
            del self.events[:-MOST_EVENTS]
        if found or self.is_over:
            for reader in self.readers:
                reader.woken.set()

    def after(self, seq: int, limit: int = AT_ONCE) -> list[Event]:
        """The first events after a place, 0 is before all that are held. Raises Gone where some are held no more."""
        if 0 < seq < self.first:
            raise Gone(f"The events of {self.source.topic} up to {self.first} are told no more: read on after {self.first}.")
        first = bisect_right(self.events, seq, key=lambda each: each.seq)
        return self.events[first : first + limit]

    def follow(self) -> None:
        """Ask for news again and again, for as long as somebody reads."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while self.readers and not self.is_over:
            try:
                await self.refresh()
                await asyncio.sleep(EVERY)
            except (NotFound, OrchestratorUnavailable):  # heartbeats go on, and so do the events once Dagster is back
                await asyncio.sleep(PATIENCE)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


class Reader:
    """One client, and its place in each topic that it reads."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.places: dict[str, int] = {}
        self._feeds: dict[str, Feed] = {}

    @property
    def is_over(self) -> bool:
        """Whether it has all of its topics, and nothing can follow in any."""
        return all(feed.is_over and not feed.after(self.places[topic], 1) for topic, feed in self._feeds.items())

    def join(self, feed: Feed, after: int | None) -> None:
        """Read a topic from a place on; None is from its beginning, or from now. Raises Gone."""
        if after is None:
            after = 0 if feed.source.is_story else feed.source.seq
        feed.after(after, 0)
        topic = feed.source.topic
        self._feeds[topic], self.places[topic] = feed, after
        feed.readers.add(self)
        feed.follow()
        self.woken.set()

    def leave(self, topic: str) -> None:
        feed = self._feeds.pop(topic, None)
        if feed is not None:
            del self.places[topic]
            feed.readers.discard(self)

    def news(self) -> list[Event]:
        """What follows in its topics, each in order; it is at their place then. Raises Gone for one who is far behind."""
        found: list[Event] = []
        for topic, feed in self._feeds.items():
            events = feed.after(self.places[topic])
            if events:
                self.places[topic] = events[-1].seq
                found += events
        return found

    async def wait(self, seconds: float) -> bool:
        """Until something may be new; False where nothing was for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True


class Feeds:
    """Every topic that somebody in this process reads, or read last."""

    def __init__(self, dagster: Dagster, *, most_readers: int, is_stopping: Callable[[], bool]) -> None:
        self._dagster = dagster
        self._feeds: dict[str, Feed] = {}
        self._most_readers = most_readers
        self._readers: set[Reader] = set()
        self._is_stopping = is_stopping
        self.is_stopping = False

    def hold_by(self, settings: Settings) -> None:
        """Have this many readers from now on; those that are there stay."""
        self._most_readers = settings.stream_readers

    async def get(self, topic: str, after: int | None = None) -> Feed:
        """A topic with what is new in it, and what follows a place.

        Raises Validation for one of another kind, NotFound for one that there is not, RateLimited where too many are read.
        """
        source = self._source(topic)
        feed = self._feeds.get(source.topic) or Feed(source)
        if not feed.readers and sum(bool(each.readers) for each in self._feeds.values()) >= MOST_TOPICS:
            raise RateLimited(f"{MOST_TOPICS} topics are read here already.", headers={"Retry-After": "5"})
        self._feeds[source.topic] = feed  # before the question, so that others wait for the same one
        try:
            await feed.refresh()
            await feed.reach(after or 0)
        except (NotFound, OrchestratorUnavailable):
            if not feed.readers:
                self._feeds.pop(source.topic, None)
            raise
        self._feeds[source.topic] = self._feeds.pop(source.topic, feed)  # the last is the one that was asked for last
        idle = [name for name, each in self._feeds.items() if not each.readers]
        for name in idle[:-IDLE_TOPICS]:
            del self._feeds[name]
        return self._feeds[source.topic]

    def _source(self, topic: str) -> Source:
        if topic == SYSTEM:
            return PublishLog(self._dagster)
        if topic == ALERTS:
            return AlertLog(self._dagster)
        if topic.startswith(WORKFLOW):
            plan_id = topic.removeprefix(WORKFLOW)
            if not re.fullmatch("[0-9a-f]{32}", plan_id):
                raise NotFound(f"No season plan has the id '{plan_id[:100]}'; /api/v1/workflows lists them.")
            return WorkflowLog(self._dagster, plan_id)
        if topic.startswith(SESSION):
            session_id = topic.removeprefix(SESSION)
            if not re.fullmatch("[0-9a-f]{32}", session_id):
                raise NotFound(f"No session has the id '{session_id[:100]}'; POST /api/v1/agents/sessions opens one.")
            return SessionLog(self._dagster, session_id)
        if not topic.startswith(JOB):
            raise invalid("topic", topic[:100], f"use {TOPICS}", code="unknown_topic")
        try:
            return JobLog(self._dagster, str(UUID(topic.removeprefix(JOB))))
        except ValueError as error:
            raise NotFound(f"No job has the id '{topic.removeprefix(JOB)[:100]}'; /api/v1/jobs lists them.") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """A new reader, for as long as it is connected. Raises RateLimited where there are too many."""
        if len(self._readers) >= self._most_readers:
            said = f"{self._most_readers} clients read events here already (DEMANDGRAPH_STREAM_READERS)."
            raise RateLimited(said, headers={"Retry-After": "5"})
        reader = Reader()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            for topic in list(reader.places):
                reader.leave(topic)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the application runs, look whether the server is asked to stop: readers are told then, and let go."""

        async def look() -> None:
            while not self.is_stopping:
                await asyncio.sleep(EVERY)
                self.is_stopping = self._is_stopping()
            for reader in self._readers:
                reader.woken.set()

        try:
            async with beside(look()):
                yield
        finally:
            for feed in self._feeds.values():
                await feed.close()
