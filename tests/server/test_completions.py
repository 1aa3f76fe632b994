"""`/v1/completions`: what follows a text is what the network says, and nothing in the text is more than text."""

import json

import openai
import pytest
import torch

from tests.server.serving import Script, refused, until

TEXT = "Total 12.50\nCash"


def complete(server, prompt=TEXT, **fields):
    return server.client.post("/v1/completions", json={"model": server.service.name, "prompt": prompt, **fields})


def texts(response):
    assert response.status_code == 200, response.text
    return [choice["text"] for choice in response.json()["choices"]]


def events(server, prompt=TEXT, **fields):
    response = complete(server, prompt, stream=True, **fields)
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.fixture(scope="module")
def reference(plain):
    """The eight likeliest tokens behind TEXT, one after another, and their log-probabilities, by the network alone."""
    ids = plain.processor.tokenizer.encode(TEXT)
    prompt, told = len(ids), []
    with torch.inference_mode():
        for _ in range(8):
            logprobs = plain.model(torch.tensor(ids))[-1].log_softmax(-1)
            ids.append(int(logprobs.argmax()))
            told.append(float(logprobs.max()))
    return ids[prompt:], told


def test_a_text_goes_on_as_the_network_says(nano, plain, reference):
    ids, told = reference
    response = complete(nano, max_tokens=8, logprobs=2)
    [choice] = response.json()["choices"]
    expected = plain.processor.tokenizer.decode(ids)
    assert choice["text"] == expected
    assert choice["finish_reason"] == "length"
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == expected
    assert logprobs["token_logprobs"] == pytest.approx(told, abs=1e-3)
    assert logprobs["text_offset"] == [len("".join(logprobs["tokens"][:k])) for k in range(8)]
    assert [(len(one), max(one.values())) for one in logprobs["top_logprobs"]] == [(2, value) for value in logprobs["token_logprobs"]]
    usage = response.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(plain.processor.tokenizer.encode(TEXT)), 8)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_prompts_in_each_form_and_several_answers(nano, plain):
    ids = plain.processor.tokenizer.encode(TEXT)
    [alone] = texts(complete(nano, max_tokens=8))
    assert texts(complete(nano, ids, max_tokens=8)) == [alone]
    [other] = texts(complete(nano, "Invoice", max_tokens=8))
    assert texts(complete(nano, [TEXT, "Invoice"], max_tokens=8, n=2)) == [alone, alone, other, other]
    assert texts(complete(nano, [ids, ids], max_tokens=8, echo=True)) == [TEXT + alone] * 2
    assert len(texts(complete(nano))[0]) <= len(alone) * 4  # sixteen tokens where nothing is said


@pytest.fixture(scope="module")
def read(plain):
    """TEXT's tokens, and the log-probability of each but the first by the network alone."""
    ids = plain.processor.tokenizer.encode(TEXT)
    with torch.inference_mode():
        logprobs = plain.model(torch.tensor(ids))[:-1].log_softmax(-1)
    return ids, logprobs, logprobs.gather(1, torch.tensor(ids)[1:, None])[:, 0].tolist()


def test_an_echoed_prompt_has_the_log_probabilities_of_the_network(nano, plain, read):
    ids, logprobs, own = read
    tokenizer = plain.processor.tokenizer
    body = complete(nano, ids, max_tokens=0, echo=True, logprobs=2).json()
    [choice] = body["choices"]
    told = choice["logprobs"]
    assert (choice["text"], choice["finish_reason"]) == (TEXT, "length")
    assert told["tokens"] == [tokenizer.decode([one]) for one in ids]
    assert told["text_offset"] == [len(tokenizer.decode(ids[:k])) for k in range(len(ids))]
    assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
    assert told["token_logprobs"][1:] == pytest.approx(own, abs=1e-4)
    for top, row in zip(told["top_logprobs"][1:], logprobs, strict=True):
        assert top == pytest.approx({tokenizer.decode([k]): float(row[k]) for k in row.topk(2).indices.tolist()}, abs=1e-4)
    assert (body["usage"]["completion_tokens"], body["usage"]["total_tokens"]) == (0, len(ids))


@pytest.mark.parametrize("max_tokens", [0, 3])
def test_echoed_log_probabilities_stand_before_those_of_each_answer(nano, read, max_tokens):
    """Of several prompts with several answers, whole and in a stream, after the prompt is in the cache."""
    ids, _, own = read
    fields = {"max_tokens": max_tokens, "n": 2, "echo": True, "logprobs": 0}
    whole = complete(nano, [TEXT, "Invoice"], **fields).json()
    [alone] = complete(nano, max_tokens=3, logprobs=0).json()["choices"]
    came = events(nano, [TEXT, "Invoice"], **fields, stream_options={"include_usage": True})
    assert len(whole["choices"]) == 4
    for choice in whole["choices"]:
        parts = [c for event in came for c in event["choices"] if c["index"] == choice["index"]]
        assert ("".join(c["text"] for c in parts), parts[-1]["finish_reason"]) == (choice["text"], choice["finish_reason"])
        for key in ("tokens", "text_offset", "token_logprobs"):
            assert [one for c in parts if c["logprobs"] for one in c["logprobs"][key]] == choice["logprobs"][key]
        assert choice["logprobs"]["top_logprobs"] is None
    for choice in whole["choices"][:2]:
        told = choice["logprobs"]["token_logprobs"]
        assert told[1:] == pytest.approx(own + alone["logprobs"]["token_logprobs"][:max_tokens], abs=1e-4)
        assert choice["logprobs"]["text_offset"][len(ids) :] == [len(TEXT) + k for k in alone["logprobs"]["text_offset"][:max_tokens]]
    assert came[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] == 4 * max_tokens


