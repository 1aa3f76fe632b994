"""Grammars as constraints over nano's tokenizer and small ones: which tokens may come, and where the thinking ends."""

import json
import random
import time

import pytest
import torch

from kimi_vl.errors import InputError
from kimi_vl.processor import THINK_CLOSE, THINK_OPEN, Tokenizer
from kimi_vl.processor.grammar import Grammar
from tests.tiny_checkpoint import byte_tokens, processor, tokens_of

TOTAL = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"], "additionalProperties": False}
END = min(processor().tokenizer.end_ids)


def constraint(grammar, thinking="off", *, padding=0, tokenizer=None):
    tokenizer = tokenizer or processor().tokenizer
    return grammar.constraint(tokenizer, thinking, vocab_size=tokenizer.vocab_size + padding)


def allowed(rule):
    return set(rule.allowed().nonzero()[:, 0].tolist())


def texts(rule, tokenizer=None):
    tokenizer = tokenizer or processor().tokenizer
    return {tokenizer.decode_bytes([token]) for token in allowed(rule)}


def draw(rule, tokens):
    """Take tokens, each of which has to be allowed. Where only one text can follow, only its usual tokens are."""
    for token in tokens:
        assert bool(rule.allowed()[token]), processor().tokenizer.decode([token])
        rule.take(token)


def take(rule, tokens):
    """Take tokens that may be unusual ones for their text; every mask before them must allow something."""
    for token in tokens:
        assert rule.allowed().any()
        rule.take(token)


def marked_tokenizer(*extra):
    """All bytes, these texts as tokens of their own, then two control tokens."""
    ranks = {bytes([byte]): byte for byte in range(256)} | {text.encode(): 256 + k for k, text in enumerate(extra)}
    return Tokenizer(ranks, {"<|im_end|>": len(ranks), "[EOS]": len(ranks) + 1, "<|im_user|>": len(ranks) + 2})


def ids(tokenizer, *pieces):
    """The ids of tokens given by their texts, each of which must be one token."""
    by_text = {tokenizer.decode_bytes([token]): token for token in range(tokenizer.vocab_size)}
    return [by_text[piece if isinstance(piece, bytes) else piece.encode()] for piece in pieces]


def by_bytes(text):
    return [bytes([byte]) for byte in text.encode()]


@pytest.mark.parametrize(("spell", "go"), [(tokens_of, draw), (byte_tokens, take)])
@pytest.mark.parametrize("end", sorted(processor().tokenizer.end_ids))
def test_a_document_then_an_end_token_and_nothing_else(spell, go, end):
    rule = constraint(Grammar.json_schema(TOTAL))
    go(rule, spell('{"total": -12}'))
    assert allowed(rule) == processor().tokenizer.end_ids
    draw(rule, [end])


@pytest.mark.parametrize(
    "text", ["", "{", '{"total"', '{"total":', '{"total": -', "x", " ", "\n{", '{"total": 012', '{"total": 1.', '{"other']
)
def test_e14_no_end_token_and_no_control_token_before_the_document_is_complete(text):
    rule = constraint(Grammar.json_schema(TOTAL))
    control = set(processor().tokenizer.special_ids.values())
    for token in byte_tokens(text):
        may = allowed(rule)
        assert not may & control
        assert may
        try:
            rule.take(token)
        except InputError:
            return
    assert not allowed(rule) & control


def test_ids_beyond_the_tokenizer_are_never_allowed():
    tokenizer = processor().tokenizer
    for thinking in ("auto", "on", "off"):
        rule = constraint(Grammar.regex("(?s:.*)"), thinking, padding=100)
        mask_W = rule.allowed()
        assert (mask_W.dtype, mask_W.shape, mask_W.device.type) == (torch.bool, (tokenizer.vocab_size + 100,), "cpu")
        assert not mask_W[tokenizer.vocab_size :].any()


def test_while_thinking_everything_may_come_but_an_end():
    rule = constraint(Grammar.json_schema(TOTAL), "on")
    everything = set(range(processor().tokenizer.vocab_size)) - processor().tokenizer.end_ids
    for token in byte_tokens('Let me see: {"total": "no"} ◁think▷ ◁/thin, ◁'):
        assert allowed(rule) == everything
        rule.take(token)


def test_thinking_that_may_come_is_the_mark_or_the_document():
    rule = constraint(Grammar.json_schema(TOTAL), "auto")
    mark, document = THINK_OPEN.encode(), b'{"total'
    assert mark[:1] in texts(rule)
    assert {t for t in texts(rule) if not mark.startswith(t)} == {t for t in texts(rule) if document.startswith(t)} != set()
    draw(rule, byte_tokens("◁th"))
    assert {mark[5:6]} <= texts(rule) <= {mark[5 : 5 + k] for k in range(1, 10)}


