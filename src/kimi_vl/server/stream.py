"""Server-sent events: nothing is sent before there is something to say or a while has passed, so that an early error has its status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from kimi_vl.server.errors import ApiError, as_api_error
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.tracing import fail
from kimi_vl.server.transport import ClientLeft, Receive, Scope, Send, gone, log, stop

HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Manner:
    """How a stream says that there is nothing new, and, as its last event, what went wrong in which request."""

    quiet: bytes
    told: Callable[[ApiError, str], bytes]


OPENAI = Manner(b": still here\n\n", lambda error, _: event(error.body) + DONE)


class EventStream:
    """An ASGI application that sends events, encoded already, as they come: each is asked for, and sent, in the one task that it is called
    in, where `events` is closed as well when the client leaves. A second task, which wakes up every few seconds, looks whether it has."""

    def __init__(
        self, events: AsyncGenerator[bytes], options: ServerOptions, headers: Mapping[str, str] | None = None, manner: Manner = OPENAI
    ) -> None:
        self._events, self._options, self._manner = events, options, manner
        self._headers = [*HEADERS, *((name.encode(), value.encode()) for name, value in (headers or {}).items())]
        self._started = False
        self._sending = asyncio.Lock()  # one event after another
        self._latest = asyncio.get_running_loop().time()  # when something began or ended to be sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises: ClientLeft; what went wrong before anything was sent."""
        try:
            async with asyncio.timeout(None) as staying, aclosing(self._events):
                watching = asyncio.ensure_future(self._watch(receive, send, staying))
                try:
                    await self._send_all(scope, send)
                finally:
                    await stop(watching)
        except TimeoutError:
            if staying.expired():
                raise ClientLeft from None
            raise

    async def _send_all(self, scope: Scope, send: Send) -> None:
        try:
            async for event in self._events:
                await self._send(send, event)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - told to the client, and logged where it is a bug
            await self._send(send, self._told(error, scope))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, receive: Receive, send: Send, staying: asyncio.Timeout) -> None:
        """Say that there is nothing new, as often as that is so. Ends what `staying` is the time of once the client has left: closed the
        connection, or not read for too long."""
        loop, options = asyncio.get_running_loop(), self._options
        leaving = asyncio.ensure_future(gone(receive))
        try:
            while not leaving.done():
                patience = options.slow_reader_s if self._sending.locked() else options.quiet_s
                silent = loop.time() - self._latest
                if silent < patience:
                    await asyncio.wait({leaving}, timeout=min(patience - silent, options.slow_reader_s))
                elif self._sending.locked():
                    break
                else:
                    await self._send(send, self._manner.quiet)
        except ClientLeft:
            pass
        finally:
            await stop(leaving)
        staying.reschedule(loop.time())

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
        """Raises: ClientLeft."""
        async with self._sending:
            self._latest = asyncio.get_running_loop().time()
            try:
                if not self._started:
                    self._started = True
                    await send({"type": "http.response.start", "status": 200, "headers": self._headers})
                await send({"type": "http.response.body", "body": data, "more_body": True})
            except OSError:
                raise ClientLeft from None
        self._latest = asyncio.get_running_loop().time()


def event(data: bytes, name: str | None = None) -> bytes:
    """One event, with a name or without."""
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"
