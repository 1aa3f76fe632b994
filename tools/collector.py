"""A collector of traces that prints them, to see what `kimi-vl serve --otel` tells: `python tools/collector.py [PORT]`, by default 4318.

A trace is printed once its request is there: its spans with what they took, and the attributes of those that have some. Needs the extra
`otel`.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAITING: dict[bytes, list[Span]] = {}  # by trace, for what they are parts of


class Printing(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP."""

    def do_POST(self) -> None:
        told = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        for span in (span for resource in told.resource_spans for scope in resource.scope_spans for span in scope.spans):
            WAITING.setdefault(span.trace_id, []).append(span)
            if span.kind == Span.SPAN_KIND_SERVER or not span.parent_span_id:  # it ends last
                print(f"trace {span.trace_id.hex()}" + (f", called by {span.parent_span_id.hex()}" if span.parent_span_id else ""))
                tell(span, WAITING.pop(span.trace_id), 1)
        sys.stdout.flush()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The traces are what is to be seen."""


def tell(span: Span, spans: list[Span], depth: int) -> None:
    """A span, and what happened in it."""
    took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    print(f"{'  ' * depth}{span.name}  {took:.1f} ms")
    for one in span.attributes:
        print(f"{'  ' * depth}    {one.key} = {value(one.value)}")
    for child in sorted(spans, key=lambda other: other.start_time_unix_nano):
        if child.parent_span_id == span.span_id:
            tell(child, spans, depth + 1)


def value(told: AnyValue) -> object:
    """Of an attribute."""
    kind = told.WhichOneof("value")
    return [value(one) for one in told.array_value.values] if kind == "array_value" else getattr(told, kind)


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 4318), Printing).serve_forever()
