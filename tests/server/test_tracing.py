"""Traces: a request is a span in its caller's trace, its parts are children, and nothing in them was written by anybody."""

import base64
import json
import re
import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id

from kimi_vl.cli.main import main
from kimi_vl.errors import EngineStopped, InputError
from kimi_vl.llm import AsyncKimiVL, Usage
from kimi_vl.server import export as export_module
from kimi_vl.server.export import exported
from kimi_vl.server.logs import traced
from kimi_vl.server.tracing import Tracing
from tests.server.conftest import async_nano
from tests.server.serving import HELLO, Script, ScriptedModel, Served, served, until
from tests.server.test_batches import ROOT, create, finished, line, upload

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FROM_CALLER = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
SECRET = "the vault opens at nine"


class Recorder:
    """Spans in memory."""

    def __init__(self) -> None:
        self._kept, self.provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracing = Tracing(self.provider)

    def spans(self, *names):
        """All so far once those of these names are there, and forgotten."""
        assert until(lambda: {*names} <= {span.name for span in self._kept.get_finished_spans()}), [
            span.name for span in self._kept.get_finished_spans()
        ]
        found = self._kept.get_finished_spans()
        self._kept.clear()
        return found

    def request(self, name):
        """The span of the one request since the last time, and its children in order."""
        found = self.spans(name)
        [span] = [one for one in found if one.kind == SpanKind.SERVER]
        children = sorted((one for one in found if one is not span), key=lambda one: one.start_time)
        assert {one.parent.span_id for one in children} <= {span.context.span_id}
        return span, children


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


@pytest.fixture(scope="module")
def model():
    return ScriptedModel()


@pytest.fixture(scope="module")
def server(recorder, model):
    running = Served(model, recorder.tracing).start()
    yield running
    is_at_rest = running.is_at_rest()
    assert running.stop() == 0
    assert is_at_rest


@pytest.fixture(autouse=True)
def _fresh(request, model):
    model.script = Script("fine")
    if "recorder" in request.fixturenames:
        request.getfixturevalue("recorder").spans()


def post(server, path, headers=None, **body):
    return server.client.post(path, json={"model": server.service.name, **body}, headers=headers or {})


def test_a_request_continues_its_callers_trace_and_its_parts_follow_each_other(plain, recorder):
    picture = base64.b64encode((ROOT / "examples" / "receipt.png").read_bytes()).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
        {"type": "text", "text": "What is the total?"},
    ]
    with served(async_nano(plain), recorder.tracing) as server:
        body = post(server, "/v1/chat/completions", FROM_CALLER, messages=[{"role": "user", "content": parts}], max_tokens=4).json()
    span, children = recorder.request("POST /v1/chat/completions")
    assert (format_trace_id(span.context.trace_id), span.parent.span_id, span.parent.is_remote) == (TRACE, int(CALLER, 16), True)
    assert [one.name for one in children] == ["media", "queue", "prefill", "generation"]
    ends = [span.start_time, *(time for one in children for time in (one.start_time, one.end_time)), span.end_time]
    assert ends == sorted(ends)
    usage, details = body["usage"], body["usage"]["completion_tokens_details"]
    assert {name: span.attributes[name] for name in span.attributes if name.startswith("gen_ai")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "nano",
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "gen_ai.usage.cache_read.input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "gen_ai.usage.reasoning.output_tokens": details["reasoning_tokens"],
        "gen_ai.response.finish_reasons": (body["choices"][0]["finish_reason"],),
    }
    assert usage["prompt_tokens"] > 100
    assert (span.attributes["http.route"], span.attributes["http.response.status_code"]) == ("/v1/chat/completions", 200)
    assert span.status.status_code == StatusCode.UNSET


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "operation", "body", "n"),
    [
        ("/v1/chat/completions", "chat", {"messages": HELLO, "n": 2}, 2),
        ("/v1/completions", "text_completion", {"prompt": ["one", "two three"], "n": 2}, 4),
        ("/v1/responses", "chat", {"input": "Hello"}, 1),
        ("/v1/messages", "chat", {"messages": HELLO, "max_tokens": 9}, 1),
    ],
)
def test_every_route_that_answers_is_traced(server, recorder, model, path, operation, body, n, stream):
    model.script, before = Script("fine", " day", finish_reason="length"), len(model.questions)
    assert post(server, path, stream=stream, **body).status_code == 200
    span, children = recorder.request(f"POST {path}")
    asked = model.questions[before:]
    told = span.attributes
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == (operation, "scripted")
    assert told["gen_ai.usage.input_tokens"] == sum(len(question.input_ids) for question in asked)
    assert told["gen_ai.usage.output_tokens"] == 2 * n
    assert told["gen_ai.response.finish_reasons"] == ("length",) * n
    assert sorted(one.name for one in children) == sorted(["generation", "prefill", "queue"] * len(asked))


