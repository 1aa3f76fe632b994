"""How a route is added, and what the document of all routes (`/openapi.json`) says of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic.json_schema import models_json_schema

from kimi_vl.server.endpoint import JSON, Answered, Endpoint
from kimi_vl.server.service import Service
from kimi_vl.server.strict import Strict

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "maxLength": 512},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}

Route = Callable[[Request], Awaitable[Response]]


def as_json(data: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """An answer; bytes are JSON already."""
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Response(body, status, headers, media_type=JSON)


class Routes:
    """Adds routes to an application. `error` is the schema of their errors; `what` is one sentence."""

    def __init__(self, app: FastAPI, error: str = "Error") -> None:
        self._app, self._error = app, error

    def get(self, path: str, route: Route, what: str, query: Mapping[str, Any] | None = None) -> None:
        """`query` are the schemas of what may stand behind the question mark."""
        self._add("GET", path, route, what, query=query)

    def delete(self, path: str, route: Route, what: str) -> None:
        self._add("DELETE", path, route, what)

    def post(self, path: str, route: Route, what: str, body: type[Strict] | None = None, form: Mapping[str, Any] | None = None) -> None:
        """`body` is what is read of JSON, `form` the schema of a multipart form."""
        content: dict[str, Any] = {}
        if body is not None:
            content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
            self._app.state.bodies = [*getattr(self._app.state, "bodies", []), body]
        if form is not None:
            content["multipart/form-data"] = {"schema": form}
        self._add("POST", path, route, what, content)

    def answers(self, path: str, what: str, service: Service, endpoint: Endpoint) -> None:
        """A route that answers."""

        async def answered(_: Request) -> Response:
            return Answered(service, endpoint)

        self.post(path, answered, what, endpoint.request)

    def _add(
        self,
        method: str,
        path: str,
        route: Route,
        what: str,
        content: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> None:
        shape = {"$ref": f"#/components/schemas/{self._error}"}
        error = {"description": "An error", "content": {"application/json": {"schema": shape}}}
        extra: dict[str, Any] = {"responses": {"default": error}}
        named = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in re.findall(r"{(\w+)", path)
        ]
        named += [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in (query or {}).items()]
        if named:
            extra["parameters"] = named
        if content:
            extra["requestBody"] = {"required": True, "content": content}
        name = path.strip("/").replace("/", "_") or "page"
        self._app.add_api_route(
            path,
            route,
            methods=[method],
            summary=what,
            operation_id=f"{method.lower()}_{name}",
            openapi_extra=extra,
            response_class=Response,
        )


def document(app: FastAPI, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """FastAPI's, with the bodies that our own reader checks, and other `schemas`, those of errors."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        known = made.setdefault("components", {}).setdefault("schemas", {})
        known |= schemas
        # Together, so that two models of one name are told apart.
        _, bodies = models_json_schema([(body, "validation") for body in app.state.bodies], ref_template="#/components/schemas/{model}")
        known |= bodies["$defs"]
        app.openapi_schema = made
    return app.openapi_schema
