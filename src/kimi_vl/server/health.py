"""What supervisors ask: whether the process lives, whether questions are answered, and numbers."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from kimi_vl.server.errors import ApiError
from kimi_vl.server.routes import Routes, as_json
from kimi_vl.server.service import Service


def add_health(app: FastAPI, service: Service) -> None:
    """The routes."""

    async def live(_: Request) -> Response:
        return as_json({"status": "ok"})

    async def ready(_: Request) -> Response:
        if (trouble := service.trouble) is not None:
            raise ApiError(503, trouble, "this server answers no questions now")
        return as_json({"status": "ready", "model": service.name})

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = Routes(app)
    routes.get("/health", live, "The process is alive.")
    routes.get("/health/live", live, "The process is alive.")
    routes.get("/ready", ready, "Questions are answered.")
    routes.get("/metrics", metrics, "Numbers for Prometheus.")
