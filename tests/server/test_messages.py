"""`/v1/messages`, as Anthropic's own package uses it and as nobody should."""

import base64
import json
import threading
from pathlib import Path

import anthropic
import httpx
import pytest

from kimi_vl.errors import EngineBusy
from kimi_vl.llm.async_kimi_vl import Said
from kimi_vl.server.anthropic.errors import shaped
from kimi_vl.server.errors import ApiError
from tests.server.serving import Script, ScriptedModel, served

EXAMPLES = Path(__file__).parents[2] / "examples"
HELLO = [{"role": "user", "content": "Hello"}]
GREEDY = {"temperature": 0}  # a word that the package knows no more, and the protocol does
ADD = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 2, "b": 3}}</tool_call>'
THOUGHT = (Said("thinking", "2 and "), Said("thinking", "3"), "It is ", "5.")


@pytest.fixture(scope="module")
def client(nano):
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{nano.port}", api_key="unused", max_retries=0) as client:
        yield client


def source(name, media_type):
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode((EXAMPLES / name).read_bytes()).decode()}


def about(block, question):
    return [{"role": "user", "content": [block, {"type": "text", "text": question}]}]


def asked(script, fields=None, *, context=600):
    """What a scripted model's message is, whole and put together from its stream by the package, and the names of the stream's events."""
    with (
        served(ScriptedModel(script, context=context)) as server,
        anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key="unused", max_retries=0) as client,
    ):
        request = {"model": "scripted", "max_tokens": 100, "messages": HELLO, **(fields or {})}
        whole = client.messages.create(**request)
        with client.messages.stream(**request) as stream:
            streamed = stream.get_final_message()
        lines = server.client.post("/v1/messages", json={**request, "stream": True}).text.splitlines()
        return whole, streamed, [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def said(message):
    """What a message says, without ids."""
    return [{key: value for key, value in block.to_dict().items() if key != "id"} for block in message.content]


def test_a_picture_whole_and_streamed(client, nano):
    def measured(name):
        return nano.service.metrics.registry.get_sample_value(f"kimi_vl_{name}_total")

    before = [measured(name) for name in ("pictures_encoded", "picture_encode_seconds")]
    fields = {
        "model": "nano",
        "max_tokens": 60,
        "extra_body": GREEDY,
        "messages": about({"type": "image", "source": source("invoice.png", "image/png")}, "What is the invoice number?"),
    }
    message = client.messages.create(**fields)
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == "2024-0317"
    assert (message.stop_reason, message.role, message.model) == ("end_turn", "assistant", "nano")
    assert message._request_id
    assert measured("pictures_encoded") == before[0] + 1
    assert measured("picture_encode_seconds") > before[1]
    with client.messages.stream(**fields) as stream:
        assert "".join(stream.text_stream) == "2024-0317"
        final = stream.get_final_message()
    assert final.usage.cache_read_input_tokens > 0
    prompt = message.usage.input_tokens + message.usage.cache_read_input_tokens
    assert final.usage.input_tokens + final.usage.cache_read_input_tokens == prompt
    counted = {name: fields[name] for name in ("model", "messages")}
    assert client.messages.count_tokens(**counted).input_tokens == prompt


def test_a_document(client):
    block = {"type": "document", "title": "timetable", "source": source("timetable.pdf", "application/pdf")}
    message = client.messages.create(model="nano", max_tokens=60, messages=about(block, "What is the platform of the Old Mill line?"))
    assert message.content[0].text.startswith("4")
    assert message.kimi_vl["citations"][0]["page"] == 1


def test_thinking_is_a_block_of_its_own_and_only_where_it_is_asked_for(client):
    block = {"type": "image", "source": source("receipt.png", "image/png")}
    messages = about(block, "What do the rye bread and the cheddar cost together?")
    thinking = {"type": "enabled", "budget_tokens": 100}
    message = client.messages.create(model="nano", max_tokens=200, extra_body=GREEDY, messages=messages, thinking=thinking)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert "3.45" in message.content[0].thinking
    assert message.content[1].text == "8.05"
    assert message.usage.output_tokens_details.thinking_tokens > 5
    # Sent back as it came, and gone on from.
    more = [*messages, {"role": "assistant", "content": message.content}, {"role": "user", "content": "How much was paid?"}]
    again = client.messages.create(model="nano", max_tokens=100, extra_body=GREEDY, messages=more)
    assert [block.type for block in again.content] == ["text"]


def test_an_uploaded_file_is_named(client, nano):
    with (EXAMPLES / "invoice.png").open("rb") as data:
        file = nano.client.post("/v1/files", files={"file": data}, data={"purpose": "vision"}).json()
    block = {"type": "image", "source": {"type": "file", "file_id": file["id"]}}
    message = client.messages.create(model="nano", max_tokens=60, messages=about(block, "What is the invoice number?"))
    assert message.content[0].text == "2024-0317"


def test_the_events_of_a_stream_in_their_order():
    whole, streamed, events = asked(Script(*THOUGHT), {"thinking": {"type": "adaptive"}})
    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "content_block_start",
        *["content_block_delta"] * 2,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert deltas == ["thinking_delta", "thinking_delta", "signature_delta", "text_delta", "text_delta"]
    assert [event["index"] for event in events if "index" in event] == [0] * 5 + [1] * 4
    assert said(whole) == said(streamed)
    assert [whole.content[0].thinking, whole.content[1].text] == ["2 and 3", "It is 5."]
    assert len(base64.b64decode(whole.content[0].signature)) == 32
    assert events[0]["message"]["usage"]["input_tokens"] == whole.usage.input_tokens > 0


def test_a_thought_that_is_not_to_be_shown_is_signed_all_the_same():
    whole, streamed, _ = asked(Script(*THOUGHT), {"thinking": {"type": "adaptive", "display": "omitted"}})
    assert said(whole) == said(streamed)
    assert (whole.content[0].thinking, len(whole.content[0].signature)) == ("", 44)


@pytest.mark.parametrize(
    ("script", "ending", "text"),
    [
        (Script("It ", "is"), ("end_turn", None), "It is"),
        (Script("It", finish_reason="length"), ("max_tokens", None), "It"),
        (Script("It", stop_string="."), ("stop_sequence", "."), "It"),
        (Script(), ("end_turn", None), ""),
    ],
)
def test_how_an_answer_ends(script, ending, text):
    for message in asked(script)[:2]:
        assert (message.stop_reason, message.stop_sequence) == ending
        assert [block.text for block in message.content] == [text]


def test_a_context_that_is_full_is_said_to_be():
    whole, _, _ = asked(Script("a", "b", finish_reason="length"))
    size = whole.usage.input_tokens
    fits = asked(Script("a", "b", finish_reason="length"), {"max_tokens": 2}, context=size + 3)[0]
    full = asked(Script("a", "b", finish_reason="length"), {"max_tokens": 2}, context=size + 2)[0]
    assert (fits.stop_reason, full.stop_reason) == ("max_tokens", "model_context_window_exceeded")


def test_the_stop_string_that_ended_it_is_named(client):
    fields = {"model": "nano", "max_tokens": 40, "extra_body": GREEDY}
    messages = about({"type": "image", "source": source("invoice.png", "image/png")}, "What is the invoice number?")
    message = client.messages.create(**fields, messages=messages, stop_sequences=["never", "-03"])
    assert (message.stop_reason, message.stop_sequence, message.content[0].text) == ("stop_sequence", "-03", "2024")


def test_a_conversation_with_tools_goes_round():
    with (
        served(ScriptedModel(Script("I add.", CALL, "\n" + CALL.replace("2", "4")))) as server,
        anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key="unused", max_retries=0) as client,
    ):
        fields = {"model": "scripted", "max_tokens": 100, "tools": [ADD]}
        with client.messages.stream(**fields, messages=HELLO) as stream:
            streamed = stream.get_final_message()
        message = client.messages.create(**fields, messages=HELLO)
        assert said(message) == said(streamed)
        assert message.stop_reason == "tool_use"
        text, first, second = message.content
        assert (text.text, first.name, first.input, second.input) == ("I add.", "add", {"a": 2, "b": 3}, {"a": 4, "b": 3})
        results = [
            {"type": "tool_result", "tool_use_id": first.id, "content": "5"},
            {"type": "tool_result", "tool_use_id": second.id, "content": [{"type": "text", "text": "full"}], "is_error": True},
            {"type": "text", "text": "Go on."},
        ]
        server.model.script = Script("It is 5.")
        conversation = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        answer = client.messages.create(**fields, messages=conversation)
        assert answer.content[0].text == "It is 5."
        prompt = server.model.processor.tokenizer.decode(server.model.questions[-1].input_ids)
        assert "<tool_response>add: 5</tool_response>" in prompt
        assert "<tool_response>add: Error: full</tool_response>" in prompt
        assert prompt.count(CALL) == 1
        counted = client.messages.count_tokens(model="scripted", messages=conversation, tools=[ADD])
        assert counted.input_tokens == answer.usage.input_tokens


