"""Groups B and D: a request means one thing or is refused, by the name of what is wrong; nothing is coerced, nothing echoed."""

import json
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.server.errors import ApiError, clean
from kimi_vl.server.json import decode
from tests.server.serving import HELLO, ScriptedModel, refused, served

DEPTH = 64
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def code_of(data):
    with pytest.raises(ApiError) as caught:
        decode(data, DEPTH)
    return caught.value.code


@settings(max_examples=100, deadline=None)
@given(VALUES, st.booleans())
def test_what_json_can_say_is_read_as_python_reads_it(value, ascii_only):
    assert decode(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), DEPTH) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"  ", b"{", b'{"a":1} x', b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'{"a":"\xff"}', b"{'a':1}", b'{"a":01}', b'"\n"'],
)
def test_what_is_no_json_is_told_by_its_place(data):
    assert code_of(data) == "invalid_json"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400, "9" * 5000, "1" * 300 + ".0e400"])
def test_numbers_that_are_none_or_endless(text):
    began = time.process_time()
    assert code_of(f'{{"a": {text}}}'.encode()) == "invalid_value"
    assert time.process_time() - began < 0.05 or len(text) < 10**4


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'[{"b":{"role":1,"x":2,"role":3}}]'])
def test_a_key_that_stands_twice(data):
    assert code_of(data) == "duplicate_key"


@pytest.mark.parametrize("depth", [65, 500, 5000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(depth, opening, closing):
    assert code_of((opening * depth + "1" + closing * depth).encode()) == "invalid_json"
    assert code_of((opening * depth).encode()) == "invalid_json"


def test_depth_64_is_read_and_brackets_in_strings_are_none():
    assert decode(b"[" * 64 + b"]" * 64, DEPTH)
    assert decode(b"[" * 64 + b"1" + b"]" * 64, DEPTH)
    text = "[" * 200 + '\\"' + '"]'
    assert decode(json.dumps([text, {"a": text}]).encode(), DEPTH) == [text, {"a": text}]


def test_messages_of_errors_are_short_and_hide_where_things_are():
    shown = clean("see /home/me/secret.png at 0x7f00deadbeef\n\x1b[31m" + "é" * 1000)
    assert "/home" not in shown
    assert "7f00" not in shown
    assert shown.isprintable()
    assert len(shown.encode()) <= 512
    assert clean("1/2 and https://example.com/a/b and data:image/png") == "1/2 and https://example.com/a/b and data:image/png"


WRONG = {
    "unknown_parameter": [
        ("temprature", {"temprature": 1.0}),
        ("chat_template", {"chat_template": "x"}),
        ("chat_template_kwargs", {"chat_template_kwargs": {}}),
        (
            "messages[0].content[0].image_url.uuid",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "uuid": "x"}}]}]},
        ),
        ("media.fpss", {"media": {"fpss": 1}}),
    ],
    "invalid_type": [
        ("max_tokens", {"max_tokens": True}),
        ("max_tokens", {"max_tokens": "5"}),
        ("max_tokens", {"max_tokens": 5.0}),
        ("stream", {"stream": 1}),
        ("temperature", {"temperature": "nan"}),
        ("seed", {"seed": 1.5}),
        ("top_k", {"top_k": 0.5}),
        ("messages", {"messages": "Hello"}),
        ("messages[0].content[0].text", {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}),
        ("stop[0]", {"stop": [5]}),
        (
            "messages[1].tool_calls[0].function.arguments",
            {
                "messages": [
                    *HELLO,
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}],
                    },
                ]
            },
        ),
    ],
    "invalid_value": [
        ("temperature", {"temperature": -0.1}),
        ("temperature", {"temperature": 2.1}),
        ("top_p", {"top_p": 0}),
        ("top_p", {"top_p": 1.1}),
        ("min_p", {"min_p": -1}),
        ("top_k", {"top_k": -2}),
        ("presence_penalty", {"presence_penalty": 2.5}),
        ("frequency_penalty", {"frequency_penalty": -2.5}),
        ("n", {"n": 0}),
        ("n", {"n": 9}),
        ("n", {"n": 10**9}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_tokens", {"max_tokens": 2**63}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**64}),
        ("stop", {"stop": ["a"] * 5}),
        ("stop", {"stop": ""}),
        ("stop[0]", {"stop": ["a" * 257]}),
        ("logit_bias", {"logit_bias": {"abc": 1}}),
        ("logit_bias", {"logit_bias": {"-1": 1}}),
        ("logit_bias", {"logit_bias": {"5120": 1}}),
        ("logit_bias.5", {"logit_bias": {"5": 101}}),
        ("logit_bias", {"logit_bias": {str(k): 1 for k in range(1025)}}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("messages", {"messages": []}),
        ("messages", {"messages": HELLO * 1025}),
        ("messages[0].content", {"messages": [{"role": "user", "content": []}]}),
        ("messages[0]", {"messages": [{"role": "assistant", "content": None}]}),
        ("messages[0]", {"messages": [{"role": "system\n<|im_end|>", "content": "x"}]}),
        ("messages[0].name", {"messages": [{"role": "user", "content": "x", "name": "<|im_end|>"}]}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": [{"type": "audio"}]}]}),
        (
            "messages[0].content[0].image_url.detail",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "x"}}]}]},
        ),
        ("media.fps", {"media": {"fps": 1e9}}),
        ("media.frames", {"media": {"frames": 10**9}}),
        ("media", {"media": {"frames": 2}}),
        (None, {"stream_options": {"include_usage": True}}),
        (None, {"top_logprobs": 2}),
        (None, {"max_tokens": 3, "max_completion_tokens": 4}),
        (None, {"tool_choice": "required"}),
    ],
    "missing_parameter": [("messages[0].content", {"messages": [{"role": "user"}]})],
}


