"""What a trace tells of a request: how long its parts took, how many tokens it had and how it ended; never what anybody wrote.

In the terms of OpenTelemetry, whose programming interface does nothing without a provider of spans; `export.py` is one. What is traced is
in the context: whatever is done for a request, in whatever task, finds it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracerProvider, Span, SpanKind, StatusCode, Tracer, TracerProvider
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kimi_vl import __version__
from kimi_vl.llm import Usage
from kimi_vl.server.errors import ApiError, as_api_error

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")
_TRACED = context.create_key("kimi_vl.traced")


class Tracing:
    """Of one server. Without a provider nothing is recorded. `flush` is called when the server ends, in a thread."""

    def __init__(self, provider: TracerProvider | None = None, flush: Callable[[], None] | None = None) -> None:
        self.is_on, self._flush = provider is not None, flush
        self._tracer = (provider or NoOpTracerProvider()).get_tracer("kimi_vl", __version__)

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, str] | None = None,
        *,
        parent: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> Iterator[Traced]:
        """Something that has tokens and an end of its own, within `parent` or whatever is current. In a coroutine, not in a generator."""
        traced = Traced(self._tracer.start_span(name, parent, kind, attributes, links))
        token = context.attach(context.set_value(_TRACED, traced, trace.set_span_in_context(traced.span, parent)))
        try:
            yield traced
        finally:
            context.detach(token)
            traced.span.end()

    def apart(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Traced]:
        """As `span`, in a trace of its own, which is linked to whatever is current."""
        asked_by = trace.get_current_span().get_span_context()
        links = [Link(asked_by)] if asked_by.is_valid else []
        return self.span(name, attributes, parent=Context(), links=links)

    def parts(self, name: str) -> Parts:
        """The parts of what is current, one after another; the first is `name`."""
        return Parts(self._tracer, name)

    async def close(self) -> None:
        """Hand over what has not been handed over yet."""
        if self._flush is not None:
            await asyncio.to_thread(self._flush)


class Traced:
    """A request, a line of a batch, or a response in the background. The answers to several prompts are summed up."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._tokens = dict.fromkeys(("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens"), 0)
        self._endings: list[str] = []

    def count(self, usages: Sequence[Usage], cached_tokens: int, endings: Sequence[str]) -> None:
        """The answers to one prompt, and how those that are over ended; nothing where this is over itself."""
        if not self.span.is_recording():  # its client has left
            return
        self._tokens["input_tokens"] += usages[0].prompt_tokens
        self._tokens["cache_read.input_tokens"] += cached_tokens
        self._tokens["output_tokens"] += sum(usage.completion_tokens for usage in usages)
        self._tokens["reasoning.output_tokens"] += sum(usage.thinking_tokens for usage in usages)
        self._endings += endings
        self.span.set_attributes({f"gen_ai.usage.{name}": number for name, number in self._tokens.items()})
        self.span.set_attribute("gen_ai.response.finish_reasons", self._endings)


class Parts:
    """Of whatever is current. They are not current themselves, so that a generator may be in them."""

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._tracer, self._name = tracer, name
        self._span = tracer.start_span(name)

    def next(self, name: str) -> None:
        """The part before is over, unless it is this one."""
        if name != self._name:
            self._span.end()
            self._name, self._span = name, self._tracer.start_span(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            _mark(self._span, as_api_error(error))
        self._span.end()


def current() -> Traced | None:
    """What is traced here."""
    return context.get_value(_TRACED)  # type: ignore[return-value]


def describe(name: str, value: str) -> None:
    """An attribute of what is current."""
    trace.get_current_span().set_attribute(name, value)


def fail(error: ApiError) -> None:
    """What is current ends with this error."""
    _mark(trace.get_current_span(), error)


def _mark(span: Span, error: ApiError) -> None:
    """A code and no message. What the client did wrong is no fault of the server's."""
    span.set_attribute("error.type", error.code)
    if error.status >= 500:
        span.set_status(StatusCode.ERROR)


class TracedRequests:
    """ASGI around ASGI: a span for each request of the interface, in the trace of whoever sent it."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):  # neither probes nor the page
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        about = {"http.request.method": method, "url.scheme": scope["scheme"], "url.path": scope["path"][:256]}
        with self._tracing.span(method, about, parent=propagate.extract(_headers(scope)), kind=SpanKind.SERVER) as traced:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    traced.span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, noted)
            finally:
                if (route := getattr(scope.get("route"), "path", None)) is not None:
                    traced.span.update_name(f"{method} {route}")
                    traced.span.set_attribute("http.route", route)
                traced.span.set_attribute("kimi_vl.request_id", scope.get("request_id", ""))


def _headers(scope: Scope) -> Mapping[str, str]:
    """By name; several of one name are joined, which is right for `tracestate`, and makes of two `traceparent` none."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
