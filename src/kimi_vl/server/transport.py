"""What stands between a socket and a route: how much of a request is read and how long, who is asked for, and an answer to everything.

`Connection` sees bytes, before there is a request: the size of the header block and the time that it takes. `Border` is plain ASGI: hosts,
origins, keys, kinds and sizes of bodies, request ids, and one JSON error for whatever goes wrong behind it. `body_parts` receives within
limits.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kimi_vl.server.access import Access
from kimi_vl.server.admission import Admission
from kimi_vl.server.errors import ApiError, as_api_error
from kimi_vl.server.metrics import Metrics
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.tracing import fail

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Shape = Callable[[ApiError, str], tuple[int, bytes]]  # status and body of an error, and the request's id

log = structlog.get_logger()

CLOSED = 499  # in logs and metrics: the client left
SAFE = {"GET", "HEAD", "OPTIONS"}
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
PRIVATE = (b"cache-control", b"private, no-store")  # what is said to one client is nobody else's; the page's own files say otherwise


class ClientLeft(Exception):
    """The client closed the connection; there is nobody to answer."""


class Connection(HttpToolsProtocol):
    """A connection that has so many seconds for the header block of each request, and so many bytes."""

    options = ServerOptions()  # of the server that is run; `connection` makes a class with others
    turn_away: Callable[[str, str], bytes | None] = staticmethod(lambda method, path: None)  # see `Turning`

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._header_timer: asyncio.TimerHandle | None = None
        self._header_bytes, self._in_header = 0, False
        self._turned_away: bytes | None = None
        self._behind_header = 0  # bytes that came along with the end of a header
        if len(self.connections) > self.options.connections:
            self._refuse(ApiError(503, "server_is_overloaded", "there are too many connections"))
        else:
            self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._header_timer is None and self._is_between_requests():
            self._expect_header()
        if self._in_header:
            # A body that came along counts as well, but only as far as a header might reach: it is cut off by the last blank line.
            end = data.find(b"\r\n\r\n")
            self._header_bytes += len(data) if end < 0 else end
            self._behind_header = 0 if end < 0 else len(data) - end - 4
            if self._header_bytes > self.options.header_bytes:
                self._refuse(ApiError(431, "headers_too_large", f"the headers have more than {self.options.header_bytes:,} bytes"))
                return
        with suppress(httptools.HttpParserError):
            super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_header:  # behind another request, in the bytes of which this one came
            self._expect_header()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self.options.headers and not self.transport.is_closing():
            self._refuse(ApiError(431, "headers_too_large", f"there are more than {self.options.headers} headers"))

    def on_headers_complete(self) -> None:
        if self._is_turned_away():
            self._in_header, self._header_bytes = False, 0
            return
        self._stop_timer()
        self._in_header, self._header_bytes = False, 0
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._turned_away is None and self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._turned_away is not None:
            self._stop_timer()
            self.transport.write(self._turned_away)
            self.transport.close()
        elif self.cycle is not None:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(ApiError(400, "invalid_request", "this is not HTTP as it should be"))

    def _is_turned_away(self) -> bool:
        """Whether there is no place for a request that begins here. It costs a task, two writes and a line of the log to say so further
        inside, each waiting for the engine's thread; those whose body came along are answered here, in one write."""
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        if self._is_answering() or self.transport.is_closing() or not (length.isdigit() and int(length[:9]) <= self._behind_header):
            return False
        method, path = self.parser.get_method().decode("latin-1"), self.url.partition(b"?")[0].decode("latin-1")
        self._turned_away = self.turn_away(method, path)
        return self._turned_away is not None

    def _is_between_requests(self) -> bool:
        return not self._in_header and not self._is_answering()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_header(self) -> None:
        self._in_header, self._header_bytes = True, 0
        self._header_timer = self.loop.call_later(self.options.header_s, self._header_is_late)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_is_late(self) -> None:
        self._header_timer = None
        if self._is_answering():
            self._header_timer = self.loop.call_later(self.options.header_s, self._header_is_late)
        else:
            self._refuse(ApiError(408, "request_timeout", f"the headers did not arrive within {self.options.header_s:g} seconds"))

    def _refuse(self, error: ApiError) -> None:
        """An answer without a request, and the end of the connection; only the end where it would stand within another answer."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._is_answering():
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
            self.cycle.disconnected = True  # whoever reads its body hears that there will be no more
            self.cycle.message_event.set()
        self.transport.write(_last_answer(error, str(uuid.uuid4()), error.status, error.body))
        self.transport.close()


def _last_answer(error: ApiError, request_id: str, status: int, body: bytes) -> bytes:
    """Of a connection, that is: as bytes."""
    head = [f"HTTP/1.1 {status} Refused", "Content-Type: application/json; charset=utf-8", f"Content-Length: {len(body)}"]
    head += [f"X-Request-Id: {request_id}", f"Request-Id: {request_id}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in error.headers.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Turning:
    """Turns requests away at the door while all places are taken: counted, not logged. Gives the bytes of the answer, or None."""

    admission: Admission
    metrics: Metrics
    shapes: Mapping[str, Shape]

    def __call__(self, method: str, path: str) -> bytes | None:
        if not wants_place(method, path):
            return None
        try:
            self.admission.check()
        except ApiError as error:
            request_id = str(uuid.uuid4())
            status, body = shape_of(path, self.shapes)(error, request_id)
            self.metrics.requests.labels("other", method, status).inc()
            return _last_answer(error, request_id, status, body)
        return None


def wants_place(method: str, path: str) -> bool:
    """Whether a request adds to the work; a cancellation only makes room."""
    return method == "POST" and not path.endswith("/cancel")


def shape_of(path: str, shapes: Mapping[str, Shape]) -> Shape:
    """Of the errors of a path."""
    return next((shape for start, shape in shapes.items() if path.startswith(start)), _openai_shape)


def connection(options: ServerOptions, turn_away: Turning) -> type[Connection]:
    """The class of connections by these options."""
    return type("Connection", (Connection,), {"options": options, "turn_away": staticmethod(turn_away)})


class Border:
    """ASGI around ASGI. A request comes through once it is clear whose it is; an error behind it is told in the one shape, or in the one of
    `shapes` that belongs to the beginning of its path."""

    def __init__(
        self, app: App, options: ServerOptions, access: Access, admission: Admission, metrics: Metrics, shapes: Mapping[str, Shape]
    ) -> None:
        self._app, self._options, self._access, self._admission, self._metrics = app, options, access, admission, metrics
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send, str(uuid.uuid4()))
        scope["request_id"], scope["tenant"] = answer.request_id, ""
        started = time.monotonic()
        try:
            await self._admit(scope, receive, answer)
        except (ClientLeft, asyncio.CancelledError) as error:
            answer.status = answer.status or CLOSED
            if isinstance(error, asyncio.CancelledError):
                raise
        except Exception as error:  # noqa: BLE001 - the outermost boundary: one request's failure is told to it, and to nobody else
            await self._tell(error, scope, answer)
        finally:
            self._record(scope, answer, time.monotonic() - started)

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = _Headers(scope["headers"])
        _check_host(headers, self._options)
        tenant = self._access.tenant(scope["path"], headers)
        _check_origin(scope["method"], headers)
        _check_body(headers, self._options, scope["path"])
        scope["tenant"] = tenant
        if wants_place(scope["method"], scope["path"]):
            self._admission.check()  # here, because going as far as the route costs as much again
        with self._access.admitted(tenant, scope["path"]) as limits:
            answer.extra = limits
            await self._app(scope, receive, answer)

    async def _tell(self, error: Exception, scope: Scope, answer: _Answer) -> None:
        told = as_api_error(error)
        fail(told)
        if told.status == 500:
            log.error("request failed", request_id=answer.request_id, path=_short(scope["path"]), exc_info=error)
        if not answer.status:
            with suppress(OSError):
                await send_error(answer, told, *shape_of(scope["path"], self._shapes)(told, answer.request_id))

    def _record(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(
            route, scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other", answer.status
        ).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if route not in ("/health", "/health/live", "/ready", "/metrics"):
            log.info(
                "request",
                request_id=answer.request_id,
                method=scope["method"],
                path=_short(scope["path"]),
                status=answer.status,
                ms=round(seconds * 1000, 1),
                tenant=scope["tenant"],
            )


class _Answer:
    """Sends what the application sends, with the headers that every answer has, and knows how far it is."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self.request_id, self.status = send, request_id, 0
        self.extra: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            number = self.request_id.encode()  # by the names that OpenAI's and Anthropic's clients have for it
            own = [(b"x-request-id", number), (b"request-id", number), *SECURITY_HEADERS, *self.extra]
            said = list(message.get("headers", ()))
            own += [] if any(name == b"cache-control" for name, _ in said) else [PRIVATE]
            message = {**message, "headers": [*said, *own]}
        await self._send(message)


