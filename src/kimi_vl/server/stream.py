"""Server-sent events: nothing is sent before there is something to say or a while has passed, so that an early error has its status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from kimi_vl.server.errors import ApiError, as_api_error
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.tracing import fail
from kimi_vl.server.transport import ClientLeft, Receive, Scope, Send, gone, log, stop

HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))
AHEAD = 64  # events made that a client has not taken yet; the socket holds 64 KiB more
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Manner:
    """How a stream says that there is nothing new, and, as its last event, what went wrong in which request."""

    quiet: bytes
    told: Callable[[ApiError, str], bytes]


OPENAI = Manner(b": still here\n\n", lambda error, _: event(error.body) + DONE)


class EventStream:
    """An ASGI application that sends events, encoded already, as they come. All of `events` runs in one task, a few events ahead of a
    client that reads slowly; it is closed when the client leaves."""

    def __init__(
        self, events: AsyncGenerator[bytes], options: ServerOptions, headers: Mapping[str, str] | None = None, manner: Manner = OPENAI
    ) -> None:
        self._events, self._options, self._manner = events, options, manner
        self._headers = [*HEADERS, *((name.encode(), value.encode()) for name, value in (headers or {}).items())]
        self._coming: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(AHEAD)
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises: ClientLeft; what went wrong before anything was sent."""
        leaving = asyncio.ensure_future(gone(receive))
        pumping = asyncio.ensure_future(self._pump())
        coming: asyncio.Task[bytes | Exception | None] | None = None
        try:
            while True:
                coming = coming or asyncio.create_task(self._coming.get())
                waited: set[asyncio.Future[Any]] = {coming, leaving}
                await asyncio.wait(waited, timeout=self._options.quiet_s, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    raise ClientLeft
                if not coming.done():
                    await self._send(send, self._manner.quiet)
                    continue
                event, coming = coming.result(), None
                if isinstance(event, Exception):
                    event = self._told(event, scope)
                if event is None:
                    break
                await self._send(send, event)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            for task in (leaving, pumping, coming):
                if task is not None:
                    await stop(task)

    async def _pump(self) -> None:
        async with aclosing(self._events):
            try:
                async for event in self._events:
                    await self._coming.put(event)
            except Exception as error:  # noqa: BLE001 - told to the client, and logged where it is a bug
                await self._coming.put(error)
            await self._coming.put(None)

    def _told(self, error: Exception, scope: Scope) -> bytes:
        """The last event, once there has been one. Raises: the error, as long as there was none."""
        if not self._started:
            raise error
        told = as_api_error(error)
        fail(told)
        if told.status == 500:
            log.error("stream failed", request_id=scope["request_id"], exc_info=error)
        return self._manner.told(told, scope["request_id"])

    async def _send(self, send: Send, data: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        try:
            async with asyncio.timeout(self._options.slow_reader_s):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except (TimeoutError, OSError):  # it does not read, or is gone
            raise ClientLeft from None


def event(data: bytes, name: str | None = None) -> bytes:
    """One event, with a name or without."""
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"