@pytest.mark.parametrize("thinking", ["auto", "on", "off"])
def test_the_same_document_behind_every_kind_of_beginning(thinking):
    for spell, go in ((tokens_of, draw), (byte_tokens, take)):
        opening = {"auto": ["", f"{THINK_OPEN}12 is 12.{THINK_CLOSE}"], "on": [f"So 12.{THINK_CLOSE}"], "off": [""]}[thinking]
        for beginning in opening:
            rule = constraint(Grammar.json_schema(TOTAL), thinking)
            draw(rule, spell(beginning))
            go(rule, [*spell('{"total": 12}'), END])


def test_the_token_that_closes_the_thinking_may_hold_the_beginning_of_the_document_and_no_other_text():
    tokenizer = marked_tokenizer("▷{", "▷So", "▷\n", '▷{"total":', "k▷", "◁/think▷", "◁/think▷{", "x◁/think▷y")
    rule = constraint(Grammar.json_schema(TOTAL), "on", tokenizer=tokenizer)
    whole = texts(rule, tokenizer)
    assert {"◁/think▷".encode(), "◁/think▷{".encode()} <= whole
    assert "x◁/think▷y".encode() not in whole
    for piece in ids(tokenizer, "x", *by_bytes("◁/think")):
        rule.take(piece)
    assert texts(rule, tokenizer) >= {t.encode() for t in ("▷{", '▷{"total":', "k▷", "x")}
    assert not texts(rule, tokenizer) & {t.encode() for t in ("▷So", "▷\n")}
    for piece in ids(tokenizer, '▷{"total":', "7", "}"):
        assert bool(rule.allowed()[piece])
        rule.take(piece)
    assert allowed(rule) == tokenizer.end_ids


def test_a_mark_may_be_split_within_a_character_and_around_control_tokens():
    tokenizer = marked_tokenizer()
    rule = constraint(Grammar.json_schema(TOTAL), "auto", tokenizer=tokenizer)
    user = tokenizer.special("<|im_user|>")
    for piece in by_bytes(f"{THINK_OPEN}図{THINK_CLOSE}"):
        token = ids(tokenizer, piece)[0]
        assert bool(rule.allowed()[token])
        rule.take(token)
        if piece == b"h":
            rule.take(user)
    assert texts(rule, tokenizer) == {b"{"}


def test_one_token_may_hold_a_whole_thought():
    tokenizer = marked_tokenizer("◁think▷◁/think▷{", "◁think▷◁/think▷x", "◁think▷ok")
    rule = constraint(Grammar.json_schema(TOTAL), "auto", tokenizer=tokenizer)
    assert "◁think▷◁/think▷x".encode() not in texts(rule, tokenizer)
    for piece in ids(tokenizer, "◁think▷◁/think▷{", *by_bytes('"total":7}')):
        assert bool(rule.allowed()[piece])
        rule.take(piece)
    assert allowed(rule) == tokenizer.end_ids


def test_a_forced_end_of_the_thinking_is_taken_like_any_other():
    rule = constraint(Grammar.json_schema(TOTAL), "on")
    half = "図".encode()[:2]
    for token in [*ids(processor().tokenizer, half[:1], half[1:]), *byte_tokens("◁/th"), *tokens_of(THINK_CLOSE)]:
        rule.take(token)
    draw(rule, tokens_of('{"total": 1}'))


def test_a_document_that_begins_like_a_mark_is_told_from_it():
    rule = constraint(Grammar.regex("◁th[a-z]*!?"), "auto")
    take(rule, byte_tokens("◁tho!"))
    assert allowed(rule) == processor().tokenizer.end_ids
    rule = constraint(Grammar.regex("◁think▷!"), "auto")
    take(rule, byte_tokens("◁think▷hm◁/think▷◁think▷!"))
    assert allowed(rule) == processor().tokenizer.end_ids


def test_a_forced_token_that_breaks_the_grammar_is_an_error_and_stays_one():
    rule = constraint(Grammar.json_schema(TOTAL))
    for _ in range(2):
        with pytest.raises(InputError, match="the answer cannot go on as its grammar wants"):
            rule.take(tokens_of("x")[0])
    with pytest.raises(InputError, match="the answer cannot go on as its grammar wants"):
        rule.allowed()


def test_e14_a_grammar_that_was_not_checked_cannot_ask_for_a_control_token_either():
    rule = constraint(Grammar('start: "a" <|im_user|>'))
    take(rule, byte_tokens("a"))
    with pytest.raises(InputError, match="wants a control token here"):
        rule.allowed()


