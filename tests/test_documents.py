"""Answers that are documents of a grammar, from question to text: scripted models, one that says noise, and nano."""

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_vl import Grammar, KimiVL
from kimi_vl.engine import SamplingParams
from kimi_vl.errors import InputError
from kimi_vl.processor import THINK_CLOSE, THINK_OPEN
from tests.engine.scripted import ScriptedModel
from tests.tiny_checkpoint import byte_tokens, processor, scripted_llm, tokens_of

RECEIPT = Path(__file__).parents[1] / "examples" / "receipt.png"
TOTAL = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"], "additionalProperties": False}


class NoiseModel(ScriptedModel):
    """Every token as likely as any other, give or take; the worst that can be asked to keep to a schema."""

    def __init__(self, seed, context=2000):
        super().__init__(lambda so_far: 0, context=context, vocabulary=processor().tokenizer.vocab_size)
        self.seed = seed

    def step(self, input_ids_T, cache, features_MD=None):
        logits_W = super().step(input_ids_T, cache, features_MD)
        generator = torch.Generator().manual_seed(self.seed * 10_007 + len(cache.tokens))
        return torch.randn(logits_W.shape, generator=generator) * 3


def noise_llm(seed=0):
    return KimiVL(NoiseModel(seed), processor(), name="noise", defaults=SamplingParams(max_tokens=400))


def is_beginning(text, schema):
    """Whether a document could go on from here."""
    rule = Grammar.json_schema(schema).constraint(processor().tokenizer, vocab_size=processor().tokenizer.vocab_size)
    for token in byte_tokens(text):
        rule.take(token)
    return bool(rule.allowed().any())


def test_the_answer_is_the_document_and_the_thinking_stays_apart():
    answer = scripted_llm(tokens_of(f"{THINK_OPEN}4 + 3 = 7{THINK_CLOSE}", '{"total": 7}')).ask("?", schema=TOTAL)
    assert (answer.thinking, answer.text, answer.finish_reason) == ("4 + 3 = 7", '{"total": 7}', "stop")
    assert answer.usage.answer_tokens == len(tokens_of('{"total": 7}')) + 1


@pytest.mark.parametrize(
    "schema", [TOTAL, json.dumps(TOTAL), Grammar.json_schema(TOTAL), Grammar.lark(f"start: %json {json.dumps(TOTAL)}")], ids=type
)
def test_a_schema_is_given_as_dict_text_or_grammar(schema):
    assert scripted_llm(tokens_of('{"total": 7}')).ask("?", schema=schema).text.startswith('{"total":')


def test_what_the_model_would_have_said_otherwise_does_not_come():
    answer = scripted_llm(tokens_of("The total is 7.")).ask("?", schema={"enum": ["yes", "no"]})
    assert json.loads(answer.text) in ("yes", "no")


@pytest.mark.parametrize("thinking", ["auto", "on", "off"])
@pytest.mark.parametrize("text", ["a◁think▷b", "a◁/think▷b", "◁/think▷", " \t a ◁think▷x◁/think▷ "])
def test_marks_and_white_space_in_a_document_are_its_own(thinking, text):
    document = json.dumps({"note": text}, ensure_ascii=False)
    beginning = {"auto": "", "on": f"hm{THINK_CLOSE}", "off": ""}[thinking]
    llm = scripted_llm([*tokens_of(beginning), *tokens_of(document)])
    stream = llm.stream("?", schema=Grammar.json_object(), thinking=thinking, max_thinking_tokens=30)
    pieces = list(stream)
    assert stream.answer.text == document == "".join(piece.text for piece in pieces if piece.kind == "text")
    assert stream.answer.thinking == ("hm" if thinking == "on" else "")


def test_with_thinking_off_a_document_may_even_begin_with_a_mark():
    answer = scripted_llm(byte_tokens("◁think▷x")).ask("?", schema=Grammar.regex("◁.*x"), thinking="off")
    assert (answer.text, answer.thinking) == ("◁think▷x", "")


