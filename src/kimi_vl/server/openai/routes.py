"""The routes of OpenAI's clients but for files and batches, which have places of their own."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from kimi_vl.server.endpoint import Streamed
from kimi_vl.server.openai.chat import CHAT
from kimi_vl.server.openai.completions import COMPLETIONS
from kimi_vl.server.openai.models import model as model_object
from kimi_vl.server.openai.models import models as model_list
from kimi_vl.server.openai.requests import TokenizeRequest
from kimi_vl.server.openai.responses import Responses
from kimi_vl.server.openai.tokenize import count
from kimi_vl.server.query import FLAG, NUMBER, PAGE_QUERY, choice, flag, number, page
from kimi_vl.server.routes import Routes, as_json
from kimi_vl.server.service import Service
from kimi_vl.server.stream import EventStream
from kimi_vl.server.transport import while_connected

ORDERS = ("desc", "asc")


def add_openai(app: FastAPI, service: Service) -> None:
    """Models, tokens, conversations and texts."""

    async def models(_: Request) -> Response:
        return as_json(model_list(service))

    async def one_model(request: Request) -> Response:
        service.check_model(request.path_params["model"])
        return as_json(model_object(service))

    async def tokenize(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, TokenizeRequest)
        with service.admission.request():
            service.check_model(asked.model)
            tenant = request.scope["tenant"]
            counted = await while_connected(request.receive, service.with_media(lambda: count(service, asked, tenant)))
            return as_json(counted, headers)

    routes = Routes(app)
    routes.get("/v1/models", models, "The models.")
    routes.get("/v1/models/{model:path}", one_model, "One model.")
    routes.post("/v1/tokenize", tokenize, "How many tokens a conversation takes, and what is seen of its media.", TokenizeRequest)
    routes.answers("/v1/chat/completions", "Answer a conversation.", service, CHAT)
    routes.answers("/v1/completions", "Go on with a text.", service, COMPLETIONS)


def add_responses(app: FastAPI, service: Service, responses: Responses) -> None:
    """Responses, and what was kept of them."""

    def named(request: Request) -> tuple[str, str]:
        return request.scope["tenant"], request.path_params["response_id"]

    async def one(request: Request) -> Response:
        if flag(request, "stream"):
            events = await responses.follow(*named(request), number(request, "starting_after", -1, most=1 << 32))
            return Streamed(EventStream(events, service.options))
        return as_json((await responses.find(*named(request))).response)

    async def delete(request: Request) -> Response:
        await responses.delete(*named(request))
        return as_json({"id": request.path_params["response_id"], "object": "response", "deleted": True})

    async def cancel(request: Request) -> Response:
        return as_json((await responses.cancel(*named(request))).response)

    async def items(request: Request) -> Response:
        put_in = (await responses.find(*named(request))).input
        return as_json(page(request, put_in if choice(request, "order", ORDERS) == "asc" else put_in[::-1]))

    routes, path = Routes(app), "/v1/responses/{response_id}"
    routes.answers("/v1/responses", "Answer, and keep the answer.", service, responses.endpoint)
    routes.get(path, one, "One response, or its events once more.", {"stream": FLAG, "starting_after": NUMBER})
    routes.delete(path, delete, "Delete a response.")
    routes.post(f"{path}/cancel", cancel, "End a response that is written in the background.")
    routes.get(f"{path}/input_items", items, "What was put in.", {**PAGE_QUERY, "order": {"enum": list(ORDERS)}})
