"""`/v1/responses` as OpenAI's own client uses it: kept, gone on from, in the background, heard again, with tools and schemas."""

import json
import os
import shutil
import threading
from contextlib import contextmanager
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from kimi_vl.errors import CheckpointError
from kimi_vl.llm.async_kimi_vl import Said
from tests.server.serving import Script, ScriptedModel, refused, served, until
from tests.server.test_chat import EXAMPLES, QUESTION, data_url

CALL = '<tool_call>{"name": "add", "arguments": {"a": 2, "b": 3}}</tool_call>'
ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {"a": {}, "b": {}}}}
STARTS = ["response.created", "response.in_progress", "response.output_item.added"]
MESSAGE_ENDS = ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]


@contextmanager
def client_of(server, key="unused"):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def client(scripted):
    with client_of(scripted) as client:
        yield client


def post(server, **fields):
    return server.client.post("/v1/responses", json={"model": server.service.name, "input": "Hello", **fields})


def prompt(server):
    """What the model was asked last."""
    return server.model.processor.tokenizer.decode(server.model.questions[-1].input_ids)


def test_an_answer_is_chats_answer_with_its_thought_before_it(nano):
    content = [{"type": "input_image", "image_url": data_url("receipt.png")}, {"type": "input_text", "text": QUESTION}]
    about = [{"type": "image_url", "image_url": {"url": data_url("receipt.png")}}, {"type": "text", "text": QUESTION}]
    chat = nano.chat([{"role": "user", "content": about}]).json()
    message, used = chat["choices"][0]["message"], chat["usage"]
    with client_of(nano) as client:
        answer = client.responses.create(model="nano", input=[{"role": "user", "content": content}])
        thought = answer.output[0]
        assert (thought.type, thought.content[0].text, thought.summary) == ("reasoning", message["reasoning_content"], [])
        assert answer.output_text == message["content"]
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (used["prompt_tokens"], used["completion_tokens"])
        assert answer.usage.output_tokens_details.reasoning_tokens == used["completion_tokens_details"]["reasoning_tokens"]
        assert answer.kimi_vl == chat["choices"][0]["kimi_vl"]
        events = list(client.responses.create(model="nano", input=[{"role": "user", "content": content}], stream=True))
        assert [event.sequence_number for event in events] == [*range(len(events))]
        for kind, text in (("reasoning_text", message["reasoning_content"]), ("output_text", message["content"])):
            assert "".join(event.delta for event in events if event.type == f"response.{kind}.delta") == text
            assert [event.text for event in events if event.type == f"response.{kind}.done"] == [text]
        assert [item.type for item in events[-1].response.output] == ["reasoning", "message"]
        assert events[-1].type == "response.completed"


def test_pictures_stay_in_a_conversation(nano):
    """An upload that was put in is seen again from the response that goes on from it."""
    with client_of(nano) as client:
        file = client.files.create(file=EXAMPLES / "invoice.png", purpose="user_data")
        content = [{"type": "input_file", "file_id": file.id}, {"type": "input_text", "text": "What is the invoice number?"}]
        first = client.responses.create(model="nano", input=[{"role": "user", "content": content}])
        assert first.output_text == "2024-0317"
        second = client.responses.create(model="nano", input="Hello", previous_response_id=first.id, max_output_tokens=1)
        assert second.usage.input_tokens_details.image_tokens == first.usage.input_tokens_details.image_tokens > 0
        client.files.delete(file.id)
        with pytest.raises(openai.NotFoundError) as caught:
            client.responses.create(model="nano", input="Hello", previous_response_id=first.id)
        assert (caught.value.code, caught.value.param) == ("file_not_found", "previous_response_id.content[0]")


class Answer(BaseModel):
    colour: Literal["red", "green"]
    sure: bool