def test_white_space_at_the_ends_of_a_document_is_kept_and_behind_a_mark_too():
    for beginning in ("", f"{THINK_OPEN}hm{THINK_CLOSE}"):
        answer = scripted_llm([*tokens_of(beginning), *byte_tokens(" x \n")]).ask("?", schema=Grammar.regex(r"\s*x\s*"))
        assert answer.text == " x \n"


@pytest.mark.parametrize("budget", [0, 1, 7, 60])
@pytest.mark.parametrize("seed", range(4))
def test_a_thinking_budget_ends_the_thinking_and_a_valid_document_follows(budget, seed):
    answer = noise_llm(seed).ask("?", schema=TOTAL, thinking="on", max_thinking_tokens=budget)
    assert answer.finish_reason == "stop"
    assert set(json.loads(answer.text)) == {"total"}
    assert answer.usage.thinking_tokens >= budget


@pytest.mark.parametrize("thinking", ["auto", "off"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 1.0},
        {"temperature": 2.0, "top_p": 0.9},
        {"temperature": 1.5, "top_k": 3},
        {"temperature": 1.0, "min_p": 0.2},
        {"temperature": 0.7, "top_p": 0.5, "top_k": 50, "min_p": 0.01},
    ],
    ids=str,
)
def test_documents_are_valid_whatever_the_sampling_and_a_seed_gives_the_same_again(thinking, params):
    schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 999}, "minItems": 3, "maxItems": 5}
    options = {"schema": schema, "thinking": thinking, "max_thinking_tokens": 5, "seed": 5, **params}
    answers = [noise_llm(3).ask("?", **options) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].finish_reason == "stop"
    jsonschema.Draft202012Validator(schema).validate(json.loads(answers[0].text))


NAMES = st.sampled_from(["a", "b", "total", "名前", "__proto__", 'quo"te', "back\\slash", "line\nbreak", "😀", "", "x" * 40])
TEXTS = st.sampled_from(["", "yes", "no", "é", "😀😀", 'a"b', "\\", "\t\n", "/", "◁think▷", "◁/think▷", "\u2028", "null"])
LEAVES = st.one_of(
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size}, st.integers(-(10**6), 10**6), st.integers(0, 10**12)
    ),
    st.builds(lambda low: {"type": "number", "minimum": low, "maximum": low + 2.5}, st.integers(-50, 50)),
    st.builds(lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size}, st.integers(0, 4), st.integers(0, 6)),
    st.sampled_from([{"type": "string", "pattern": p} for p in ("^[a-z]{1,8}$", "^(a+)+b$", "^\\d{3}-x?$", "^[図é]{2}$")]),
    st.lists(TEXTS | st.integers(-5, 5) | st.none() | st.booleans(), min_size=1, max_size=6).map(lambda values: {"enum": values}),
    st.dictionaries(NAMES, TEXTS, max_size=3).map(lambda value: {"const": value}),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"type": ["null", "boolean"]},
            {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 99},
        ]
    ),
)


def inside(schemas):
    objects = st.dictionaries(NAMES, schemas, max_size=4).flatmap(
        lambda named: st.sets(st.sampled_from(sorted(named) or ["a"])).map(
            lambda needed: {
                "type": "object",
                "properties": named,
                "required": sorted(needed & named.keys()),
                "additionalProperties": False,
            }
        )
    )
    lists = st.builds(
        lambda items, low: {"type": "array", "items": items, "minItems": low, "maxItems": low + 2}, schemas, st.integers(0, 2)
    )
    tuples = st.lists(schemas, min_size=1, max_size=3).map(
        lambda items: {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    )
    return objects | lists | tuples | st.lists(schemas, min_size=1, max_size=3).map(lambda options: {"anyOf": options})


@cache
def counts():
    return {"stop": 0, "length": 0}


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(LEAVES, inside, max_leaves=6), st.integers(0, 1000), st.sampled_from(["auto", "on", "off"]))
def test_e11_every_finished_document_of_a_model_that_says_noise_is_valid(schema, seed, thinking):
    answer = noise_llm(seed).ask("?", schema=schema, thinking=thinking, max_thinking_tokens=10, temperature=1.0, seed=seed)
    counts()[answer.finish_reason] += 1
    if answer.finish_reason == "stop":
        jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))
    else:
        assert is_beginning(answer.text, schema)


