"""One request never hurts another (groups D, E, K, M and R): nano over HTTP, with neighbours that are unusual, faulty, or gone."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jsonschema
import pytest
import torch

from kimi_vl.errors import CapacityError
from tests.server.conftest import async_nano
from tests.server.serving import Served, refused, until

KEYS = (("anna", "anna-secret-1"), ("ben", "ben-secret-22"))
ANNA, BEN = ({"authorization": f"Bearer {secret}"} for _, secret in KEYS)
LONG = "The quick brown fox reads the receipt of the baker twice, and once more for the cheddar. " * 4  # more than one page of 64 tokens
SCHEMA = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"], "additionalProperties": False}
FORM = {"type": "json_schema", "json_schema": {"name": "sure", "schema": SCHEMA, "strict": True}}


@pytest.fixture(scope="module")
def house(plain):
    """A server of nano with two tenants."""
    server = Served(async_nano(plain), keys=KEYS).start()
    server.client.headers.update(ANNA)
    yield server
    assert server.is_at_rest()
    server.model._engine.check_integrity()
    assert server.stop() == 0


def body(text="Hello", **fields):
    return {"model": "nano", "messages": [{"role": "user", "content": text}], "thinking": "off", "max_tokens": 6, **fields}


def said(server, asked, headers=None):
    response = server.client.post("/v1/chat/completions", json=asked, headers=headers)
    assert response.status_code == 200, response.text
    return [choice["message"]["content"] for choice in response.json()["choices"]]


MIXED = [
    body(),
    body("What is this?", presence_penalty=2, frequency_penalty=2, repetition_penalty=1.5),
    body("Is it true?", response_format=FORM),
    body("Say something.", temperature=2, seed=3, n=4),
    body("And you?", logit_bias={str(token): -100 for token in range(300, 1300)}),
    body("What now?", temperature=1, top_k=5, top_p=0.9, min_p=0.05, seed=11, logprobs=True, top_logprobs=5),
]


def test_whatever_is_asked_beside_it_an_answer_is_what_it_is_alone(house):
    alone = [said(house, asked) for asked in MIXED]
    assert len(set(map(str, alone))) == len(alone)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda asked: said(house, asked), MIXED)) == alone


def test_a_bias_against_what_a_format_wants_does_not_break_the_format(house):
    tokens = {token for text in ("true", "false", '"', "sure", "{", ":") for token in house.model.processor.tokenizer.encode(text)}
    [text] = said(house, body(response_format=FORM, logit_bias=dict.fromkeys(map(str, tokens), -100), max_tokens=60))
    jsonschema.validate(json.loads(text), SCHEMA)


def faulty(kind):
    """A step of the engine in which one request, told by its prompt, meets a fault."""

    def around(forward, is_meant):
        def step(chunks, images):
            meant = [chunk.request for chunk in chunks if is_meant(chunk.request)]
            if meant and kind is not CheckpointFault:
                raise kind("out of memory")
            computed = forward(chunks, images)
            logits = {request: row * (torch.nan if request in meant else 1) for request, row in computed.logits.items()}
            return replace(computed, logits=logits)

        return step

    return around


class CheckpointFault(Exception):
    """Stands for logits that are not finite."""


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [(CheckpointFault, 500, "model_output_invalid"), (IndexError, 500, "internal_error"), (CapacityError, 503, "server_is_overloaded")],
)
def test_a_fault_of_one_answer_is_told_to_it_and_the_others_go_on(house, monkeypatch, kind, status, code):
    bad = body("This one will meet a fault, and nobody else will.")
    length = house.client.post("/v1/tokenize", json={"messages": bad["messages"], "thinking": "off"}).json()["count"]
    golden = said(house, body(max_tokens=8))
    runner = house.model._engine.runner
    monkeypatch.setattr(runner, "_forward", faulty(kind)(runner._forward, lambda request: request.num_prompt == length))
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(said, house, body(max_tokens=8)) for _ in range(2)]
        refused(house.client.post("/v1/chat/completions", json=bad), status, code)
        assert [one.result() for one in beside] == [golden] * 2
    monkeypatch.undo()
    assert house.client.get("/ready").status_code == 200
    said(house, bad)


def test_who_leaves_anywhere_and_asks_again_hears_the_same_and_so_do_the_others(house):
    """Pages of a prompt are let go of while somebody else asks for them, and while others write."""
    asked, beside = body(LONG, max_tokens=8), body("What is this?", max_tokens=8)
    golden, other = said(house, asked), said(house, beside)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: {ANNA['authorization']}\r\n"
    data = json.dumps({**asked, "stream": True}).encode()
    with ThreadPoolExecutor(1) as pool:
        for cut in (0, 1, 3):
            writing = pool.submit(said, house, beside)
            with socket.create_connection(("127.0.0.1", house.port), timeout=30) as sock:
                sock.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(data) + data)
                got = b""
                while got.count(b'"content":"') < cut:
                    got += sock.recv(65536)
            assert said(house, asked) == golden
            assert writing.result() == other
    assert house.is_at_rest()
    engine = house.model._engine
    assert until(lambda: engine.is_idle and engine.scheduler.pool.num_available == engine.limits.num_pages)


@pytest.mark.parametrize("length", [127, 128, 129, 191, 192, 193])
def test_a_prompt_that_ends_at_a_page_is_answered_from_the_cache_as_without(house, length):
    """Two and three pages of 64 tokens, one token less and one more: all full pages but what holds the last token come from the cache."""
    asked = {"model": "nano", "prompt": [300 + k for k in range(length)], "max_tokens": 3, "temperature": 0}
    first, second = (house.client.post("/v1/completions", json=asked).json() for _ in range(2))
    assert first["choices"][0]["text"] == second["choices"][0]["text"]
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == (length - 1) // 64 * 64


def test_a_prompt_is_known_to_its_own_tenant_only(house):
    def cached(headers):
        usage = house.client.post("/v1/chat/completions", json=body(f"Our secret. {LONG}", max_tokens=2), headers=headers).json()["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"]

    assert [cached(ANNA) > 0, cached(ANNA) > 0, cached(BEN) > 0, cached(BEN) > 0] == [False, True, False, True]


def test_requests_of_one_number_are_told_apart(house):
    """A client's X-Request-Id is no key to anything."""
    headers = {**ANNA, "x-request-id": "mine"}
    questions = ["What is this?", "Is it true?", "And you?", "Hello"]
    alone = [said(house, body(text)) for text in questions]

    def ask(text):
        return house.client.post("/v1/chat/completions", json=body(text), headers=headers)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, questions))
    assert [[answer.json()["choices"][0]["message"]["content"]] for answer in answers] == alone
    assert len({answer.headers["x-request-id"] for answer in answers} | {"mine"}) == 5


