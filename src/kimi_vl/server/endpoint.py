"""What a route that answers is made of, and the one path that all of them take: read, let in, prepared, answered whole or in events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastapi.responses import FileResponse, Response

from kimi_vl.server.service import Service
from kimi_vl.server.stream import OPENAI, EventStream, Manner
from kimi_vl.server.strict import Strict
from kimi_vl.server.tracing import describe
from kimi_vl.server.transport import ClientLeft, Receive, Scope, Send, while_connected

JSON = "application/json; charset=utf-8"
LATER = 1  # the priority of what nobody waits for


class Prepared(Protocol):
    """What a request has become; it is closed once it has been answered."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Endpoint:
    """What may stand in a request, and three functions. `ask` refuses what can be refused, before the model is asked, and `whole` and
    `events` answer what it gives. All raise ApiError and KimiVLError.

    ask: (service, request, tenant, when it came by the monotonic clock, priority). whole and events: (service, what ask gave).
    `manner` is that of the stream, `operation` the name of what is done in the conventions for traces.
    """

    request: type[Strict]
    ask: Callable[[Service, Any, str, float, int], Awaitable[Prepared]]
    whole: Callable[[Service, Any], Awaitable[bytes]]
    events: Callable[[Service, Any], AsyncGenerator[bytes]]
    manner: Manner = OPENAI
    operation: str = "chat"

    async def prepare(self, service: Service, request: Any, tenant: str, started: float, priority: int = 0) -> Prepared:
        """As `ask`; traced."""
        describe("gen_ai.operation.name", self.operation)
        asked = await self.ask(service, request, tenant, started, priority)
        describe("gen_ai.request.model", service.name)
        return asked


class Answered(Response):
    """An answer that knows how it is sent only once the request has been read."""

    def __init__(self, service: Service, endpoint: Endpoint) -> None:
        self._service, self._endpoint, self._stage, self.background = service, endpoint, "reading", None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, endpoint, started = self._service, self._endpoint, time.monotonic()
        try:
            request, headers = await service.json(scope, receive, endpoint.request)
            with service.admission.request():  # not before: whoever sends slowly takes no place
                self._stage = "preparing"
                asked = await while_connected(receive, endpoint.prepare(service, request, scope["tenant"], started))
                self._stage = "answering"
                try:
                    if getattr(request, "stream", False):
                        stream = EventStream(endpoint.events(service, asked), service.options, headers, endpoint.manner)
                        await stream(scope, receive, send)
                    else:
                        body = await while_connected(receive, endpoint.whole(service, asked))
                        await Response(body, 200, headers, media_type=JSON)(scope, receive, send)
                finally:
                    asked.close()
        except ClientLeft:
            service.metrics.cancelled.labels(self._stage).inc()
            raise


class WholeFile(FileResponse):
    """A file from its beginning to its end. Ranges are passed over, as any server may: what is wrong with one would be told in another
    shape than ours, and a thousand of them are a thousand reads."""

    def __init__(self, path: Path, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(path, media_type=media_type, headers={**headers, "Accept-Ranges": "none"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__(scope, receive, send)


class Streamed(Response):
    """Events, in the form of an answer that a route gives."""

    def __init__(self, stream: EventStream) -> None:
        self._stream, self.background = stream, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)
