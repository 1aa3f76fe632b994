"""The application: which route does what, and in which order things begin and end."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic.json_schema import models_json_schema
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from kimi_vl import __version__
from kimi_vl.llm import ChatModel
from kimi_vl.server.anthropic import errors as anthropic_errors
from kimi_vl.server.anthropic.messages import MESSAGES, count_tokens
from kimi_vl.server.anthropic.requests import CountRequest
from kimi_vl.server.batches import Batches, BatchRequest
from kimi_vl.server.endpoint import JSON, Answered, Endpoint, Streamed, WholeFile
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.files import PURPOSES, File, check_purpose, storage_error
from kimi_vl.server.openai.chat import CHAT
from kimi_vl.server.openai.completions import COMPLETIONS
from kimi_vl.server.openai.models import model as model_object
from kimi_vl.server.openai.models import models as model_list
from kimi_vl.server.openai.requests import TokenizeRequest
from kimi_vl.server.openai.responses import Responses
from kimi_vl.server.openai.tokenize import count
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.query import FLAG, NUMBER, PAGE_QUERY, choice, flag, number, page
from kimi_vl.server.service import Service
from kimi_vl.server.stream import EventStream
from kimi_vl.server.strict import Strict
from kimi_vl.server.transport import Border, Shape, Turning, body_parts, while_connected

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

ORDERS = ("desc", "asc")
ANTHROPIC = "/v1/messages"

Route = Callable[[Request], Awaitable[Response]]


def create_app(model: ChatModel, options: ServerOptions | None = None) -> FastAPI:
    """The whole server as an ASGI application; `app.state.service` is what its routes share. The model is closed with it."""
    options = options or ServerOptions()
    service = Service(model, options)
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

    app = FastAPI(
        title="kimi-vl",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.service = service
    shapes: dict[str, Shape] = {ANTHROPIC: anthropic_errors.shaped}
    app.state.turn_away = Turning(service.admission, service.metrics, shapes)
    shared: dict[str, Any] = {"access": service.access, "admission": service.admission, "metrics": service.metrics}
    app.add_middleware(_Bordered, options=options, **shared, shapes=shapes)
    app.add_exception_handler(HTTPException, _no_route)
    _add_health(app, service)
    _add_openai(app, service)
    _add_responses(app, service, responses)
    _add_anthropic(app, service)
    _add_batches(app, service, batches)
    _add_files(app, service)
    _add_page(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class _Bordered(Border):
    """`Border` in the form in which FastAPI adds what stands around it."""


async def _no_route(request: Request, error: Any) -> Response:
    """What the router says, in our words."""
    if error.status_code == 405:
        raise ApiError(405, "method_not_allowed", "this route does not take that method", headers={"Allow": error.headers.get("Allow", "")})
    raise ApiError(404, "route_not_found", "there is no such route")


def _json(data: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Response(body, status, headers, media_type=JSON)


# What supervisors ask ------------------------------------------------------------------------------------------------------


def _add_health(app: FastAPI, service: Service) -> None:
    async def live(_: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(_: Request) -> Response:
        if (trouble := service.trouble) is not None:
            raise ApiError(503, trouble, "this server answers no questions now")
        return _json({"status": "ready", "model": service.name})

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    _get(app, "/health", live, "The process is alive.")
    _get(app, "/health/live", live, "The process is alive.")
    _get(app, "/ready", ready, "Questions are answered.")
    _get(app, "/metrics", metrics, "Numbers for Prometheus.")


# OpenAI ----------------------------------------------------------------------------------------------------------------------


def _add_openai(app: FastAPI, service: Service) -> None:
    async def models(_: Request) -> Response:
        return _json(model_list(service))

    async def one_model(request: Request) -> Response:
        service.check_model(request.path_params["model"])
        return _json(model_object(service))

    async def tokenize(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, TokenizeRequest)
        with service.admission.request():
            service.check_model(asked.model)
            tenant = request.scope["tenant"]
            counted = await while_connected(request.receive, service.with_media(lambda: count(service, asked, tenant)))
            return _json(counted, headers)

    _get(app, "/v1/models", models, "The models.")
    _get(app, "/v1/models/{model:path}", one_model, "One model.")
    _post(app, "/v1/tokenize", tokenize, "How many tokens a conversation takes, and what is seen of its media.", TokenizeRequest)
    _answering(app, service, "/v1/chat/completions", "Answer a conversation.", CHAT)
    _answering(app, service, "/v1/completions", "Go on with a text.", COMPLETIONS)


# Responses -------------------------------------------------------------------------------------------------------------------


def _add_responses(app: FastAPI, service: Service, responses: Responses) -> None:
    def named(request: Request) -> tuple[str, str]:
        return request.scope["tenant"], request.path_params["response_id"]

    async def one(request: Request) -> Response:
        if flag(request, "stream"):
            events = await responses.follow(*named(request), number(request, "starting_after", -1, most=1 << 32))
            return Streamed(EventStream(events, service.options))
        return _json((await responses.find(*named(request))).response)

    async def delete(request: Request) -> Response:
        await responses.delete(*named(request))
        return _json({"id": request.path_params["response_id"], "object": "response", "deleted": True})

    async def cancel(request: Request) -> Response:
        return _json((await responses.cancel(*named(request))).response)

    async def items(request: Request) -> Response:
        put_in = (await responses.find(*named(request))).input
        return _json(page(request, put_in if choice(request, "order", ORDERS) == "asc" else put_in[::-1]))

    path = "/v1/responses/{response_id}"
    _answering(app, service, "/v1/responses", "Answer, and keep the answer.", responses.endpoint)
    _get(app, path, one, "One response, or its events once more.", {"stream": FLAG, "starting_after": NUMBER})
    _add(app, path, delete, "DELETE", "Delete a response.", None)
    _add(app, f"{path}/cancel", cancel, "POST", "End a response that is written in the background.", None)
    _get(app, f"{path}/input_items", items, "What was put in.", {**PAGE_QUERY, "order": {"enum": list(ORDERS)}})


# Anthropic -------------------------------------------------------------------------------------------------------------------


def _add_anthropic(app: FastAPI, service: Service) -> None:
    async def counted(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, CountRequest)
        with service.admission.request():
            return _json(await while_connected(request.receive, count_tokens(service, asked, request.scope["tenant"])), headers)

    _answering(app, service, ANTHROPIC, "Answer a conversation, in Anthropic's words.", MESSAGES)
    _post(app, f"{ANTHROPIC}/count_tokens", counted, "How many tokens a prompt has.", CountRequest)


# Batches ---------------------------------------------------------------------------------------------------------------------


def _add_batches(app: FastAPI, service: Service, batches: Batches) -> None:
    async def create(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, BatchRequest)
        return _json(await batches.create(request.scope["tenant"], asked), headers)

    async def listing(request: Request) -> Response:
        return _json(page(request, msgspec.to_builtins(await batches.all(request.scope["tenant"]))))

    async def one(request: Request) -> Response:
        return _json(await batches.find(request.scope["tenant"], request.path_params["batch_id"]))

    async def cancel(request: Request) -> Response:
        return _json(await batches.cancel(request.scope["tenant"], request.path_params["batch_id"]))

    _post(app, "/v1/batches", create, "Answer a file of requests, when there is time.", BatchRequest)
    _get(app, "/v1/batches", listing, "The batches of this key.", PAGE_QUERY)
    _get(app, "/v1/batches/{batch_id}", one, "How far a batch is.")
    _add(app, "/v1/batches/{batch_id}/cancel", cancel, "POST", "End a batch; what is answered is kept.", None)


# Files -----------------------------------------------------------------------------------------------------------------------


def _add_files(app: FastAPI, service: Service) -> None:
    files = service.files

    async def upload(request: Request) -> Response:
        with service.admission.request():
            return _json(await _upload(service, request))

    async def listing(request: Request) -> Response:
        found = await asyncio.to_thread(files.list, request.scope["tenant"])
        ends = {"first_id": found[0].id, "last_id": found[-1].id} if found else {}
        return _json({"object": "list", "data": found, "has_more": False, **ends})

    async def one(request: Request) -> Response:
        return _json(await asyncio.to_thread(files.find, request.scope["tenant"], request.path_params["file_id"]))

    async def delete(request: Request) -> Response:
        file_id = request.path_params["file_id"]
        await asyncio.to_thread(files.delete, request.scope["tenant"], file_id)
        return _json({"id": file_id, "object": "file", "deleted": True})

    async def content(request: Request) -> Response:
        file = await asyncio.to_thread(files.find, request.scope["tenant"], request.path_params["file_id"])
        path = files.path(request.scope["tenant"], file.id)
        headers = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}
        return WholeFile(path, media_type="application/octet-stream", headers=headers)

    _add(app, "/v1/files", upload, "POST", "Upload a file (multipart: file, purpose).", None)
    _get(app, "/v1/files", listing, "The files of this key.")
    _get(app, "/v1/files/{file_id}", one, "One file.")
    _add(app, "/v1/files/{file_id}", delete, "DELETE", "Delete a file.", None)
    _get(app, "/v1/files/{file_id}/content", content, "What is in a file.")


async def _upload(service: Service, request: Request) -> File:
    """Written to disk as it comes. Raises: ApiError."""
    tenant, options = request.scope["tenant"], service.options
    if not (request.headers.get("content-type") or "").lower().startswith("multipart/form-data"):
        raise ApiError(415, "unsupported_content_type", "an upload is multipart/form-data with the fields file and purpose")
    try:
        parts = body_parts(request.receive, options.file_bytes + (1 << 20), options)
        async with aclosing(parts):  # type: ignore[type-var]
            form = await MultiPartParser(request.headers, parts, max_files=1, max_fields=8, max_part_size=4096).parse()  # type: ignore[arg-type]
    except MultiPartException as error:
        raise invalid("invalid_value", f"the upload is no proper multipart form: {error.message}") from None
    except (KeyError, AssertionError, UnicodeError):
        raise invalid("invalid_value", "the upload is no proper multipart form") from None
    except OSError as error:
        raise storage_error(error) from None
    try:
        purpose, sent = form.get("purpose"), form.get("file")
        purpose = check_purpose(purpose if isinstance(purpose, str) else None)
        if sent is None or isinstance(sent, str):
            raise invalid("invalid_value", "file is missing; it must be a file of the form", "file")
        return await asyncio.to_thread(_kept, service, tenant, sent, purpose)
    finally:
        await form.close()


def _kept(service: Service, tenant: str, sent: UploadFile, purpose: str) -> File:
    """Copied from where the form has it. Raises: ApiError."""
    data, path = service.files.begin(tenant)
    try:
        with data:
            sent.file.seek(0)
            shutil.copyfileobj(sent.file, data, 1 << 20)
        return service.files.keep(tenant, path, sent.filename or "file", purpose)
    except OSError as error:
        raise storage_error(error) from None
    finally:
        path.unlink(missing_ok=True)


# The page --------------------------------------------------------------------------------------------------------------------


def _add_page(app: FastAPI) -> None:
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


# Routes, and what is said of them --------------------------------------------------------------------------------------------


def _get(app: FastAPI, path: str, route: Route, what: str, query: Mapping[str, Any] | None = None) -> None:
    _add(app, path, route, "GET", what, None, query)


def _post(app: FastAPI, path: str, route: Route, what: str, body: type[Strict]) -> None:
    _add(app, path, route, "POST", what, body)


def _answering(app: FastAPI, service: Service, path: str, what: str, endpoint: Endpoint) -> None:
    async def answered(_: Request) -> Response:
        return Answered(service, endpoint)

    _post(app, path, answered, what, endpoint.request)


def _add(
    app: FastAPI, path: str, route: Route, method: str, what: str, body: type[Strict] | None, query: Mapping[str, Any] | None = None
) -> None:
    shape = {"$ref": f"#/components/schemas/{'AnthropicError' if path.startswith(ANTHROPIC) else 'Error'}"}
    error = {"description": "An error", "content": {"application/json": {"schema": shape}}}
    extra: dict[str, Any] = {"responses": {"default": error}}
    named = [{"name": n, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for n in re.findall(r"{(\w+)", path)]
    named += [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in (query or {}).items()]
    if named:
        extra["parameters"] = named
    if body is not None:
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        app.state.bodies = [*getattr(app.state, "bodies", []), body]
    if path == "/v1/files" and method == "POST":
        extra["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD}}}
    name = path.strip("/").replace("/", "_") or "page"
    app.add_api_route(
        path, route, methods=[method], summary=what, operation_id=f"{method.lower()}_{name}", openapi_extra=extra, response_class=Response
    )


UPLOAD = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {"file": {"type": "string", "format": "binary"}, "purpose": {"enum": list(PURPOSES)}},
}
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


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the bodies that our own reader checks."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= {"Error": ERROR, "AnthropicError": anthropic_errors.SCHEMA}
        # Together, so that two models of one name are told apart.
        _, bodies = models_json_schema([(body, "validation") for body in app.state.bodies], ref_template="#/components/schemas/{model}")
        schemas |= bodies["$defs"]
        app.openapi_schema = document
    return app.openapi_schema
