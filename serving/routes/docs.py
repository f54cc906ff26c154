"""How is all this used? The API's own description, and a page that shows it with no network."""

from typing import Any

import swagger_ui_bundle
from litestar import MediaType, Request, get

from serving.openapi import described

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


@get("/docs", media_type=MediaType.HTML, include_in_schema=False)
async def show_docs() -> str:
    """Swagger UI over /openapi.json."""
    return PAGE


@get("/openapi.json", include_in_schema=False)
async def get_openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    if "openapi" not in request.app.state:
        request.app.state.openapi = described(request.app)
    document: dict[str, Any] = request.app.state.openapi
    return document