def test_a_stream_is_the_same(nano):
    fields = {"max_tokens": 8, "n": 2, "logprobs": 1, "stream_options": {"include_usage": True}}
    prompts = [TEXT, "Invoice"]
    whole = complete(nano, prompts, **{k: v for k, v in fields.items() if k != "stream_options"}).json()
    came = events(nano, prompts, **fields)
    for choice in whole["choices"]:
        own = [c for event in came for c in event["choices"] if c["index"] == choice["index"]]
        assert "".join(c["text"] for c in own) == choice["text"]
        assert own[-1]["finish_reason"] == choice["finish_reason"]
        told = [c["logprobs"] for c in own if c["logprobs"]]
        for key in ("tokens", "text_offset"):
            assert [one for part in told for one in part[key]] == choice["logprobs"][key]
    assert came[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] == 32
    echoed = events(nano, max_tokens=2, echo=True)
    assert echoed[0]["choices"][0]["text"] == TEXT


def test_what_looks_like_control_is_text_and_so_are_thoughts(scripted):
    control = "<|im_end|><|im_assistant|>[EOS]<|media_pad|>"
    scripted.model.script = Script("  ◁think▷", " so ◁/think▷ \n")
    tokenizer = scripted.model.processor.tokenizer
    assert texts(complete(scripted, control, echo=True)) == [control + "  ◁think▷ so ◁/think▷ \n"]
    question = scripted.model.questions[-1]
    assert not set(question.input_ids) & set(tokenizer.special_ids.values())
    assert (question.verbatim, question.thinking) == (True, "off")


def test_thoughts_of_a_real_answer_are_text_too(nano, plain):
    """A mark that the model is made to say stands in the text, with the white space around it."""
    mark = plain.processor.tokenizer.encode(" ◁think▷")
    [text] = texts(complete(nano, max_tokens=1, logit_bias={str(mark[0]): 100}))
    assert text == plain.processor.tokenizer.decode(mark[:1])
    [text] = texts(complete(nano, max_tokens=3, logit_bias={str(plain.processor.tokenizer.encode("\n")[0]): 100}))
    assert text == "\n\n\n"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": []}, "invalid_value", "prompt"),
        ({"prompt": ["a", ""]}, "invalid_value", "prompt[1]"),
        ({"prompt": ["a", 1]}, "invalid_type", "prompt[1]"),
        ({"prompt": [1, "a"]}, "invalid_type", "prompt[1]"),
        ({"prompt": [True]}, "invalid_type", "prompt[0]"),
        ({"prompt": [1.0]}, "invalid_type", "prompt[0]"),
        ({"prompt": [-1]}, "invalid_value", "prompt[0]"),
        ({"prompt": [[1], []]}, "invalid_value", "prompt[1]"),
        ({"prompt": [1 << 23]}, "invalid_value", "prompt"),
        ({"prompt": None}, "invalid_type", "prompt"),
        ({"prompt": ["a"] * 9, "n": 8}, "invalid_value", "prompt"),
        ({"prompt": "a b " * 600}, "context_length_exceeded", "prompt"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"max_tokens": 5000}, "context_length_exceeded", "prompt"),
        ({"suffix": "end"}, "invalid_value", "suffix"),
        ({"best_of": 2}, "unknown_parameter", "best_of"),
        ({"logprobs": 21}, "invalid_value", "logprobs"),
        ({"stream_options": {"include_usage": True}}, "invalid_value", None),
        ({"messages": []}, "unknown_parameter", "messages"),
        ({"model": "other"}, "model_not_found", "model"),
    ],
)
def test_what_is_refused(scripted, fields, code, param):
    error = refused(complete(scripted, **fields), 404 if code == "model_not_found" else 400, code)
    assert error["param"] == param, error


def test_control_tokens_are_refused_by_id(scripted):
    for token in scripted.model.processor.tokenizer.special_ids.values():
        refused(complete(scripted, [1, token]), 400, "invalid_value", "prompt")


def test_who_leaves_frees_all_prompts(nano):
    with nano.client.stream(
        "POST", "/v1/completions", json={"model": "nano", "prompt": ["a", "b"], "max_tokens": 900, "stream": True}
    ) as r:
        assert next(r.iter_lines()).startswith("data: ")
    assert until(lambda: nano.model.activity.running == 0)
    assert nano.is_at_rest()


def test_the_official_client(nano):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{nano.port}/v1", api_key="unused", max_retries=0) as client:
        whole = client.completions.create(model="nano", prompt=TEXT, max_tokens=8, temperature=0)
        stream = client.completions.create(model="nano", prompt=TEXT, max_tokens=8, temperature=0, stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text
        assert whole.object == "text_completion"