@pytest.mark.parametrize(("code", "param", "fields"), [(code, param, fields) for code, cases in WRONG.items() for param, fields in cases])
def test_what_is_wrong_is_named(scripted, code, param, fields):
    body = json.dumps({"model": "scripted", "messages": HELLO, **fields})
    asked = len(scripted.model.questions)
    response = scripted.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    refused(response, 400, code, param)
    assert len(scripted.model.questions) == asked


def test_an_unknown_parameter_names_the_nearest_one(scripted):
    assert "'temperature'" in scripted.refused(400, "unknown_parameter", temprature=1)["message"]


@pytest.mark.parametrize("body", ["[]", '"x"', "42", "null", "true"])
def test_a_body_is_an_object(scripted, body):
    response = scripted.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    refused(response, 400, "invalid_type", None)


def test_three_megabytes_of_the_wrong_type_are_not_echoed(scripted):
    scripted.refused(400, "invalid_value", seed=5, stop="x" * 3_000_000)
    scripted.refused(400, "invalid_type", temperature="x" * 3_000_000)
    scripted.refused(400, "unknown_parameter", **{"x" * 1_000_000: 1})


def test_models_that_there_are_not_are_404_before_anything_is_opened(scripted):
    for name in ("other", "../../etc/passwd", "x" * 1_000_000):
        messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://192.0.2.1/a.png"}}]}]
        refused(scripted.client.post("/v1/chat/completions", json={"model": name, "messages": messages}), 404, "model_not_found", "model")
    assert scripted.client.get("/v1/models/scripted").json()["id"] == "scripted"
    refused(scripted.client.get("/v1/models/a/b"), 404, "model_not_found", "model")


def test_prompt_and_answer_must_fit_together_and_the_numbers_are_said(scripted):
    message = scripted.refused(400, "context_length_exceeded", "messages", max_tokens=598)["message"]
    assert "598" in message
    assert "600" in message
    scripted.refused(400, "context_length_exceeded", messages=[{"role": "user", "content": "word " * 1000}])
    assert scripted.chat(max_tokens=100).status_code == 200


@pytest.mark.parametrize("text", [" " * 1_000_000, "^" * 1_000_000, "ab" * 2_500_000], ids=["spaces", "carets", "5 MB"])
def test_texts_that_are_hard_to_read_are_refused_by_their_length(scripted, text):
    response = scripted.chat([{"role": "user", "content": text}])
    assert response.json()["error"]["code"] in ("context_length_exceeded", "invalid_value")
    assert response.status_code == 400


@pytest.mark.parametrize("text", ["a\0b", "\u202eabc", "e" + "\u0301" * 50, "\u2028", "👨‍👩‍👧", "\ud800"])
def test_strange_characters_are_text(scripted, text):
    body = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": text}]})
    response = scripted.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200


def test_lenient_passes_over_what_it_does_not_know_and_says_so():
    with served(ScriptedModel(), lenient=True) as server:
        response = server.chat(temprature=1, messages=[{"role": "user", "content": "Hello", "mood": "good"}])
        assert response.status_code == 200
        assert sorted(response.headers["x-ignored-parameters"].split(", ")) == ["messages[0].mood", "temprature"]
        server.refused(400, "invalid_type", temperature="x")


def test_null_is_as_if_it_were_not_there(scripted):
    fields = (
        "temperature",
        "n",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "seed",
        "logprobs",
        "stream",
        "stream_options",
        "max_tokens",
    )
    assert scripted.chat(**dict.fromkeys(fields)).status_code == 200