def test_a_line_of_a_batch_is_a_trace_of_its_own_linked_to_who_asked_for_it(server, recorder):
    made = create(server, upload(server, [line(0), line(1, {"model": "other", "messages": HELLO})]), headers=FROM_CALLER).json()
    finished(server, made)
    found = recorder.spans("POST /v1/batches", "batch line")
    [asking] = [one for one in found if one.name == "POST /v1/batches"]
    good, bad = sorted((one for one in found if one.name == "batch line"), key=lambda one: "error.type" in one.attributes)
    for one in (good, bad):
        assert one.parent is None
        assert [link.context.span_id for link in one.links] == [asking.context.span_id]
        assert one.attributes["kimi_vl.batch"] == made["id"]
    assert good.context.trace_id != bad.context.trace_id != asking.context.trace_id
    assert good.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert bad.attributes["error.type"] == "model_not_found"
    children = {one.name for one in found if one.parent and one.parent.span_id == good.context.span_id}
    assert children == {"queue", "prefill", "generation"}


def test_a_response_in_the_background_has_a_span_that_outlives_its_request(server, recorder, model):
    goes_on = threading.Event()
    model.script = Script("fine", goes_on)
    assert post(server, "/v1/responses", input="Hello", background=True).json()["status"] in ("queued", "in_progress")
    [asking] = recorder.spans("POST /v1/responses")[-1:]
    goes_on.set()
    [span] = [one for one in recorder.spans("response") if one.name == "response"]
    assert span.parent.span_id == asking.context.span_id
    assert span.end_time > asking.end_time
    assert (span.attributes["gen_ai.usage.output_tokens"], span.attributes["gen_ai.response.finish_reasons"]) == (1, ("stop",))
    assert "gen_ai.usage.output_tokens" not in asking.attributes


@pytest.mark.parametrize(
    ("script", "body", "status", "error", "is_ours"),
    [
        (Script("fine"), {"temperature": 9}, 400, "invalid_value", False),
        (Script("fine"), {"model": "other"}, 404, "model_not_found", False),
        (Script(EngineStopped("gone")), {}, 503, "engine_restarting", True),
        (Script(ZeroDivisionError("a bug")), {}, 500, "internal_error", True),
        (Script("fine", ZeroDivisionError("a bug")), {"stream": True}, 200, "internal_error", True),
    ],
)
def test_an_error_is_told_by_its_code(server, recorder, model, script, body, status, error, is_ours):
    model.script = script
    assert post(server, "/v1/chat/completions", **{"messages": HELLO, **body}).status_code == status
    span, children = recorder.request("POST /v1/chat/completions")
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (status, error)
    assert span.status.status_code == (StatusCode.ERROR if is_ours else StatusCode.UNSET)
    assert span.status.description is None
    assert not span.events
    if is_ours:
        assert (children[-1].attributes["error.type"], children[-1].status.status_code) == (error, StatusCode.ERROR)


def test_who_leaves_has_tokens_and_no_ending(server, recorder, model):
    model.script = Script("fine", threading.Event())
    body = {"model": "scripted", "messages": HELLO, "stream": True}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert next(response.iter_lines()).startswith("data: ")
    span, children = recorder.request("POST /v1/chat/completions")
    assert (span.attributes["gen_ai.usage.output_tokens"], span.attributes["gen_ai.response.finish_reasons"]) == (1, ())
    assert "error.type" not in span.attributes
    assert children[-1].name == "generation"


def test_what_comes_after_the_end_is_not_told(recorder, caplog):
    with recorder.tracing.span("over") as over:
        pass
    over.count([Usage(prompt_tokens=1, image_tokens=0, thinking_tokens=0, answer_tokens=1, completion_tokens=1)], 0, ["stop"])
    assert "gen_ai.usage.input_tokens" not in recorder.spans("over")[0].attributes
    assert caplog.records == []