@pytest.mark.parametrize(
    ("choice", "begins"),
    [({"type": "any"}, True), ({"type": "tool", "name": "add"}, True), ({"type": "none"}, False)],
)
def test_a_choice_of_tools_is_kept_by_the_model(client, choice, begins):
    message = client.messages.create(model="nano", max_tokens=40, extra_body=GREEDY, messages=HELLO, tools=[ADD], tool_choice=choice)
    assert (message.content[0].type == "tool_use") == begins


def test_a_call_that_was_cut_off_is_told_as_far_as_it_goes():
    whole, streamed, _ = asked(Script(CALL.partition(', "b"')[0], finish_reason="length"), {"tools": [ADD]})
    assert whole.stop_reason == "max_tokens"
    assert whole.content[0].input == {"a": 2}
    assert said(streamed)[0]["name"] == "add"


def test_what_a_prompt_is_made_of():
    """System texts, documents that are text, and earlier thoughts, which are dropped."""
    messages = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "SECRET", "signature": "x"}, {"type": "text", "text": "Two"}]},
        *about(
            {
                "type": "document",
                "title": "List",
                "source": {"type": "text", "media_type": "text/plain", "data": "rye"},
                "cache_control": {"type": "ephemeral"},
            },
            "Three",
        ),
    ]
    model = ScriptedModel()
    with served(model) as server:
        system = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
        body = {"model": "scripted", "max_tokens": 9, "system": system, "messages": messages, "top_k": 3, "top_p": 0.5, "temperature": 0.5}
        response = server.client.post("/v1/messages?beta=true", json=body, headers={"anthropic-version": "2023-06-01", "x-api-key": "x"})
        assert response.status_code == 200
    prompt = model.processor.tokenizer.decode(model.questions[-1].input_ids)
    assert "Be brief." in prompt
    assert "List\nrye\nThree" in prompt
    assert "Two" in prompt
    assert "SECRET" not in prompt
    params = model.params[-1]
    assert (params.max_tokens, params.top_k, params.top_p, params.temperature) == (9, 3, 0.5, 0.5)


