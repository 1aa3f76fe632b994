"""Thinking and answer: the official split, and the same result while the text is streaming."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.processor import THINK_CLOSE, THINK_OPEN, ThinkingParser, split_thinking

O, C = THINK_OPEN, THINK_CLOSE  # noqa: E741


def streamed(pieces, started=False):
    """(thinking, answer) of the pieces; also checks that no empty piece is handed out."""
    parser, joined = ThinkingParser(started), {"thinking": "", "text": ""}
    for kind, text in [pair for piece in pieces for pair in parser.feed(piece)] + parser.finish():
        assert text
        joined[kind] += text
    return joined["thinking"], joined["text"]


def official(text):
    """The split published with the models, for outputs it is defined on: marks in order, nothing before the first."""
    if O in text and C not in text:
        return text.partition(O)[2].strip(), ""
    if C in text:
        return text[text.index(O) + len(O) : text.index(C)].strip(), text[text.index(C) + len(C) :].strip()
    return None, text


SPLITS = {
    "plain answer": ("42", (None, "42")),
    "plain answer keeps its white space": ("  42 \n", (None, "  42 \n")),
    "nothing": ("", (None, "")),
    "thinking and answer": (f"{O}\nSo, six times seven.\n{C}\n\n42\n", ("So, six times seven.", "42")),
    "cut short": (f"{O}So, six", ("So, six", "")),
    "cut short at once": (O, ("", "")),
    "cut inside the closing mark": (f"{O}So ◁/thi", ("So ◁/thi", "")),
    "nothing thought": (f"{O}\n\n{C}42", ("", "42")),
    "white space first": (f"\n {O}a{C}b", ("a", "b")),
    "the prompt opened it": (f"So.{C}42", ("So.", "42")),
    "only a closing mark": (C, ("", "")),
    "first closing mark ends it": (f"{O}a{C}b{C}c", ("a", f"b{C}c")),
    "opened twice": (f"{O}a{O}b{C}c", (f"a{O}b", "c")),
    "opened again in the answer": (f"{O}a{C}b{O}c", ("a", f"b{O}c")),
    "said before thinking": (f"Well. {O}a{C} b", ("a", "Well. b")),
    "half a mark in the answer": ("◁thin ◁/think", (None, "◁thin ◁/think")),
    "other brackets": ("<think>a</think>b", (None, "<think>a</think>b")),
}


@pytest.mark.parametrize("case", SPLITS)
def test_an_output_is_split_as_documented(case):
    text, expected = SPLITS[case]
    assert split_thinking(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text("ab \n◁▷/think", max_size=12), st.text("ab \n◁▷/think", max_size=12), st.booleans(), st.booleans())
def test_well_formed_outputs_are_split_like_the_official_code(thinking, answer, opened, closed):
    text = (f"{O}{thinking}" if opened else "") + (f"{C}{answer}" if opened and closed else "" if opened else answer)
    if opened or not (O in text or C in text):
        assert split_thinking(text) == official(text)


FRAGMENTS = st.lists(
    st.one_of(st.sampled_from([O, C, "◁", "think", "▷", "/", " ", "\n", "◁/thi", "a", "Hm. ", " b"]), st.text(max_size=3)), max_size=12
)


@st.composite
def chunked(draw):
    text = "".join(draw(FRAGMENTS))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=10)))
    return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def stray_closing_mark(text):
    """Whether plain text comes first and then a closing mark that nothing opened: the one case a stream cannot split."""
    head, close, _ = text.partition(C)
    return bool(close) and O not in head and bool(head.strip())


@settings(max_examples=600, deadline=None)
@given(chunked())
def test_streaming_equals_the_split_of_the_whole(text_and_pieces):
    text, pieces = text_and_pieces
    thinking, answer = split_thinking(text)
    if stray_closing_mark(text):
        head, _, tail = text.partition(C)
        thinking, answer = None, head.rstrip() + tail.rstrip()
    assert streamed(pieces) == (thinking or "", answer)
    assert streamed(list(text)) == (thinking or "", answer)


@settings(max_examples=300, deadline=None)
@given(chunked())
def test_streaming_after_an_opening_prefix_equals_the_split_with_it(text_and_pieces):
    text, pieces = text_and_pieces
    assert streamed(pieces, started=True) == split_thinking(O + text)
    assert streamed(list(text), started=True) == split_thinking(O + text)


def test_plain_text_is_handed_out_at_once():
    parser = ThinkingParser()
    assert parser.feed("The total") == [("text", "The total")]
    assert parser.feed(" is ◁") == [("text", " is")]
    assert parser.feed("x") == [("text", " ◁x")]
    assert parser.finish() == []


def test_thinking_is_handed_out_as_it_comes_and_the_marks_never():
    parser = ThinkingParser()
    assert parser.feed("◁thi") == []
    assert parser.feed("nk▷So") == [("thinking", "So")]
    assert parser.feed(", yes.\n◁/think") == [("thinking", ", yes.")]
    assert parser.feed("▷\n\n") == []
    assert parser.feed("42\n") == [("text", "42")]
    assert parser.finish() == []


def test_a_stray_closing_mark_is_dropped_and_text_goes_on():
    assert streamed(["Yes.", C, " No."]) == ("", "Yes. No.")