@pytest.mark.parametrize("sent", ["nonsense", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01"])
def test_what_is_no_traceparent_begins_a_trace(server, recorder, sent):
    assert post(server, "/v1/chat/completions", {"traceparent": sent}, messages=HELLO).status_code == 200
    span, _ = recorder.request("POST /v1/chat/completions")
    assert span.parent is None


def test_two_traceparents_are_none(server, recorder):
    data = json.dumps({"messages": HELLO}).encode()
    twice = f"traceparent: {FROM_CALLER['traceparent']}\r\n" * 2
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{twice}Content-Type: application/json\r\n"
    server.raw(f"{head}Connection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    span, _ = recorder.request("POST /v1/chat/completions")
    assert span.parent is None


def test_nothing_that_anybody_wrote_is_told(server, recorder, model):
    model.script = Script(SECRET)
    said = [{"role": "user", "content": SECRET}]
    post(server, "/v1/chat/completions", messages=said, stop=[SECRET], user=SECRET)
    post(server, "/v1/chat/completions", messages=said, model=SECRET)
    post(server, "/v1/chat/completions", messages=said, **{SECRET: 1})
    post(server, "/v1/completions", prompt=SECRET, echo=True)
    post(server, "/v1/responses", input=SECRET, instructions=SECRET, metadata={SECRET: SECRET})
    server.client.get("/v1/batches", params={"after": SECRET})
    server.client.get("/v1/models", headers={"user-agent": SECRET, "authorization": f"Bearer {SECRET}"})
    finished(server, create(server, upload(server, [{**line(0), "custom_id": SECRET}])).json())
    found = recorder.spans("GET /v1/models", "batch line")
    assert len([one for one in found if one.kind == SpanKind.SERVER]) >= 9
    assert [one.name for one in found if "vault" in one.to_json()] == []


def test_probes_and_the_page_are_not_traced(server, recorder):
    for path in ("/health", "/ready", "/metrics", "/"):
        assert server.client.get(path).status_code == 200
    server.client.get("/v1/models")
    assert all("/v1/" in one.name for one in recorder.spans("GET /v1/models"))  # one of the test before may end now


def test_whoever_has_a_provider_for_all_gets_no_second_span(server, recorder, monkeypatch):
    """The web framework would make its own, with more in it than ours have."""
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: recorder.provider)
    post(server, "/v1/chat/completions", messages=HELLO)
    server.client.get("/v1/models")  # whatever ends late has ended now
    assert {one.instrumentation_scope.name for one in recorder.spans("GET /v1/models", "POST /v1/chat/completions")} == {"kimi_vl"}


def test_a_line_of_the_log_names_its_trace(server, recorder):
    lines = []

    def keep(_, __, event):
        lines.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[traced, keep], wrapper_class=structlog.BoundLogger)
    post(server, "/v1/chat/completions", FROM_CALLER, messages=HELLO)
    assert until(lambda: any(one["event"] == "request" for one in lines))
    [told] = [one for one in lines if one["event"] == "request"]
    span, _ = recorder.request("POST /v1/chat/completions")
    assert (told["trace_id"], told["request_id"]) == (TRACE, span.attributes["kimi_vl.request_id"])
    with served(ScriptedModel()) as other:
        post(other, "/v1/chat/completions", FROM_CALLER, messages=HELLO)
    assert "trace_id" not in lines[-1]


# On their way -------------------------------------------------------------------------------------------------------------------


@contextmanager
def collector():
    """One that takes what is sent: (its address, what came)."""
    came = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", came
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def test_a_collector_has_all_spans_when_the_server_has_ended(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # what comes, comes at the end
    with collector() as (address, came):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        for name in ("kimi-vl", "mine"):
            with served(ScriptedModel(), exported()) as server:
                post(server, "/v1/chat/completions", FROM_CALLER, messages=HELLO)
                assert came == []
            [(path, told)] = came
            came.clear()
            [of_one] = told.resource_spans
            resource = {one.key: one.value.string_value for one in of_one.resource.attributes}
            assert (path, resource["service.name"], resource["deployment.environment.name"]) == ("/v1/traces", name, "test")
            spans = [span for scope in of_one.scope_spans for span in scope.spans]
            assert {span.name for span in spans} == {"POST /v1/chat/completions", "queue", "prefill", "generation"}
            assert {span.trace_id.hex() for span in spans} == {TRACE}
            monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")


def test_a_collector_that_never_answers_keeps_nobody(monkeypatch):
    """More spans than the queue holds, a collector that takes a connection and says nothing, and an end that does not wait for it."""
    monkeypatch.setattr(export_module, "FLUSH_S", 0.05)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    for name, value in {"SCHEDULE_DELAY": "1", "MAX_QUEUE_SIZE": "2", "MAX_EXPORT_BATCH_SIZE": "1"}.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with served(ScriptedModel(), exported()) as server:
            assert post(server, "/v1/chat/completions", messages=HELLO).status_code == 200
            connection, _ = silent.accept()  # the first span is on its way, and stays there
            assert [post(server, "/v1/chat/completions", messages=HELLO).status_code for _ in range(8)] == [200] * 8
            assert server.stop() == 0
            assert "last spans" in {thread.name for thread in threading.enumerate()}  # they are still being sent, and nobody waited
        connection.close()


def test_a_disabled_sdk_tells_nothing(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with collector() as (address, came):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        with served(ScriptedModel(), exported()) as server:
            assert post(server, "/v1/chat/completions", FROM_CALLER, messages=HELLO).status_code == 200
        assert came == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and --otel knows 'http/protobuf' only"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER is 'zipkin', and --otel knows 'otlp' only"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "OTEL_EXPORTER_OTLP_ENDPOINT is 'localhost:4318'; it must be an address"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "one of the variables OTEL_\\* has a value that cannot be used: max_export_batch_size"),
    ],
)
def test_variables_that_cannot_be_used_end_the_command(monkeypatch, capsys, name, value, message):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(AsyncKimiVL, "load", lambda *_, **__: pytest.fail("it went on"))
    assert main(["serve", "--otel"]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_without_the_extra_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InputError, match=r"pip install 'kimi-vl\[otel\]'"):
        exported()