@pytest.mark.parametrize(
    ("fields", "status", "kind", "words"),
    [
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens"),
        ({"temperature": 1.5}, 400, "invalid_request_error", "temperature"),
        ({"model": "other"}, 404, "not_found_error", "no such model"),
        ({"max_tokens": 5000}, 400, "invalid_request_error", "context holds"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, 400, "invalid_request_error", "budget_tokens"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "The"}]}, 400, "invalid_request_error", "last message"),
        ({"output_config": {"effort": "low"}}, 400, "invalid_request_error", "output_config.effort"),
        ({"tool_choice": {"type": "tool", "name": "none"}, "tools": [ADD]}, 400, "invalid_request_error", "tool_choice"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "invalid_request_error", "tools[0].type"),
        (
            {"tools": [{**ADD, "input_schema": {"type": "array"}}]},
            400,
            "invalid_request_error",
            "tools[0].input_schema must be of type object",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "5"}]}]},
            400,
            "invalid_request_error",
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"messages": about({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, "?")},
            400,
            "invalid_request_error",
            "messages[0].content[0]",
        ),
        ({"mesages": 1}, 400, "invalid_request_error", "mesages"),
    ],
)
def test_what_is_refused_is_told_in_anthropic_s_words(scripted, fields, status, kind, words):
    body = {"model": "scripted", "max_tokens": 100, "messages": HELLO, **fields}
    response = scripted.client.post("/v1/messages", json={name: value for name, value in body.items() if value is not None})
    told = response.json()
    assert (response.status_code, told["type"], told["error"]["type"]) == (status, "error", kind), told
    assert words in told["error"]["message"]
    assert told["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ApiError(503, "queue_timeout", "m"), 529, "overloaded_error"),
        (ApiError(503, "request_timeout", "m"), 504, "timeout_error"),
        (ApiError(408, "request_timeout", "m"), 408, "invalid_request_error"),
        (ApiError(503, "draining", "m"), 503, "api_error"),
        (ApiError(413, "body_too_large", "m"), 413, "request_too_large"),
        (ApiError(429, "rate_limit_exceeded", "m"), 429, "rate_limit_error"),
    ],
)
def test_the_kinds_of_errors(error, status, kind):
    told, body = shaped(error, "number")
    assert (told, json.loads(body)["error"], json.loads(body)["request_id"]) == (status, {"type": kind, "message": "m"}, "number")


