"""Spans on their way to a collector, by OTLP over HTTP and the variables that OpenTelemetry has for it: `kimi-vl serve --otel`."""

from __future__ import annotations

import threading

from kimi_vl import __version__
from kimi_vl.errors import InputError
from kimi_vl.server.tracing import Tracing

FLUSH_S = 3.0  # for what is left when the server ends; a collector that does not answer keeps nobody


def exported() -> Tracing:
    """Spans are collected and sent in a thread of their own; where nobody takes them they are dropped.

    Raises: InputError without the extra `otel`, and for variables that OpenTelemetry cannot use.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InputError("--otel needs OpenTelemetry's SDK; install it with: pip install 'kimi-vl[otel]'") from None

    own = Resource.create({"service.name": "kimi-vl", "service.version": __version__})
    try:
        provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        exporter = OTLPSpanExporter()
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError as error:
        raise InputError(f"one of the variables OTEL_* has a value that cannot be used: {error}") from None

    def flush() -> None:
        ending = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(FLUSH_S)
        if ending.is_alive():
            exporter.shutdown()  # it does not try again

    return Tracing(provider, flush)