class _Headers(dict[str, str]):
    """Of a request, lower case; what came twice has both values, which is never right for what is read here."""

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        super().__init__()
        self.doubled: set[str] = set()
        for raw_name, raw_value in pairs:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name in self:
                self.doubled.add(name)
            self[name] = f"{self[name]}, {value}" if name in self else value


def _openai_shape(error: ApiError, request_id: str) -> tuple[int, bytes]:
    return error.status, error.body


async def send_error(send: Send, error: ApiError, status: int, body: bytes) -> None:
    """As a whole answer."""
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    headers += [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if error.status in (408, 413):  # the rest of the body is not waited for
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _check_host(headers: _Headers, options: ServerOptions) -> None:
    """Raises: ApiError 400 for a Host header that is none, 421 for one that is not ours (DNS rebinding)."""
    host = headers.get("host", "")
    try:
        parts = urlsplit(f"//{host}")
        name, _ = (parts.hostname or ""), parts.port
        is_plain = parts.netloc == host and parts.username is None and not set(host) & set("/?#@\\ ,")
    except ValueError:
        name, is_plain = "", False
    if not name or not is_plain or "host" in headers.doubled:
        raise ApiError(400, "bad_host", "the Host header must be one host name, with or without a port")
    known = options.known_hosts
    if known is not None and name not in known and f"[{name}]" not in known:
        raise ApiError(421, "bad_host", "this server does not answer for that host; see --allow-host")


def _check_origin(method: str, headers: _Headers) -> None:
    """What a foreign page has a browser send is refused. Raises: ApiError 403."""
    origin = headers.get("origin")
    if method not in SAFE and origin is not None and urlsplit(origin).netloc != headers["host"]:
        raise ApiError(403, "not_permitted", "a page of another origin may not ask this server")


def _check_body(headers: _Headers, options: ServerOptions, path: str) -> None:
    """What can be said of a body before it is read. Raises: ApiError 413, 415."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(415, "unsupported_content_type", "a request must not be compressed")
    limit = options.file_bytes + (1 << 20) if path == "/v1/files" else options.body_bytes
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > limit:
        raise _too_large(limit)


def check_json(content_type: str | None) -> None:
    """Raises: ApiError 415 unless a body says that it is JSON, which no foreign page can without being asked first."""
    kind, _, rest = (content_type or "").partition(";")
    charset = rest.partition("charset=")[2].strip().strip('"').lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise ApiError(415, "unsupported_content_type", "the body must be JSON, sent as Content-Type: application/json")


async def body_parts(receive: Receive, limit: int, options: ServerOptions) -> AsyncIterator[bytes]:
    """A body as it comes. Raises: ApiError 413 and 408, ClientLeft."""
    loop = asyncio.get_running_loop()
    started, total, more = loop.time(), 0, True
    while more:
        # At the least rate allowed, what has come so far lasts until then; everybody has the first seconds.
        deadline = started + min(options.body_s, options.header_s + total / options.body_rate)
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise ApiError(408, "request_timeout", "the body arrived too slowly") from None
        if message["type"] == "http.disconnect":
            raise ClientLeft
        data, more = message.get("body", b""), message.get("more_body", False)
        total += len(data)
        if total > limit:
            raise _too_large(limit)
        yield data


async def while_connected(receive: Receive, work: Awaitable[Any]) -> Any:
    """The result of some work, which is cancelled when the client leaves. Raises: ClientLeft, and what the work raises."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        await stop(leaving)
        await stop(working)


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def stop(task: asyncio.Future[Any]) -> None:
    """Cancel a task, and wait until it is over."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at, so that nobody says it was not


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "body_too_large", f"the body is larger than {limit:,} bytes; upload large files to /v1/files")


def _short(text: str) -> str:
    """A text of a client for the log."""
    return text[:256]