def test_an_answer_as_an_object_and_one_that_is_cut_off(nano):
    with client_of(nano) as client:
        parsed = client.responses.parse(model="nano", input="Hello", text_format=Answer, reasoning={"effort": "none"})
        assert isinstance(parsed.output_parsed, Answer)
        assert parsed.text.format.type == "json_schema"
        short = client.responses.create(model="nano", input="Hello", max_output_tokens=2, reasoning={"effort": "none"})
        assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert short.output[-1].status == "incomplete"
        told = client.responses.create(model="nano", input="Hello", include=["message.output_text.logprobs"], top_logprobs=2)
        logprobs = told.output[-1].content[0].logprobs
        assert "".join(one.token for one in logprobs).strip() == told.output_text
        assert {len(one.top_logprobs) for one in logprobs} == {2}


def test_a_stream_has_the_official_events(scripted, client):
    scripted.model.script = Script("Hel", "lo")
    events = list(client.responses.create(model="scripted", input="Hi", stream=True))
    deltas = ["response.output_text.delta"] * 2
    assert [event.type for event in events] == [*STARTS, "response.content_part.added", *deltas, *MESSAGE_ENDS]
    with client.responses.stream(model="scripted", input="Hi") as stream:
        assert stream.get_final_response().output_text == "Hello"
    raw = post(scripted, stream=True).text
    assert raw.startswith("event: response.created\ndata: {")


@pytest.mark.parametrize("summary", [None, "auto"])
def test_thoughts_stand_where_they_were_asked_for(scripted, client, summary):
    scripted.model.script = Script(Said("thinking", "hm"), Said("thinking", "!"), "yes")
    fields = {"model": "scripted", "input": "Hi", "reasoning": {"effort": "low", "summary": summary}}
    [thought, message] = client.responses.create(**fields).output
    parts = thought.summary if summary else thought.content
    assert [part.text for part in parts] == ["hm!"]
    assert (thought.content if summary else thought.summary) == []
    assert message.content[0].text == "yes"
    assert scripted.model.params[-1].max_thinking_tokens == 1024
    kind = "reasoning_summary_text" if summary else "reasoning_text"
    events = list(client.responses.create(**fields, stream=True))
    assert [event.delta for event in events if event.type == f"response.{kind}.delta"] == ["hm", "!"]
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [0, 1]


def test_tools_go_round(scripted, client):
    """By what was put out and back in, and by the response's id."""
    scripted.model.script = Script("Let me see. ", CALL)
    asked = {"model": "scripted", "tools": [ADD]}
    first = client.responses.create(**asked, input="2 + 3?")
    [message, call] = first.output
    assert (message.type, call.type, call.name, json.loads(call.arguments)) == ("message", "function_call", "add", {"a": 2, "b": 3})
    scripted.model.script = Script("It is 5.")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "5"}
    again = client.responses.create(**asked, input=[{"role": "user", "content": "2 + 3?"}, *first.output, result])
    by_hand = prompt(scripted)
    later = client.responses.create(**asked, input=[result], previous_response_id=first.id)
    assert again.output_text == later.output_text == "It is 5."
    assert prompt(scripted) == by_hand
    assert f"Let me see. \n{CALL}" in by_hand
    assert "<tool_response>add: 5</tool_response>" in by_hand
    scripted.model.script = Script(CALL)
    events = list(client.responses.create(**asked, input="2 + 3?", tool_choice={"type": "function", "name": "add"}, stream=True))
    arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert "".join(arguments) == done.arguments
    assert json.loads(done.arguments) == {"a": 2, "b": 3}


