"""The application: which parts it has, and in which order things begin and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from kimi_vl import __version__
from kimi_vl.llm import ChatModel
from kimi_vl.server.anthropic import errors as anthropic_errors
from kimi_vl.server.anthropic.routes import PATH as ANTHROPIC
from kimi_vl.server.anthropic.routes import add_anthropic
from kimi_vl.server.batches.batches import Batches
from kimi_vl.server.batches.routes import add_batches
from kimi_vl.server.errors import ApiError
from kimi_vl.server.health import add_health
from kimi_vl.server.openai.chat import CHAT
from kimi_vl.server.openai.completions import COMPLETIONS
from kimi_vl.server.openai.responses import Responses
from kimi_vl.server.openai.routes import add_openai, add_responses
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.routes import ERROR, document
from kimi_vl.server.service import Service
from kimi_vl.server.tracing import TracedRequests, Tracing
from kimi_vl.server.transport import Border, Shape, Turning
from kimi_vl.server.uploads import add_files
from kimi_vl.server.website import add_page

# FastAPI's own spans would stand beside ours, and its logs would say what was sent.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(model: ChatModel, options: ServerOptions | None = None, tracing: Tracing | None = None) -> FastAPI:
    """The whole server as an ASGI application; `app.state.service` is what its routes share. The model, and what is told of traces, are
    closed with it."""
    options, tracing = options or ServerOptions(), tracing or Tracing()
    service = Service(model, options, tracing)
    responses = Responses(service)
    endpoints = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS, "/v1/responses": responses.endpoint}
    batches = Batches(service, endpoints)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await batches.start()
            yield
        finally:
            await service.admission.drain(0)
            await batches.close()
            await responses.close()
            await model.close()
            service.close()
            await tracing.close()

    app = FastAPI(
        title="kimi-vl",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        swagger_ui_oauth2_redirect_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    shapes: dict[str, Shape] = {ANTHROPIC: anthropic_errors.shaped}
    app.state.turn_away = Turning(service.admission, service.metrics, shapes)
    shared: dict[str, Any] = {"access": service.access, "admission": service.admission, "metrics": service.metrics}
    app.add_middleware(_Bordered, options=options, **shared, shapes=shapes)
    if tracing.is_on:
        app.add_middleware(TracedRequests, tracing=tracing)
    app.add_exception_handler(HTTPException, _no_route)
    add_health(app, service)
    add_openai(app, service)
    add_responses(app, service, responses)
    add_anthropic(app, service)
    add_batches(app, service, batches)
    add_files(app, service)
    add_page(app)
    app.openapi = lambda: document(app, {"Error": ERROR, "AnthropicError": anthropic_errors.SCHEMA})  # type: ignore[method-assign]
    return app


class _Bordered(Border):
    """`Border` in the form in which FastAPI adds what stands around it."""


async def _no_route(request: Request, error: Any) -> Response:
    """What the router says, in our words."""
    if error.status_code == 405:
        raise ApiError(405, "method_not_allowed", "this route does not take that method", headers={"Allow": error.headers.get("Allow", "")})
    raise ApiError(404, "route_not_found", "there is no such route")