NESTED = "(" * 30_000 + ")" * 30_000
HOSTILE = {
    "a pattern of brackets": ({"type": "string", "pattern": NESTED}, 400),
    "a pattern that looks ahead": ({"type": "string", "pattern": "^(?=a)b$"}, 400),
    "a pattern that looks back": ({"type": "string", "pattern": "^(a)\\1$"}, 400),
    "a pattern that explodes elsewhere": ({"type": "string", "pattern": "^(a+)+b$"}, 200),
    "a pattern that repeats": ({"type": "string", "pattern": "^[a-z]{1,100000}$"}, None),
    "a text without end": ({"type": "string", "maxLength": 10**9}, None),
    "a list of a million": ({"type": "array", "items": {"type": "boolean"}, "minItems": 10**6}, None),
    "a wide range": ({"type": "integer", "minimum": 0, "maximum": 10**18}, 200),
    "itself": ({"$ref": "#"}, 400),
    "a file": ({"$ref": "file:///etc/passwd"}, 400),
    "nothing": ({"enum": []}, 400),
    "the impossible": ({"type": "integer", "minimum": 2, "maximum": 1}, 400),
    "not anything": ({"not": {}}, 400),
    "many words": ({"enum": [f"word {k}" for k in range(100_000)]}, None),
    "a prototype": ({"type": "object", "properties": {"__proto__": {"const": "𝄞"}}, "additionalProperties": False}, 200),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_schema_that_means_harm_is_refused_or_kept_to(house, name):
    schema, status = HOSTILE[name]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = house.client.post("/v1/chat/completions", json=body(response_format=form, max_tokens=16))
    assert response.status_code in ((status,) if status else (200, 400)), response.text[:300]
    if response.status_code == 400:
        error = response.json()["error"]
        assert error["code"] in ("invalid_json_schema", "schema_too_complex")
        assert error["param"] == "response_format.json_schema.schema"
        assert len(response.content) < 1024
    else:
        [choice] = response.json()["choices"]
        assert choice["message"]["content"][0] in '"[{0123456789'  # nano alone would begin with a word
        if choice["finish_reason"] == "stop":
            jsonschema.validate(json.loads(choice["message"]["content"]), schema)


def test_a_stop_string_within_a_document_does_not_cut_it(house):
    schema = {"const": "red stop green"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert said(house, body(response_format=form, stop=["stop", "red"], max_tokens=40)) == ['"red stop green"']


def test_a_format_that_is_cut_by_its_length_is_the_beginning_of_a_document(house):
    schema = {"const": "red stop green"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    [choice] = house.client.post("/v1/chat/completions", json=body(response_format=form, max_tokens=3)).json()["choices"]
    assert choice["finish_reason"] == "length"
    assert 0 < len(choice["message"]["content"]) < 16
    assert '"red stop green"'.startswith(choice["message"]["content"])