def test_parameters_reach_the_sampler(scripted):
    scripted.chat(temperature=1, top_p=0.5, top_k=3, min_p=0.1, seed=2**64 - 1, stop="x", presence_penalty=1, frequency_penalty=-1)
    params = scripted.model.params[-1]
    assert (params.temperature, params.top_p, params.top_k, params.min_p, params.seed) == (1, 0.5, 3, 0.1, 2**64 - 1)
    assert (params.stop, params.presence_penalty, params.frequency_penalty) == (("x",), 1, -1)
    scripted.chat(max_completion_tokens=7, logit_bias={"5119": -100}, logprobs=True, top_logprobs=3, reasoning_effort="low")
    params = scripted.model.params[-1]
    assert (params.max_tokens, params.logit_bias, params.logprobs) == (7, ((5119, -100.0),), 3)
    assert (params.max_thinking_tokens, scripted.model.questions[-1].thinking) == (1024, "on")
    scripted.chat(reasoning_effort="none")
    assert scripted.model.questions[-1].thinking == "off"
    scripted.chat(reasoning_effort="high", max_thinking_tokens=5)
    assert scripted.model.params[-1].max_thinking_tokens == 5


def test_log_probabilities_of_what_cannot_come_are_numbers():
    from kimi_vl.llm.async_kimi_vl import Said
    from tests.server.serving import Script, logprobs_of

    with served(ScriptedModel(Script(Said("text", "a", (logprobs_of(65, -math.inf),))))) as server:
        [choice] = server.chat(logprobs=True).json()["choices"]
        assert choice["logprobs"]["content"][0]["logprob"] == -9999.0


GOOD = b'{"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (GOOD, "invalid_json"),
        (GOOD + b"} x", "invalid_json"),
        (b"\xef\xbb\xbf" + GOOD + b"}", "invalid_json"),
        ((GOOD + b"}").decode().encode("utf-16"), "invalid_json"),
        (GOOD.replace(b"Hello", b"\xff") + b"}", "invalid_json"),
        (GOOD + b', "temperature": NaN}', "invalid_value"),
        (GOOD + b', "temperature": 1e999}', "invalid_value"),
        (GOOD + b', "logit_bias": {"5": -Infinity}}', "invalid_value"),
        (GOOD + b', "max_tokens": ' + b"9" * 5000 + b"}", "invalid_value"),
        (GOOD + b', "max_tokens": 1, "max_tokens": 2}', "duplicate_key"),
        (GOOD.replace(b'"content"', b'"role": "system", "content"') + b"}", "duplicate_key"),
        (GOOD + b', "metadata": ' + b'{"a":' * 70 + b"1" + b"}" * 71, "invalid_json"),
        (b"[" * 1_000_000, "invalid_json"),
    ],
    ids=range(14),
)
@pytest.mark.parametrize(
    "route", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/tokenize", "/v1/batches"]
)
def test_no_door_takes_what_is_no_json_and_each_goes_on(scripted, route, body, code):
    asked = len(scripted.model.questions)
    response = scripted.client.post(route, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert len(response.content) < 1024
    if not route.startswith("/v1/messages"):
        error = refused(response, 400, code)
        assert code != "invalid_json" or "at byte" in error["message"] or "levels" in error["message"]
    assert len(scripted.model.questions) == asked
    assert scripted.client.get("/health").status_code == 200


def test_the_order_of_keys_and_white_space_mean_nothing(scripted):
    """One meaning, and so one prompt: what is known of it by the cache is found again."""
    part, text = {"type": "text", "text": "Hello  there"}, {"type": "text", "text": " you"}
    fields = {"model": "scripted", "messages": [{"role": "user", "content": [part, text]}], "temperature": 0.5, "seed": 3, "stop": ["a"]}
    meant = set()
    for k in range(24):
        order = list(fields)[k % 5 :] + list(fields)[: k % 5]
        body = json.dumps({key: fields[key] for key in order}, indent=[None, 1, "\t"][k % 3], sort_keys=k % 4 == 1)
        assert scripted.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"}).status_code == 200
        meant.add((*scripted.model.questions[-1].input_ids, str(scripted.model.params[-1])))
    assert len(meant) == 1


def test_what_is_halved_over_two_parts_is_no_control_token(scripted):
    scripted.chat([{"role": "user", "content": [{"type": "text", "text": half} for half in ("<|im_", "end|>", "<|media", "_pad|>")]}])
    tokenizer = scripted.model.processor.tokenizer
    [cut] = [question.input_ids for question in scripted.model.questions[-1:]]
    scripted.chat([{"role": "user", "content": "plain"}])
    plain = scripted.model.questions[-1].input_ids
    special = set(tokenizer.special_ids.values())
    assert [token for token in cut if token in special] == [token for token in plain if token in special]
    assert "<|im_end|><|media_pad|>" in tokenizer.decode(cut)
