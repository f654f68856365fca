"""The API documentation at /docs, with its scripts served by this process instead of a CDN."""

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

STATIC_FOLDER = Path(fastapi_offline.__file__).parent / "static"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sluice query router</title>
<link rel="stylesheet" href="/docs/static/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body>
</html>
"""
START_SCRIPT = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""


def add_api_docs(app: FastAPI) -> None:
    """Add the page, its start script and Swagger UI's files."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start_script() -> Response:
        return Response(START_SCRIPT, media_type="text/javascript")

    app.mount("/docs/static", StaticFiles(directory=STATIC_FOLDER), name="docs")