def test_constraints_of_one_grammar_know_nothing_of_each_other():
    grammar = Grammar.regex("ab|cd")
    one, other = constraint(grammar), constraint(grammar)
    one.take(byte_tokens("a")[0])
    assert texts(one) == {b"b"}
    assert {b"a", b"c"} <= texts(other)


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        (Grammar.regex(r"\d{4}-\d\d"), "2026-11", "20261"),
        (Grammar.regex("(a+)+b"), "a" * 200 + "b", "aac"),
        (Grammar.regex("(a|aa)*c"), "a" * 200 + "c", "b"),
        (Grammar.regex("x\0y/\n"), "x\0y/\n", "xy"),
        (Grammar.regex("[図é😀]{2}"), "図😀", "図a"),
        (Grammar.lark('start: "(" start ")" | "x"'), "((x))", "(x))"),
        (Grammar.lark('start: "n=" %json {"type": "integer"}'), "n=12", "n=x"),
        (Grammar.json_object(), '{"a": [1, {"b": null}], "c": 1e-3}', "[1]"),
        (Grammar.json_schema({"enum": ['a"\\\n😀/\u2028', 1.5, None, {"__proto__": [True]}]}), '"a\\"\\\\\\n😀/\u2028"', '"b'),
        (Grammar.json_schema({"enum": ["a", {"__proto__": [True]}]}), '{"__proto__": [true]}', '{"_x'),
        (Grammar.json_schema({"type": "array", "items": {"type": "array", "maxItems": 1}, "minItems": 2}), "[[], [[1, 2]]]", "[[]]"),
        (Grammar.json_schema({"type": "string", "maxLength": 2}), '"😀é"', '"abc'),
        (Grammar.json_schema({"type": "number", "minimum": 0, "exclusiveMaximum": 1}), "0.25", "1"),
    ],
    ids=str,
)
def test_each_kind_of_grammar_takes_what_it_describes_and_nothing_else(grammar, good, bad):
    draw(constraint(grammar), [*tokens_of(good), END])
    rule = constraint(grammar)
    take(rule, byte_tokens(good))
    assert END in allowed(rule)
    rule = constraint(grammar)
    with pytest.raises((AssertionError, InputError)):
        draw(rule, [*tokens_of(bad), END])


def test_e12_a_property_cannot_come_again_under_another_spelling_of_its_name():
    for name, again in (("x", r'"\u0078"'), ('a"', r'"a\u0022"')):
        rule = constraint(Grammar.json_schema({"type": "object", "properties": {name: {"type": "integer"}}}))
        take(rule, byte_tokens(json.dumps({name: 1})[:-1] + ","))
        with pytest.raises(InputError):
            take(rule, byte_tokens(again))


HOSTILE_PATTERNS = [
    *("(a+)+b", "(a|aa)*c", "[a-z]{1,100000}", "(([a-z]{1,100}){1,100}){1,100}"),
    *("(a|b)*a(a|b){30}", "(.*a.{40}b.*){5}", "(.{1,1000}){1,1000}x"),
]


@pytest.mark.parametrize("pattern", HOSTILE_PATTERNS)
def test_e4_a_pattern_that_explodes_elsewhere_costs_milliseconds_a_token(pattern):
    rng = random.Random(1)
    rule = constraint(Grammar.regex(pattern))
    times = []
    for _ in range(150):
        started = time.process_time()
        try:
            may = sorted(allowed(rule) - processor().tokenizer.end_ids)
        except InputError:  # too many expressions constructed: where it is cut short
            may = []
        times.append(time.process_time() - started)
        if not may:
            break
        rule.take(rng.choice(may))
    assert sorted(times)[len(times) // 2] < 0.02
    assert max(times) < 0.5


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=a)b", "the regex cannot be compiled: .*look-around"),
        (r"(a)\1", "backreferences are not supported"),
        ("((", "unclosed group"),
        ("(" * 15_000 + "a" + ")" * 15_000, "the regex cannot be compiled"),
        (r"[^\s\S]", "the regex allows no text at all"),
        ("a$b", "lookarounds not supported"),
        ("x{1000000}", "too complex: lexer error"),
        ("x" * 200_000, "the regex has 200,000 bytes; at most 131,072 are taken"),
        ("\ud800", "half of a character"),
        (b"a", "the regex is of type bytes; it must be a string"),
        (None, "the regex is of type NoneType"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_e4_a_regex_is_refused_in_one_short_line(pattern, message):
    with pytest.raises(InputError, match=message) as caught:
        Grammar.regex(pattern)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("", "Empty grammar"),
        ('x: "a"', "no start rule"),
        ("start: (((", "the grammar cannot be compiled"),
        ("start: " + "(" * 30_000 + '"a"' + ")" * 30_000, "too deeply nested"),
        ("start: start", "the grammar allows no text at all"),
        ('start: start "a"', "the grammar allows no text at all"),
        ('start: "a" x\nx: x "b"', "leads to a place where nothing can follow"),
        ('start: "a" start', "too complex: parser error: Too many items"),
        ('start: "a" <|im_user|>', "unknown special token"),
        ("start: <[4995]>", "the grammar cannot be compiled|allows no text"),
        ("\0", "lexer error"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_e2_e7_a_grammar_is_refused_in_one_short_line(grammar, message):
    started = time.process_time()
    with pytest.raises(InputError, match=message) as caught:
        Grammar.lark(grammar)
    assert time.process_time() - started < 1.0
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_e7_a_grammar_that_leads_nowhere_ends_in_an_error_and_not_in_a_loop():
    rule = constraint(Grammar.lark('start: "a" | "abc" x\nx: x "b"'))  # "a" is fine, which is all that is looked for in advance
    with pytest.raises((InputError, AssertionError)):
        take(rule, byte_tokens("abcb"))
    with pytest.raises(InputError, match="the answer cannot go on as its grammar wants"):
        rule.allowed()
