"""Assets of conversations with agents."""

from typing import Any

from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from assets_config.contract.sessions import ChatParams, CloseSessionParams, DecideToolCallParams, OpenSessionParams
from pipelines.commands import commands
from pipelines.report import job_of, now, retried, table_made, upstream
from pipelines.resources import Storage

STATE: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"]}
"""Changed under a lock of its own, beside a run of the graph."""


class SessionConfig(Config):
    """What to do to conversations. Left empty: they stay as they are."""

    open_session: str | None = Field(default=None, description="What is opened, as JSON (contract.sessions.OpenSessionParams).")
    chat: str | None = Field(default=None, description="Which turn to write down, as JSON (ChatParams).")
    close_session: str | None = Field(default=None, description="What is closed, as JSON (CloseSessionParams).")
    decide_tool_call: str | None = Field(default=None, description="What is decided, as JSON (DecideToolCallParams).")


@asset(**STATE, kinds={"polars"}, deps=upstream("forecasts/model_alias", "forecasts/model_run_note"))
def agent_session(context: AssetExecutionContext, config: SessionConfig, storage: Storage) -> MaterializeResult:
    """Conversations with agents; agent_turn and tool_approval are written with it. An approved call names or archives a run."""
    from pipelines.planning.sessions.state import SESSIONS, change_sessions

    warehouse = storage.warehouse()
    said = commands(
        config,
        open_session=OpenSessionParams,
        chat=ChatParams,
        close_session=CloseSessionParams,
        decide_tool_call=DecideToolCallParams,
    )
    told = change_sessions(warehouse, said, at=now(), by=job_of(context), again=retried(context))
    return table_made(warehouse, SESSIONS, told=told)


@asset(**STATE, kinds={"polars"}, deps=[agent_session])
def agent_turn(storage: Storage) -> MaterializeResult:
    """What was said in conversations, and answered with which calls."""
    return table_made(storage.warehouse(), "planning/agent_turn")


@asset(**STATE, kinds={"polars"}, deps=[agent_session])
def tool_approval(storage: Storage) -> MaterializeResult:
    """The calls of agents that wait, or waited, for a person."""
    return table_made(storage.warehouse(), "planning/tool_approval")


ASSETS = [agent_session, agent_turn, tool_approval]
