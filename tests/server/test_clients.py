"""Clients that nobody here wrote: OpenAI's package, as people use it."""

import base64
import json
from pathlib import Path
from typing import Literal

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from tests.server.serving import Script, ScriptedModel, served

EXAMPLES = Path(__file__).parents[2] / "examples"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def client(nano):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{nano.port}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_models_and_files(client):
    [model] = client.models.list().data
    assert (model.id, model.context_length, model.thinking) == ("nano", 16384, True)
    assert client.models.retrieve("nano").id == "nano"
    file = client.files.create(file=EXAMPLES / "invoice.png", purpose="user_data")
    assert [one.id for one in client.files.list()] == [file.id]
    assert client.files.content(file.id).read() == (EXAMPLES / "invoice.png").read_bytes()
    content = [{"type": "image_url", "image_url": {"url": file.id}}, {"type": "text", "text": "What is the invoice number?"}]
    answer = client.chat.completions.create(model="nano", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "2024-0317"
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_stream_and_what_it_says_of_itself(client):
    url = "data:image/png;base64," + base64.b64encode((EXAMPLES / "receipt.png").read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "How much was paid?"}]
    fields = {"model": "nano", "messages": [{"role": "user", "content": content}], "temperature": 0, "logprobs": True, "top_logprobs": 1}
    whole = client.chat.completions.create(**fields)
    chunks = list(client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_every_word_that_a_chat_takes(client):
    fields = {"model": "nano", "messages": HELLO, "n": 2, "seed": 7, "temperature": 2, "top_p": 1, "stop": ["zzz"], "logprobs": True}
    fields |= {"presence_penalty": 0.5, "frequency_penalty": 0.5, "logit_bias": {"300": -100}, "top_logprobs": 2, "user": "anna"}
    fields |= {"max_completion_tokens": 6, "response_format": {"type": "text"}, "reasoning_effort": "none"}
    whole = client.chat.completions.create(**fields)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert len({choice.message.content for choice in whole.choices}) == 2
    assert whole.usage.completion_tokens == sum(len(choice.logprobs.content) for choice in whole.choices)
    for choice in whole.choices:
        assert "".join(token.token for token in choice.logprobs.content).strip() == choice.message.content
        assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    said = ["", ""]
    for chunk in client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == [choice.message.content for choice in whole.choices]
    assert chunk.usage == whole.usage
    anything = client.chat.completions.create(
        model="nano", messages=HELLO, response_format={"type": "json_object"}, max_tokens=5, reasoning_effort="none"
    )
    assert anything.choices[0].message.content.startswith("{")


def test_what_is_asked_beside_answers(client, nano):
    """By the client's own words for routes that it does not know, and by Prometheus's reader."""
    counted = client.post("/tokenize", body={"messages": HELLO}, cast_to=object)
    assert counted["count"] == client.chat.completions.create(model="nano", messages=HELLO, max_tokens=1).usage.prompt_tokens
    origin = f"http://127.0.0.1:{nano.port}"
    assert client.get(f"{origin}/health", cast_to=object) == {"status": "ok"}
    assert client.get(f"{origin}/ready", cast_to=object) == {"status": "ready", "model": "nano"}
    families = {family.name: family for family in text_string_to_metric_families(nano.client.get("/metrics").text)}
    assert {"kimi_vl_requests", "kimi_vl_tokens", "kimi_vl_cache_pages"} <= families.keys()
    routes = {sample.labels["route"] for sample in families["kimi_vl_requests"].samples if "route" in sample.labels}
    assert {"/v1/chat/completions", "/v1/tokenize", "/ready"} <= routes


class Answer(BaseModel):
    colour: Literal["red", "green"]
    sure: bool


def test_an_answer_as_an_object(client):
    answer = client.chat.completions.parse(model="nano", messages=HELLO, response_format=Answer, reasoning_effort="none")
    assert answer.choices[0].message.parsed.colour in ("red", "green")


def test_errors_have_their_classes(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="nano", messages=HELLO, temperature=3)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "temperature")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=HELLO)
    with served(ScriptedModel(), keys=(("anna", "anna-secret-1"),)) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        with openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as stranger, pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        with openai.OpenAI(base_url=url, api_key="anna-secret-1", max_retries=0) as anna:
            assert anna.models.list().data[0].id == "scripted"


def test_a_conversation_with_tools_goes_round():
    """What the client's own object says of an answer is sent back as it is, with what the tool gave."""
    call = '<tool_call>{"name": "add", "arguments": {"a": 2, "b": 3}}</tool_call>'
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}, "b": {}}}}}]
    model = ScriptedModel(Script(call))
    with served(model) as server, openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="x", max_retries=0) as client:
        first = client.chat.completions.create(model="scripted", messages=HELLO, tools=tools).choices[0]
        assert first.finish_reason == "tool_calls"
        [made] = first.message.tool_calls
        result = {"role": "tool", "tool_call_id": made.id, "content": str(sum(json.loads(made.function.arguments).values()))}
        model.script = Script("It is 5.")
        messages = [*HELLO, first.message, result]
        assert client.chat.completions.create(model="scripted", messages=messages, tools=tools).choices[0].message.content == "It is 5."
        with client.chat.completions.stream(model="scripted", messages=messages) as stream:
            assert stream.get_final_completion().choices[0].message.content == "It is 5."
