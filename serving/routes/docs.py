"""How is all this used? The API's own description, and a page that shows it with no network."""

import base64
import hashlib
import re
from typing import Any

import swagger_ui_bundle
from litestar import Litestar, MediaType, Request, get

from serving.document.openapi import described
from serving.document.schemes import with_security
from serving.layers.rules import OPEN, rule
from serving.problems import NotFound

ASSETS = str(swagger_ui_bundle.swagger_ui_path)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Demandgraph API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true})</script>
</body>
</html>
"""

_INLINE = re.findall("<script>(.*?)</script>", PAGE)
_HASHES = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in _INLINE)
POLICIES = {
    "/docs": (
        f"default-src 'none'; script-src 'self' {_HASHES}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ).encode()
}
"""What the page may load and run: what is served from here, and its one inline script. Swagger UI sets styles by itself."""


@get("/docs", media_type=MediaType.HTML, include_in_schema=False, opt=OPEN)
async def show_docs() -> str:
    """Swagger UI over /openapi.json."""
    return PAGE


@get("/openapi.json", include_in_schema=False, opt=OPEN)
async def get_openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    if "openapi" not in request.app.state:
        request.app.state.openapi = with_rules(request.app)
    document: dict[str, Any] = request.app.state.openapi
    return document


def is_elsewhere(*_: Any) -> None:
    """The guard of Litestar's own pages of the description, which cannot be left out: theirs lacks what `described` adds."""
    raise NotFound("There is no such page; the description is at /openapi.json, and /docs shows it.")


def with_rules(app: Litestar) -> dict[str, Any]:
    """The description, with what the rules of each operation ask for."""
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    rules = {each.operation_id: rule(each.opt, min(each.http_methods)) for each in handlers if isinstance(each.operation_id, str)}
    reader_open = app.state.settings.reader_open != "never"
    return with_security(described(app), rules, reader_open=reader_open)