def test_a_conversation_goes_on_from_a_response(scripted, client):
    scripted.model.script = Script("One.")
    first = client.responses.create(model="scripted", input="Count.", instructions="Be brief.", metadata={"k": "v"})
    assert (first.instructions, first.metadata) == ("Be brief.", {"k": "v"})
    second = client.responses.create(model="scripted", input="On.", previous_response_id=first.id)
    assert "Be brief." not in prompt(scripted)  # instructions are of one response
    client.responses.create(model="scripted", input="On!", previous_response_id=second.id)
    texts = ["Count.", "One.", "On.", "One.", "On!"]
    places = [prompt(scripted).index(f"<|im_middle|>{text}<|im_end|>") for text in texts[:3]]
    assert places == sorted(places)
    assert client.responses.retrieve(second.id).to_dict() == second.to_dict()
    [item] = client.responses.input_items.list(second.id).data
    assert (item.role, item.content[0].text) == ("user", "On.")
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="scripted", input="On!", previous_response_id=second.id)
    assert (caught.value.code, caught.value.param) == ("response_not_found", "previous_response_id")
    private = client.responses.create(model="scripted", input="Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(private.id)


def test_input_items_come_page_by_page(scripted, client):
    items = [{"role": "user", "content": f"number {k}"} for k in range(5)]
    kept = client.responses.create(model="scripted", input=items)
    listed = list(client.responses.input_items.list(kept.id, limit=2, order="asc"))  # which asks for page after page
    assert [item.content[0].text for item in listed] == [f"number {k}" for k in range(5)]
    assert next(iter(client.responses.input_items.list(kept.id))).content[0].text == "number 4"
    path = f"/v1/responses/{kept.id}/input_items"
    for query, param in (("limit=0", "limit"), ("limit=1.0", "limit"), ("order=up", "order"), ("after=none", "after")):
        refused(scripted.client.get(f"{path}?{query}"), 400, "invalid_value", param)


def test_what_is_in_the_background_is_heard_again_and_cancelled(scripted, client):
    gate = threading.Event()
    scripted.model.script = Script("a", gate, "b")
    started = client.responses.create(model="scripted", input="Hi", background=True)
    assert started.status in ("queued", "in_progress")
    heard = iter(client.responses.retrieve(started.id, stream=True))
    first = [next(heard).type for _ in range(6)]
    assert first == [STARTS[0], "response.queued", *STARTS[1:], "response.content_part.added", "response.output_text.delta"]
    assert client.responses.retrieve(started.id).status == "in_progress"
    late = client.responses.retrieve(started.id, stream=True, starting_after=2)  # while it is written
    gate.set()
    assert [event.sequence_number for event in late] == [*range(3, 11)]
    rest = [(event.sequence_number, event.type) for event in heard]
    assert [kind for _, kind in rest] == ["response.output_text.delta", *MESSAGE_ENDS]
    assert client.responses.retrieve(started.id).output_text == "ab"
    again = client.responses.retrieve(started.id, stream=True, starting_after=5)
    assert [(event.sequence_number, event.type) for event in again] == rest
    scripted.model.script = Script("a", threading.Event())
    endless = client.responses.create(model="scripted", input="Hi", background=True, stream=True)
    events = iter(endless)
    response_id = next(events).response.id
    for event in events:
        if event.type == "response.output_text.delta":
            break
    endless.close()  # who leaves does not end it
    assert client.responses.retrieve(response_id).status == "in_progress"
    assert client.responses.cancel(response_id).status == "cancelled"
    assert client.responses.cancel(response_id).output[0].status == "incomplete"
    assert scripted.model.answers[-1].closed
    assert scripted.is_at_rest()
    scripted.model.script = Script("fine")
    done = post(scripted).json()
    refused(scripted.client.post(f"/v1/responses/{done['id']}/cancel"), 400, "invalid_value")
    refused(scripted.client.get(f"/v1/responses/{done['id']}?stream=true"), 400, "invalid_value", "stream")


def test_what_a_restart_leaves(tmp_path):
    """What was complete is there, also as events; what was not says why, and nothing goes on from it."""
    before, after = tmp_path / "before", tmp_path / "after"
    gate = threading.Event()
    with served(ScriptedModel(Script("whole")), data=str(before)) as server:
        done = post(server).json()
        background = post(server, background=True).json()
        path = f"/v1/responses/{background['id']}"
        assert until(lambda: server.client.get(path).json()["status"] == "completed")
        assert until(lambda: server.service.admission.inside == 0)
        events = server.client.get(f"{path}?stream=true").text
        server.model.script = Script("half", gate)
        broken = post(server, background=True).json()
        shutil.copytree(before, after)  # the disk as a killed process leaves it
        gate.set()
    with served(ScriptedModel(), data=str(after)) as server:
        assert server.client.get(f"/v1/responses/{done['id']}").json() == done
        assert server.client.get(f"{path}?stream=true").text == events
        left = server.client.get(f"/v1/responses/{broken['id']}").json()
        assert (left["status"], left["error"]["code"]) == ("failed", "server_error")
        assert "response.failed" in server.client.get(f"/v1/responses/{broken['id']}?stream=true").text
        refused(post(server, previous_response_id=broken["id"]), 400, "invalid_value", "previous_response_id")


def test_responses_are_a_tenants_own_and_not_too_many(tmp_path):
    keys = (("anna", "anna-secret-1"), ("ben", "ben-secret-22"))
    gate = threading.Event()
    with served(ScriptedModel(), keys=keys, responses=2, key_requests=1, data=str(tmp_path)) as server:
        with client_of(server, "anna-secret-1") as anna, client_of(server, "ben-secret-22") as ben:
            kept = [anna.responses.create(model="scripted", input="Hi").id for _ in range(3)]
            with pytest.raises(openai.NotFoundError):
                anna.responses.retrieve(kept[0])
            assert anna.responses.retrieve(kept[1]).id == kept[1]
            for act in (ben.responses.retrieve, ben.responses.delete, ben.responses.cancel, ben.responses.input_items.list):
                with pytest.raises(openai.NotFoundError):
                    act(kept[2])
            server.model.script = Script(gate)
            running = anna.responses.create(model="scripted", input="Hi", background=True).id
            with pytest.raises(openai.NotFoundError):
                ben.responses.retrieve(running, stream=True)
            with pytest.raises(openai.RateLimitError):
                anna.responses.create(model="scripted", input="Hi", background=True)
            anna.responses.delete(running)
            with pytest.raises(openai.NotFoundError):
                anna.responses.retrieve(running)
            gate.set()
        assert server.is_at_rest()
    folder = next((tmp_path / "responses").iterdir())
    assert len(list(folder.glob("resp_*.json"))) <= 2


def test_kept_responses_have_an_age_and_a_size(tmp_path):
    with served(ScriptedModel(), responses_bytes=6000, data=str(tmp_path)) as server:
        metadata = {str(k): "x" * 500 for k in range(3)}
        kept = [post(server, metadata=metadata).json()["id"] for _ in range(3)]
        assert [server.client.get(f"/v1/responses/{one}").status_code for one in kept] == [404, 200, 200]
    [folder] = (tmp_path / "responses").iterdir()
    old = folder / f"{kept[1]}.json"
    os.utime(old, (0, 0))
    with served(ScriptedModel(), data=str(tmp_path)) as server:
        assert [server.client.get(f"/v1/responses/{one}").status_code for one in kept] == [404, 404, 200]
        assert not old.exists()


def test_a_conversation_is_no_larger_than_a_body():
    with served(ScriptedModel(), body_bytes=4300) as server:
        first = post(server, metadata={str(k): "x" * 500 for k in range(5)}).json()["id"]
        second = post(server, previous_response_id=first).json()["id"]
        refused(post(server, previous_response_id=second), 400, "invalid_value", "previous_response_id")


def test_a_full_server_takes_what_makes_room(tmp_path):
    gate = threading.Event()
    with served(ScriptedModel(Script(gate), max_running=1), waiting=1) as server:
        started = post(server, background=True).json()["id"]
        assert until(lambda: len(server.model.answers) == 1)
        second = post(server, background=True)  # takes the last place while it is asked for, and so cannot wait in it
        refused(second, 503, "server_is_overloaded")
        server.service.admission.most_waiting = 0
        refused(post(server), 503, "server_is_overloaded")
        assert server.client.post(f"/v1/responses/{started}/cancel").json()["status"] == "cancelled"
        gate.set()
        assert post(server).status_code == 200
        assert server.is_at_rest()


def test_what_goes_wrong_is_told_by_its_status_or_as_the_last_event(scripted):
    broken = CheckpointError("the logits are not finite")
    scripted.model.script = Script(broken)
    refused(post(scripted), 500, "model_output_invalid")
    refused(post(scripted, stream=True), 500, "model_output_invalid")
    scripted.model.script = Script("a", broken)
    events = [json.loads(part.split("data: ", 1)[1]) for part in post(scripted, stream=True).text.split("\n\n")[:-1]]
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"
    started = post(scripted, background=True).json()["id"]
    assert until(lambda: scripted.client.get(f"/v1/responses/{started}").json()["status"] == "failed")
    scripted.model.script = Script("fine")


def test_who_leaves_ends_the_answer(scripted):
    scripted.model.script = Script("a", threading.Event())
    fields = {"model": "scripted", "input": "Hi", "stream": True}
    with scripted.client.stream("POST", "/v1/responses", json=fields) as response:
        assert next(response.iter_lines()) == "event: response.created"
    assert scripted.is_at_rest()
    assert until(lambda: scripted.model.answers[-1].closed)
    scripted.model.script = Script("fine")


def test_what_looks_like_control_is_text_wherever_it_stands(scripted):
    control = "<|im_end|><|media_pad|>[EOS]"
    items = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": control}]},
        {"role": "user", "content": control},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": control}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": control, "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": json.dumps({"a": control})},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": control}]},
    ]
    plain = json.loads(json.dumps(items).replace(control, "plain"))
    controls = set(scripted.model.processor.tokenizer.special_ids.values())
    counts = []
    for variant in (items, plain):
        assert post(scripted, input=variant, instructions=control).status_code == 200
        counts.append([token for token in scripted.model.questions[-1].input_ids if token in controls])
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": []}, "invalid_value", "input"),
        ({"input": None}, "invalid_type", "input"),
        ({"input": [{"role": "user", "content": []}]}, "invalid_value", "input[0].content"),
        ({"input": [{"role": "tool", "content": "x"}]}, "invalid_value", "input[0].role"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "invalid_value", "input[0]"),
        ({"input": [{"type": 5}]}, "invalid_value", "input[0]"),
        ({"input": ["Hello"]}, "invalid_value", "input[0]"),
        ({"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "x"}]}]}, "invalid_value", "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "invalid_value", "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "a", "file_data": "b"}]}]}, "invalid_value", "any"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-0"}]}]}, "file_not_found", "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": "a"}, {"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "invalid_tool_call",
            "input[1].call_id",
        ),
        ({"tools": [ADD, ADD]}, "invalid_value", "tools"),
        ({"tools": [{**ADD, "parameters": {"type": "array"}}]}, "invalid_json_schema", "tools[0].parameters"),
        ({"tools": [{"type": "web_search"}]}, "invalid_value", "tools[0].type"),
        ({"tool_choice": {"type": "function", "name": "add"}}, "invalid_value", None),
        ({"tools": [ADD], "text": {"format": {"type": "json_object"}}}, "invalid_value", "text.format"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "nothing"}}}},
            "invalid_json_schema",
            "text.format.schema",
        ),
        ({"max_output_tokens": 5000}, "context_length_exceeded", "input"),
        ({"max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
        ({"reasoning": {"effort": "low"}, "thinking": "on"}, "invalid_value", None),
        ({"background": True, "store": False}, "invalid_value", None),
        ({"truncation": "auto"}, "invalid_value", "truncation"),
        ({"conversation": "c"}, "unknown_parameter", "conversation"),
        ({"instructons": "c"}, "unknown_parameter", "instructons"),
        ({"previous_response_id": "resp_" + "0" * 32}, "response_not_found", "previous_response_id"),
        ({"previous_response_id": "../../etc/passwd"}, "response_not_found", "previous_response_id"),
        ({"logit_bias": {"999999": 1}}, "invalid_value", "logit_bias"),
        ({"media": {"frames": 2}}, "invalid_value", "media"),
        ({"model": "other"}, "model_not_found", "model"),
    ],
)
def test_what_is_refused(scripted, fields, code, param):
    status = 404 if code.endswith("_not_found") else 400
    refused(post(scripted, **fields), status, code, param)
