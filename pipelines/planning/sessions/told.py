"""What those who follow the topic of a session are told: the calls of each answer, the answer in pieces, and its end."""

from collections.abc import Iterator
from typing import Any

import msgspec

from assets_config.contract.sessions import Turn


def event(session_id: str, kind: str, **data: Any) -> dict[str, Any]:
    """One event of a session's topic."""
    return {"session_id": session_id, "type": kind, "data": {"session_id": session_id, **data}}


def of_turn(turn: Turn) -> list[dict[str, Any]]:
    """The events of an answer, in the order in which it came about."""
    return [event(turn.session_id, kind, turn_id=turn.turn_id, **data) for kind, data in _of_turn(turn)]


def _of_turn(turn: Turn) -> Iterator[tuple[str, dict[str, Any]]]:
    for call in turn.calls:
        named = {"tool_name": call.tool_name, "tool_call_id": call.tool_call_id}
        yield "tool_call_start", {**named, "arguments": call.arguments}
        if call.status == "failed":
            problem = call.result if isinstance(call.result, dict) else {}
            said = {"error": problem.get("detail", "it gave no answer"), "error_type": problem.get("code", "UNKNOWN")}
            yield "error", {**said, "recoverable": True}
        ended = {"result": msgspec.to_builtins(call.result), "duration_ms": call.duration_ms, "status": call.status}
        yield "tool_call_end", {**named, **ended}
        if call.approval_id is not None:
            yield "approval_required", {**named, "approval_id": call.approval_id, "arguments": call.arguments}
    for line in turn.reply.splitlines(keepends=True):
        yield "text_delta", {"delta": line}
    yield "complete", {"message": turn.reply, "tokens_used": 0, "tool_calls_count": len(turn.calls)}
