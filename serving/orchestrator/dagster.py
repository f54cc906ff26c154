"""Questions to Dagster over GraphQL: fixed documents, bound variables, one problem where it does not answer."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any

import httpx
import msgspec

from serving.layers.reads import outside
from serving.problems import OrchestratorUnavailable

LOCATION = "demandgraph"
FRAGMENT = """
fragment Values on MetadataEntry { label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue }
  ... on FloatMetadataEntry { floatValue } ... on BoolMetadataEntry { boolValue } ... on JsonMetadataEntry { jsonString } }"""
"""What is asked of an entry of metadata, as `...Values`; `values_of` reads it."""
VALUES = ("text", "intValue", "floatValue", "boolValue", "jsonString")
Hook = Callable[[httpx.Request], Awaitable[None]]


class Dagster:
    """One Dagster instance."""

    def __init__(self, url: str, *, on_request: Sequence[Hook] = ()) -> None:
        """`on_request` sees what is sent before it goes."""
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"), timeout=20, verify=verify(url), event_hooks={"request": list(on_request)}
        )

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


def verify(url: str) -> bool | SSLContext:
    """How a client checks the certificate of a URL: reading those of the system takes 30 ms, and most URLs have none to check."""
    return url.startswith("https:") or SSLContext(PROTOCOL_TLS_CLIENT)


def time_of(seconds: float | None) -> datetime | None:
    """A time as Dagster counts it, in seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def values_of(entries: Iterable[Mapping[str, Any]], *, longest: int | None = None) -> dict[str, Any]:
    """The metadata of an event by label: text, numbers, claims and JSON. Left out are tables, and what has too many letters."""
    found: dict[str, Any] = {}
    for entry in entries:
        value = next((entry[name] for name in VALUES if entry.get(name) is not None), None)
        if value is not None and (longest is None or len(str(value)) <= longest):
            found[entry["label"]] = msgspec.json.decode(value) if "jsonString" in entry else value
    return found
