"""Reply and StopFinder: whatever the tokens, the pieces joined are the answer, and nothing of a mark or a stop string gets out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.processor import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.reply import Piece, Reply, StopFinder
from tests.tiny_checkpoint import byte_tokens, processor, tokens_of


def read(tokens, **options):
    """Push tokens until the reply stops, as generation does; returns the reply, its thinking and its text."""
    reply = Reply(processor().tokenizer, **options)
    pieces: list[Piece] = []
    for token in tokens:
        pieces += reply.push(token)
        if reply.stopped:
            break
    pieces += reply.finish()
    return reply, *("".join(piece.text for piece in pieces if piece.kind == kind) for kind in ("thinking", "text"))


def cut(text, stops):
    """What StopFinder promises, one character at a time: the text before the stop string that is complete first."""
    for end in range(1, len(text) + 1):
        matches = [stop for stop in stops if text[:end].endswith(stop)]
        if matches:
            return text[: end - max(map(len, matches))]
    return text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abc", max_size=6), max_size=8), st.lists(st.text("abc", min_size=1, max_size=4), max_size=4))
def test_a_stop_string_cuts_at_the_same_place_however_the_text_is_divided(parts, stops):
    finder = StopFinder(stops)
    shown = "".join([*map(finder.feed, parts), finder.finish()])
    assert shown == cut("".join(parts), stops)
    assert (finder.found is not None) == any(stop in "".join(parts) for stop in stops)
    assert finder.found in (None, *stops)
    assert "".join(parts).startswith(shown + (finder.found or ""))


@settings(max_examples=200, deadline=None)
@given(st.text("abc", max_size=12), st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4))
def test_whatever_cannot_begin_a_stop_string_is_shown_at_once(text, stops):
    finder = StopFinder(stops)
    shown = "".join(map(finder.feed, text))
    if not finder.found:
        held = text.removeprefix(shown)
        assert held == "" or any(stop.startswith(held) for stop in stops)


def test_a_stop_string_over_several_tokens_is_cut_out_whole():
    reply, _, text = read(tokens_of("The total", " is 5", "\nEN", "D OF", " ANSWER and more"), stop=["END OF ANSWER"])
    assert (text, reply.stopped) == ("The total is 5\n", True)


def test_the_beginning_of_a_stop_string_comes_out_when_it_turns_out_to_be_something_else():
    reply, _, text = read(tokens_of("one EN", "D OF", " line"), stop=["END OF ANSWER"])
    assert (text, reply.stopped) == ("one END OF line", False)


def test_the_beginning_of_a_stop_string_at_the_very_end_is_part_of_the_answer():
    assert read(tokens_of("one", " END"), stop=["END OF"])[2] == "one END"


def test_stop_strings_are_not_looked_for_in_the_thinking():
    reply, thinking, text = read(tokens_of(THINK_OPEN, "a STOP b", THINK_CLOSE, "c STOP d"), stop=["STOP"])
    assert (thinking, text, reply.stopped) == ("a STOP b", "c ", True)


def test_white_space_between_thinking_and_answer_does_not_stop_the_answer():
    reply, _, text = read(tokens_of(THINK_OPEN, "sum", THINK_CLOSE, "\n\n", "first\nsecond"), stop=["\n"])
    assert (text, reply.stopped) == ("first", True)


def test_a_character_spread_over_tokens_comes_out_whole_and_only_when_complete():
    reply = Reply(processor().tokenizer)
    shown = [[piece.text for piece in reply.push(token)] for token in byte_tokens("a€🧾b")]
    assert shown == [["a"], [], [], ["€"], [], [], [], ["🧾"], ["b"]]


def test_a_character_that_is_never_finished_is_told_as_a_replacement_character():
    assert read(byte_tokens("ab€")[:-1])[2] == "ab\ufffd"


def test_white_space_around_the_answer_is_dropped_and_inside_it_is_kept():
    assert read(tokens_of("\n ", "one\n\n  two", " \n"))[2] == "one\n\n  two"


def test_control_tokens_that_a_model_says_are_no_text():
    control = [processor().tokenizer.special(name) for name in ("<|im_user|>", "<|media_pad|>")]
    assert read([*tokens_of("one"), *control, *tokens_of(" two")])[2] == "one two"


def test_marks_cut_over_any_tokens_separate_thinking_from_text():
    tokens = byte_tokens(f"{THINK_OPEN}3 + 4 = 7{THINK_CLOSE}7")
    reply, thinking, text = read(tokens)
    assert (thinking, text) == ("3 + 4 = 7", "7")
    assert reply.thinking_tokens == len(tokens) - 1


@pytest.mark.parametrize(
    ("texts", "started", "expected"),
    [
        (["plain answer"], False, 0),
        ([THINK_OPEN, "abc", THINK_CLOSE, "answer"], False, 3),
        (["abc", THINK_CLOSE, "answer"], True, 2),
        (["abc"], True, 1),
        ([THINK_OPEN, "abc"], False, 2),
        (["answer", f" with {THINK_CLOSE}", f" and {THINK_OPEN}", "more"], False, 0),
    ],
)
def test_thinking_tokens_run_from_mark_to_mark(texts, started, expected):
    tokens = [tokens_of(text) for text in texts]
    assert read([t for part in tokens for t in part], thinking_started=started)[0].thinking_tokens == sum(map(len, tokens[:expected]))


def test_a_budget_forces_the_closing_mark_once_when_it_is_spent():
    reply = Reply(processor().tokenizer, thinking_started=True, max_thinking_tokens=3)
    forced = []
    for token in byte_tokens("abcdef"):
        reply.push(token)
        forced.append(reply.forced())
    closing = processor().tokenizer.encode(THINK_CLOSE)
    assert forced == [[], [], closing, [], [], []]


def test_thinking_that_closes_by_itself_is_not_closed_again():
    reply = Reply(processor().tokenizer, thinking_started=True, max_thinking_tokens=10)
    for token in [*byte_tokens("abc"), *tokens_of(THINK_CLOSE), *byte_tokens("a long answer follows")]:
        reply.push(token)
        assert reply.forced() == []


def test_a_budget_of_nothing_closes_as_soon_as_the_mark_is_complete():
    reply = Reply(processor().tokenizer, max_thinking_tokens=0)
    tokens = byte_tokens(f"{THINK_OPEN}abc")
    forced = []
    for token in tokens:
        reply.push(token)
        forced.append(bool(reply.forced()))
    assert forced.index(True) == len(THINK_OPEN.encode()) - 1


def test_no_budget_never_forces():
    reply = Reply(processor().tokenizer, thinking_started=True)
    for token in byte_tokens("abc" * 50):
        reply.push(token)
        assert reply.forced() == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([THINK_OPEN, THINK_CLOSE, "◁", "think", "▷", "/", " ", "\n", "€", "x", "STOP", "ST"]), max_size=12))
def test_one_token_per_byte_reads_the_same_as_large_tokens(parts):
    whole = "".join(parts)
    _, *by_bytes = read(byte_tokens(whole), stop=["STOP"])
    _, *by_parts = read(tokens_of(*parts), stop=["STOP"])
    # The one exception that ThinkingParser names: a closing mark after plain text that nothing has opened.
    if THINK_CLOSE not in whole or THINK_OPEN in whole.partition(THINK_CLOSE)[0]:
        assert by_bytes == by_parts
