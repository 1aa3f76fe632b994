"""The page for browsers, as files: the folder `page` is built from `web/`."""

from __future__ import annotations

import hashlib
from importlib.resources import files as resources
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response

from kimi_vl.server.endpoint import WholeFile
from kimi_vl.server.errors import ApiError

PAGE = Path(str(resources("kimi_vl.server"))) / "page"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".json": "application/json; charset=utf-8",
    ".ico": "image/x-icon",
}


def add_page(app: FastAPI) -> None:
    """The files of the page, listed once: nothing that a client writes becomes a path."""
    known = {str(path.relative_to(PAGE)): path for path in PAGE.rglob("*") if path.is_file()}
    tags = {name: f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}"' for name, path in known.items()}

    def answer(name: str, request: Request) -> Response:
        path = known.get(name)
        if path is None or path.suffix not in TYPES:
            raise ApiError(404, "route_not_found", "there is no such route")
        headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache", "ETag": tags[name]}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return WholeFile(path, media_type=TYPES[path.suffix], headers=headers)

    async def index(request: Request) -> Response:
        return answer("index.html", request)

    async def asset(request: Request) -> Response:
        return answer(f"assets/{request.path_params['name']}", request)

    app.add_api_route("/", index, include_in_schema=False)
    app.add_api_route("/assets/{name:path}", asset, include_in_schema=False)
