"""Talk to an agent over a websocket: frames {session_id, message} in, the events of those sessions out.

The reply comes at once, as a frame {type: reply}; the events of its topic follow once a job has written it down.
"""

from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.datastructures import State
from msgspec import Struct

from assets_config.contract.sessions import LONGEST_MESSAGE
from serving.beside import to_its_end
from serving.layers.edge import POLICY_VIOLATION
from serving.layers.rules import RANK
from serving.orchestrator.histories import SESSION
from serving.problems import Forbidden, Gone, NotFound, Problem, invalid
from serving.routes.stream import MOST_TOPICS, NO_SESSION, Conversation, converse
from serving.sessions import Replied, reply

ENDS = {NotFound: "session_not_found", Gone: "session_expired"}
"""Problems after which nothing more can be said, and what they are called in frames."""


class Message(Struct, frozen=True):
    """What a client says."""

    session_id: str | None = None
    message: str | None = None
    ping: Any = None
    subscribe: list[str] = []
    unsubscribe: list[str] = []


@websocket("/agents/stream")
async def stream_agent(socket: WebSocket[Any, Any, Any], state: State) -> None:
    """Say something in any session, as often as you like; what happens in it follows as events."""
    await converse(socket, state, socket.query_params.getall("topic", []), AgentConversation)


class AgentConversation(Conversation):
    """One websocket whose frames are messages to agents."""

    async def _answer(self, text: str | bytes) -> None:
        try:
            frame = msgspec.json.decode(text, type=Message, strict=False)
        except msgspec.DecodeError as error:
            await self._fail(invalid("frame", None, str(error)))
            return
        if frame.ping is not None or frame.subscribe or frame.unsubscribe:
            await super()._answer(text)
            return
        try:
            await self._say_to(frame)
        except Problem as problem:
            await self._fail(problem)

    async def _say_to(self, frame: Message) -> None:
        asker = self._socket.scope["state"]
        if not asker["still_holds"]():
            self._end(POLICY_VIOLATION)
            return
        if not frame.session_id or not frame.message:
            raise invalid("frame", None, 'send {"session_id": "...", "message": "..."}: both are needed')
        if len(frame.message) > LONGEST_MESSAGE:
            raise invalid("message", None, f"may have {LONGEST_MESSAGE} letters")
        if RANK[asker.get("role")] < RANK["operator"]:
            raise Forbidden("To talk to an agent needs a key with the role operator; without one, events can be followed.")
        often = asker["admit_write"]()
        if often is not None:
            raise often
        made = await to_its_end(self._replied(frame.session_id, frame.message))
        turn = made.turn
        said = {"session_id": turn.session_id, "turn_id": turn.turn_id, "message": turn.reply, "job_id": made.job.job_id}
        self._say("reply", **said, tokens_used=0)
        topic = f"{SESSION}{frame.session_id}"
        if topic not in self._reader.places and len(self._reader.places) < MOST_TOPICS:
            feed = await self._feeds.get(topic)
            earlier = [each.seq for each in feed.events if each.ts < turn.at]
            self._reader.join(feed, earlier[-1] if earlier else 0)

    async def _replied(self, session_id: str, message: str) -> Replied:
        lease = await self._state.library.lease()
        try:
            return await reply(self._socket, self._state, lease, session_id, message, key=None)
        finally:
            lease.release()

    async def _fail(self, problem: Problem) -> None:
        """Tell what was wrong; where there is no such session any more, that is the end."""
        kind = ENDS.get(type(problem))
        said = problem.body(str(self._socket.scope["state"].get("request_id", "")))
        told = {"error": said.detail, "error_type": kind or said.code.lower(), "recoverable": kind is None, "code": said.code}
        self._say("error", **told, detail=said.detail)
        if kind is not None:
            self._end_after_all(NO_SESSION)
