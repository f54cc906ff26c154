"""What a route asks of a request: the role of its key, and how it is bounded. Each handler declares it in its `opt`.

role            "open", "reader", "operator" or "admin"; without it a read asks for reader and a write for operator
is_probe        True: asked by what watches the server, and so not counted against any rate
reads_body      True: the handler bounds its body by itself
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.types import Scope
from litestar.utils import normalize_path

from assets_config.contract.names import Role

OPEN, OPERATOR, ADMIN = ({"role": role} for role in ("open", "operator", "admin"))
PROBE = {**OPEN, "is_probe": True}
SAFE = ("GET", "HEAD", "OPTIONS")
RANK: dict[Role | None, int] = {None: 0, "reader": 1, "operator": 2, "admin": 3}
"""Each role may do what those of a lower rank may; None is nobody in particular."""


class Rule(NamedTuple):
    """What one method of one route asks for."""

    needs: Role | None  # None: open to all
    is_write: bool
    is_probe: bool = False
    reads_body: bool = False


class Rules:
    """The rules of an application. Its own router finds the route, so that no path means one thing here and another there."""

    def __init__(self, app: Litestar) -> None:
        self._find = app.asgi_router.handle_routing
        self._of = lru_cache(maxsize=4096)(self._found)

    def of(self, scope: Scope) -> Rule:
        return self._of(scope["path"], scope.get("root_path", ""), scope.get("method"))

    def _found(self, path: str, root: str, method: Any) -> Rule:
        if root:  # as Litestar takes it off
            path = path.split(root, maxsplit=1)[-1]
        asked = method or "GET"  # a websocket has none, and is read
        try:
            return rule(self._find(path=normalize_path(path), method=method)[1].opt, asked)
        except HTTPException:  # there is nothing: who may not read or write learns no more than that
            return rule({}, asked)


def rule(opt: dict[str, Any], method: str) -> Rule:
    """The rule of a handler with these options."""
    is_safe = method in SAFE
    role: Role | Literal["open"] = opt.get("role") or ("reader" if is_safe else "operator")
    needs = None if role == "open" else role
    is_write = not is_safe and RANK[needs] >= RANK["operator"]
    return Rule(needs, is_write, bool(opt.get("is_probe")), bool(opt.get("reads_body")))
