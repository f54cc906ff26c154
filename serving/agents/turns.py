"""One message to an agent: understood, answered by calls, and put into words."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from litestar.types import ASGIApp

from assets_config.contract.sessions import AgentType, ToolCall, Turn
from serving.agents.ask import Ask, Before, Call, Tell, World, parts_of
from serving.agents.calls import Given, call
from serving.agents.guarded import refusal
from serving.agents.names import Names
from serving.agents.router import route
from serving.agents.says import refused, said
from serving.agents.tools import GUARDED, JOBS, TOOLS, tools_of
from serving.problems import Problem, TimedOut
from serving.settings import Settings
from serving.snapshot import Snapshot

LONGEST_RESULT = 4000  # bytes of what a call gave that are kept
CUTS = (20, 10, 5, 2, 1, 0)  # entries of each list that stay, the first that is short enough


async def world_of(lease: Snapshot) -> World:
    """What messages are understood by."""
    types = await lease.rows("registry", "model_type", "true ORDER BY position")
    aliases = await lease.rows("state", "model_alias")
    manifest = lease.manifest
    return World(
        Names.of(lease),
        manifest.first_day,
        manifest.as_of,
        tuple(each["model_type"] for each in types),
        tuple(each["name"] for each in aliases),
    )


class Answering:
    """The calls of one message, within the limits of the settings."""

    def __init__(self, app: ASGIApp, lease: Snapshot, settings: Settings, who: Mapping[str, Any], turn_id: str) -> None:
        self.calls: list[ToolCall] = []
        self._app, self._lease, self._settings, self._turn_id = app, lease, settings, turn_id
        self._who = {name: who.get(name) for name in ("key", "role", "request_id", "still_holds")}
        self._ends = time.monotonic() + settings.agent_seconds

    async def answer(self, session_id: str, agent_type: AgentType, message: str, before: Before) -> Turn:
        """The whole turn."""
        world, lines, lists_tools, is_short = await world_of(self._lease), list[str](), False, False
        most = self._settings.agent_tool_calls
        parts = parts_of(message) or [message]
        for n, part in enumerate(parts):
            if n >= most or len(self.calls) >= most:
                is_short = True
                break
            found = route(Ask(part, world, before), only_documents=agent_type == "rag_assistant")
            if isinstance(found, Tell):
                lines.append(found.text)
                lists_tools = lists_tools or found.lists_tools
                continue
            is_short = len(found) > most - len(self.calls)
            for each in found[: most - len(self.calls)]:
                made = await self._make(each)
                lines += [*each.notes, *made]
                last = self.calls[-1]
                before = Before(each.tool, each.arguments, last.job_id or before.job_id)
        if is_short:
            lines.append(f"One message makes {most} calls at most (DEMANDGRAPH_AGENT_TOOL_CALLS): ask again what is not answered.")
        if lists_tools:
            lines += _tools(agent_type)
        return Turn(
            session_id=session_id,
            turn_id=self._turn_id,
            at=datetime.now(UTC),
            message=message,
            reply="\n".join(lines),
            calls=self.calls,
            approval_minutes=self._settings.agent_approval_minutes,
        )

    async def _make(self, wanted: Call) -> list[str]:
        """Make one call; gives what is said of it."""
        began, name = time.perf_counter(), f"{self._turn_id[:8]}-{len(self.calls) + 1}"
        asked = TOOLS[wanted.tool].asked(wanted.arguments, self._lease.id)
        waits = wanted.tool in self._settings.agent_approvals
        problem = await refusal(self._lease, wanted.tool, wanted.arguments) if wanted.tool in GUARDED else None
        approval_id = uuid4().hex if waits and problem is None else None
        given = Given(202, None)
        if problem is not None:
            given = _problem(problem)
        elif not waits:
            given = await self._given(wanted, asked, name)
        body = given.body if isinstance(given.body, dict) else {}
        job_id = body.get("job_id") if given.status == 202 else None
        request = str(asked) if approval_id is None else f"POST /api/v1/approvals/{approval_id}/decision"
        self.calls.append(
            ToolCall(
                tool_call_id=name,
                tool_name=wanted.tool,
                arguments=wanted.arguments,
                request=request,
                status=_status(given, job_id, approval_id),
                result=cut(given.body),
                duration_ms=round((time.perf_counter() - began) * 1000, 3),
                job_id=job_id,
                approval_id=approval_id,
            )
        )
        source = f"[{name}] {request}"
        if approval_id is not None:
            told = ", ".join(f"{key} {each}" for key, each in wanted.arguments.items())
            minutes = self._settings.agent_approval_minutes
            return [
                f"{wanted.tool} ({told}) waits for approval {approval_id}, for {minutes} minutes; nothing is changed before.",
                source,
            ]
        if not given.is_good:
            return [refused(given.body), source]
        return [*said(wanted.tool, wanted.arguments, body), source]

    async def _given(self, wanted: Call, asked: Any, name: str) -> Given:
        is_job, left = wanted.tool in JOBS or wanted.tool in GUARDED, max(self._ends - time.monotonic(), 0)
        key = f"{self._turn_id}-{name}" if is_job else None
        try:
            async with asyncio.timeout(None if is_job and left else left):  # what launches is not given up midway
                return await call(self._app, asked, self._who, key=key, tries=self._settings.agent_tries)
        except TimeoutError:
            return _problem(TimedOut(f"{wanted.tool} took longer than a message may (DEMANDGRAPH_AGENT_SECONDS)."))


def cut(body: Any) -> Any:
    """What a call gave, short enough to keep: of long lists the first entries, and `cut_to` says how many.

    What is too long without any has `cut_to` 0 alone. A list comes as `items`.
    """
    if len(msgspec.json.encode(body)) <= LONGEST_RESULT:
        return body
    for most in CUTS:
        kept = _shorter(body, most)
        shorter = {"cut_to": most, **(kept if isinstance(kept, dict) else {"items": kept})}
        if len(msgspec.json.encode(shorter)) <= LONGEST_RESULT:
            return shorter
    return {"cut_to": 0}


def _shorter(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {name: _shorter(each, most) for name, each in list(value.items())[:60]}
    if isinstance(value, list):
        return [_shorter(each, most) for each in value[:most]]
    return f"{value[:200]}..." if isinstance(value, str) and len(value) > 200 else value


def _problem(problem: Problem) -> Given:
    return Given(problem.status, msgspec.to_builtins(problem.body("")))


def _status(given: Given, job_id: str | None, approval_id: str | None) -> Any:
    if approval_id is not None:
        return "awaiting_approval"
    if given.is_good:
        return "answered" if job_id is None else "started"
    return "failed" if given.is_passing else "refused"


def _tools(agent_type: AgentType) -> list[str]:
    return ["Ask for example:", *(f"- {each.says} ({each.name})" for each in tools_of(agent_type))]
