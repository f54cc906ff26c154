"""Questions to Dagster over GraphQL: fixed documents, bound variables, one problem where it does not answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from serving.layers.reads import outside
from serving.problems import OrchestratorUnavailable

LOCATION = "demandgraph"
Hook = Callable[[httpx.Request], Awaitable[None]]


class Dagster:
    """One Dagster instance."""

    def __init__(self, url: str, *, on_request: Sequence[Hook] = ()) -> None:
        """`on_request` sees what is sent before it goes."""
        self._client = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=20, event_hooks={"request": list(on_request)})

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The data of an answer. Raises OrchestratorUnavailable."""
        outside()
        try:
            answer = await self._client.post("/graphql", json={"query": query, "variables": dict(variables or {})})
            data = answer.json()["data"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise OrchestratorUnavailable(
                "Dagster does not answer. `demandgraph up` starts it; nothing was done.", headers={"Retry-After": "5"}
            ) from error
        if data is None:
            raise OrchestratorUnavailable("Dagster refused the question; nothing was done.", headers={"Retry-After": "5"})
        return data


def time_of(seconds: float | None) -> datetime | None:
    """A time as Dagster counts it, in seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
