"""The routes of Anthropic's clients."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from kimi_vl.server.anthropic.messages import MESSAGES, count_tokens
from kimi_vl.server.anthropic.requests import CountRequest
from kimi_vl.server.routes import Routes, as_json
from kimi_vl.server.service import Service
from kimi_vl.server.transport import while_connected

PATH = "/v1/messages"


def add_anthropic(app: FastAPI, service: Service) -> None:
    """The routes; their errors have a shape of their own."""

    async def counted(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, CountRequest)
        with service.admission.request():
            return as_json(await while_connected(request.receive, count_tokens(service, asked, request.scope["tenant"])), headers)

    routes = Routes(app, "AnthropicError")
    routes.answers(PATH, "Answer a conversation, in Anthropic's words.", service, MESSAGES)
    routes.post(f"{PATH}/count_tokens", counted, "How many tokens a prompt has.", CountRequest)
