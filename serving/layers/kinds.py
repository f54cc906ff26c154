"""The kinds of requests, as names of their own: to look one up in the enumeration takes longer than to compare it."""

from typing import Final

from litestar.enums import ScopeType

HTTP: Final = ScopeType.HTTP
SOCKET: Final = ScopeType.WEBSOCKET