def test_errors_have_their_classes():
    with served(ScriptedModel(), keys=(("anna", "anna-secret-1"),)) as server:
        fields = {"model": "scripted", "max_tokens": 10, "messages": HELLO}
        at = {"base_url": f"http://127.0.0.1:{server.port}", "max_retries": 0}
        with anthropic.Anthropic(**at, api_key="wrong-secret") as stranger, pytest.raises(anthropic.AuthenticationError):
            stranger.messages.create(**fields)
        with anthropic.Anthropic(**at, auth_token="anna-secret-1") as bearer:
            assert bearer.messages.create(**fields).content[0].text == "fine"
        with anthropic.Anthropic(**at, api_key="anna-secret-1") as anna:
            assert anna.messages.create(**fields).content[0].text == "fine"
            with pytest.raises(anthropic.NotFoundError):
                anna.messages.create(**{**fields, "model": "other"})
            server.model.script = Script(EngineBusy("full"))
            with pytest.raises(anthropic.APIStatusError) as caught:
                anna.messages.create(**fields)
            assert (caught.value.status_code, caught.value.body["error"]["type"]) == (529, "overloaded_error")
            assert caught.value.response.headers["retry-after"]
            server.model.script = Script("so far", EngineBusy("full"))
            with pytest.raises(anthropic.APIStatusError, match="overloaded"), anna.messages.stream(**fields) as stream:
                stream.until_done()


def test_a_stream_that_fails_ends_with_the_error(scripted):
    scripted.model.script = Script("so far", RuntimeError("a bug"))
    try:
        response = scripted.client.post("/v1/messages", json={"model": "scripted", "max_tokens": 9, "messages": HELLO, "stream": True})
    finally:
        scripted.model.script = Script("fine")
    last = response.text.rstrip("\n").split("\n\n")[-1]
    assert last.startswith("event: error\n")
    assert json.loads(last.partition("data: ")[2])["error"]["type"] == "api_error"


def test_whoever_waits_is_pinged():
    go_on = threading.Event()
    with served(ScriptedModel(Script(go_on, "fine")), quiet_s=0.02) as server:
        body = {"model": "scripted", "max_tokens": 9, "messages": HELLO, "stream": True}
        with httpx.stream("POST", f"http://127.0.0.1:{server.port}/v1/messages", json=body) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: ping"
            go_on.set()
            assert any('"text":"fine"' in line for line in lines)
