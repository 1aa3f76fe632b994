"""The routes of batches."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response

from kimi_vl.server.batches.batches import Batches, BatchRequest
from kimi_vl.server.query import PAGE_QUERY, page
from kimi_vl.server.routes import Routes, as_json
from kimi_vl.server.service import Service


def add_batches(app: FastAPI, service: Service, batches: Batches) -> None:
    """The routes."""

    async def create(request: Request) -> Response:
        asked, headers = await service.json(request.scope, request.receive, BatchRequest)
        return as_json(await batches.create(request.scope["tenant"], asked), headers)

    async def listing(request: Request) -> Response:
        return as_json(page(request, msgspec.to_builtins(await batches.all(request.scope["tenant"]))))

    async def one(request: Request) -> Response:
        return as_json(await batches.find(request.scope["tenant"], request.path_params["batch_id"]))

    async def cancel(request: Request) -> Response:
        return as_json(await batches.cancel(request.scope["tenant"], request.path_params["batch_id"]))

    routes = Routes(app)
    routes.post("/v1/batches", create, "Answer a file of requests, when there is time.", BatchRequest)
    routes.get("/v1/batches", listing, "The batches of this key.", PAGE_QUERY)
    routes.get("/v1/batches/{batch_id}", one, "How far a batch is.")
    routes.post("/v1/batches/{batch_id}/cancel", cancel, "End a batch; what is answered is kept.")
