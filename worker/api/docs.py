"""`/docs`: the description of the API for people, whole without any other site.

Swagger UI lies beside this file (`swagger_ui/VENDORED.md`); a strict policy keeps the page from
loading anything that is not ours.
"""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

docs = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "swagger_ui"

ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "start.js")

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Swagger UI's style sheet holds its arrows as data
        "connect-src 'self'",  # the description, and what is tried out
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

# Addresses are relative, so that a proxy may serve all of it below a prefix
_PAGE = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>期达 Qida API</title>
<link rel="icon" type="image/svg+xml" href="favicon.svg">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>请启用 JavaScript，或直接阅读 <a href="openapi.json">openapi.json</a>
· Enable JavaScript, or read <a href="openapi.json">openapi.json</a> itself</noscript>
</body>
</html>
"""


@docs.get("/docs")
def page() -> HTMLResponse:
    """The page; it needs no key, and holds none."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@docs.get("/docs/{name}")
def asset(name: str) -> FileResponse:
    """What the page is made of, and no other file."""
    if name not in ASSETS:
        raise HTTPException(404)
    return FileResponse(_FOLDER / name, headers=_KEPT)


@docs.get("/favicon.svg")
@docs.get("/favicon.ico")
def favicon() -> FileResponse:
    """The icon in the tab; browsers ask for the second address by themselves."""
    return FileResponse(_FOLDER / "favicon.svg", headers=_KEPT)


_KEPT = {"Cache-Control": "public, max-age=3600"}
