"""What a Prometheus server reads: how busy it is, how long people wait, how many tokens of each kind, who left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class _Asked(Collector):
    """A counter whose number is somebody else's."""

    def __init__(self, name: str, what: str, value: Callable[[], float]) -> None:
        self._name, self._what, self._value = name, what, value

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._what, value=self._value())

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._what)


class Metrics:
    """In a registry of its own, so that two servers of one process do not meet."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "kimi_vl_requests", "Requests by route, method and status", ["route", "method", "status"], registry=registry
        )
        self.request_seconds = Histogram("kimi_vl_request_seconds", "From header to last byte", ["route"], buckets=LONG, registry=registry)
        self.queue_seconds = Histogram("kimi_vl_queue_seconds", "Waiting for a slot", buckets=LONG, registry=registry)
        self.first_token = Histogram("kimi_vl_time_to_first_token_seconds", "From header to first text", buckets=LONG, registry=registry)
        self.between_tokens = Histogram("kimi_vl_inter_token_seconds", "Between two bits of an answer", buckets=SHORT, registry=registry)
        self.media_seconds = Histogram(
            "kimi_vl_media_seconds", "Fetching, decoding and cutting the media of a request", buckets=LONG, registry=registry
        )
        self.tokens = Counter("kimi_vl_tokens", "Tokens by kind: prompt, image, cached, thinking, answer", ["kind"], registry=registry)
        self.cancelled = Counter("kimi_vl_requests_cancelled", "Clients that left, by stage", ["stage"], registry=registry)
        self.batch_lines = Counter("kimi_vl_batch_lines", "Lines of batches by the status of their answer", ["status"], registry=registry)
        self.answers = Counter("kimi_vl_answers", "Answers by how they ended", ["finish_reason"], registry=registry)

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A number that is asked for when somebody reads."""
        Gauge(f"kimi_vl_{name}", what, registry=self.registry).set_function(value)

    def counter(self, name: str, what: str, value: Callable[[], float]) -> None:
        """The same of a number that only grows."""
        self.registry.register(_Asked(f"kimi_vl_{name}", what, value))

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self.registry)