def test_e11_most_of_them_finish():
    if sum(counts().values()):  # none where the test above ran in another process
        assert counts()["stop"] > 9 * counts()["length"]


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 5, 8, 13])
def test_e8_a_document_that_is_cut_says_so_and_is_the_beginning_of_one(max_tokens):
    schema = {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 50}
    answer = noise_llm(1).ask("?", schema=schema, thinking="off", max_tokens=max_tokens)
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", max_tokens)
    assert is_beginning(answer.text, schema)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(answer.text)


def test_e8_a_document_cut_before_it_began_is_empty():
    answer = noise_llm(1).ask("?", schema=TOTAL, thinking="on", max_tokens=5)
    assert (answer.finish_reason, answer.text) == ("length", "")


def test_e7_a_document_without_end_ends_with_the_budget():
    answer = noise_llm(1).ask("?", schema={"type": "array", "minItems": 10**6, "items": {"const": 1}}, max_tokens=100, thinking="off")
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", 100)


def test_e7_a_grammar_that_leads_nowhere_is_an_error_of_this_answer_alone():
    grammar = Grammar.lark('start: "a" | "abc" x\nx: x "b"')
    llm = scripted_llm(byte_tokens("abcb"))
    with pytest.raises(InputError, match="the answer cannot go on as its grammar wants"):
        llm.ask("?", schema=grammar)
    assert llm.ask("?", schema=Grammar.regex("a.*")).text == "abcb"


def test_e10_stop_strings_are_not_looked_for_in_documents():
    document = '{"note": "END of it"}'
    assert scripted_llm(tokens_of(document)).ask("?", schema=Grammar.json_object(), stop=["END"]).text == document


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strin"}, "Invalid type"),
        ({"requried": ["a"]}, "did you mean 'required'"),
        ("receipt.json", "the schema is no JSON"),
        (7, "schema is of type int"),
        ({"$ref": "http://127.0.0.1:9/"}, "references must stay inside"),
    ],
    ids=str,
)
def test_a_bad_schema_is_refused_before_the_model_runs(schema, message):
    llm = scripted_llm(tokens_of("fine"))
    with pytest.raises(InputError, match=message):
        llm.stream("?", schema=schema)
    assert llm.model.steps == []


@pytest.fixture(scope="module")
def nano():
    return KimiVL.load()


PRICE = {"type": "object", "properties": {"total": {"type": "string", "pattern": "^[0-9]{1,3}[.][0-9]{2}$"}}, "required": ["total"]}
PRICE["additionalProperties"] = False


@pytest.mark.parametrize(
    "options",
    [{}, {"thinking": "on"}, {"thinking": "on", "max_thinking_tokens": 4}, {"thinking": "off"}, {"temperature": 1.0, "seed": 3}],
    ids=str,
)
def test_nano_keeps_to_a_schema(nano, options):
    answer = nano.ask("What is the total?", RECEIPT, schema=PRICE, **options)
    assert answer.finish_reason == "stop"
    jsonschema.Draft202012Validator(PRICE).validate(json.loads(answer.text))
    assert bool(answer.thinking) == (options.get("thinking") != "off")


def test_nano_answers_in_a_document_with_what_the_receipt_says(nano):
    answer = nano.ask("How much was paid?", RECEIPT, schema=PRICE)
    assert (answer.text, answer.thinking) == ('{"total": "15.72"}', "TOTAL 15.72")
