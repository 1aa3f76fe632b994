"""What reaches which stream, and what never does."""

import io
import json

import pytest

from kimi_vl.cli.console import Console, one_line, printable, to_json
from tests.cli.terminal import FakeTerminal

HOSTILE = "a\x1b[31mred\x1b]0;title\x07b\x9b1mc\rd\x00e\x7ff\u202eg\u2066h\u2028i\ud800j"


def console(stream=io.StringIO, *, color=True):
    out, err = stream(), stream()
    return Console(out, err, color=color), out, err


def test_control_characters_are_removed_and_text_stays():
    assert printable(HOSTILE) == "a[31mred]0;titleb1mcdefghij"
    assert printable("tab\tline\nÄ€🧾 👨‍👩‍👧 \u00a0x") == "tab\tline\nÄ€🧾 👨‍👩‍👧 \u00a0x"


def test_a_message_of_several_lines_becomes_one():
    assert one_line("3 problems:\n  a is missing\n  b is missing") == "3 problems: a is missing; b is missing"
    assert one_line("") == ""


def test_every_way_to_print_removes_control_characters():
    for stream in (io.StringIO, FakeTerminal):
        for color in (False, True):
            shown, out, err = console(stream, color=color)
            for kind in ("thinking", "text"):
                shown.piece(kind, HOSTILE)
            shown.end_answer()
            for write in (shown.note, shown.error, shown.line, shown.status):
                write(HOSTILE)
            shown.document({"text": HOSTILE})
            text = out.getvalue() + err.getvalue()
            for allowed in ("\x1b[2m", "\x1b[31mkimi-vl", "\x1b[0m", "\r\x1b[K"):
                text = text.replace(allowed, "")
            assert printable(text) == text


def test_json_keeps_control_characters_as_escapes_and_is_read_back_equal():
    text = to_json({"text": HOSTILE})
    assert printable(text) == text
    assert json.loads(text) == {"text": HOSTILE}
    assert json.loads(to_json({"text": "Ä€"}, ascii_only=True)) == {"text": "Ä€"}
    assert to_json({"text": "Ä€"}, ascii_only=True).isascii()


def test_json_never_holds_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"x": float("nan")})


def test_a_document_for_a_stream_that_is_not_unicode_is_ascii():
    buffer = io.BytesIO()
    out = io.TextIOWrapper(buffer, encoding="latin-1")
    Console(out, io.StringIO(), color=False).document({"text": "€"})
    out.flush()
    assert json.loads(buffer.getvalue()) == {"text": "€"}


def test_thinking_is_dim_on_stderr_and_the_answer_plain_on_stdout():
    shown, out, err = console(FakeTerminal)
    for kind, text in (("thinking", "1 + 1"), ("thinking", " = 2"), ("text", "Tw"), ("text", "o")):
        shown.piece(kind, text)
    shown.end_answer()
    assert err.getvalue() == "\x1b[2m1 + 1\x1b[0m\x1b[2m = 2\x1b[0m\n\n"
    assert out.getvalue() == "Two\n"


@pytest.mark.parametrize(("stream", "color"), [(io.StringIO, True), (FakeTerminal, False)])
def test_without_colour_thinking_is_labelled_instead(stream, color):
    shown, out, err = console(stream, color=color)
    shown.piece("thinking", "\n1 + 1")
    shown.piece("text", "Two\n")
    shown.end_answer()
    shown.note("done")
    assert err.getvalue() == "thinking: 1 + 1\n\ndone\n"
    assert out.getvalue() == "Two\n"


def test_the_second_answer_starts_afresh():
    shown, out, err = console()
    for _ in range(2):
        shown.piece("thinking", "hm")
        shown.piece("text", "yes")
        shown.end_answer()
    assert err.getvalue() == "thinking: hm\n\n" * 2
    assert out.getvalue() == "yes\n" * 2


def test_an_answer_without_a_piece_prints_nothing():
    shown, out, err = console()
    shown.end_answer()
    assert (out.getvalue(), err.getvalue()) == ("", "")


def test_the_status_line_shows_on_a_terminal_only():
    shown, _, err = console(FakeTerminal)
    shown.status("loading 5%")
    shown.status("")
    assert err.getvalue() == "\r\x1b[K\x1b[2mloading 5%\x1b[0m\r\x1b[K"
    shown, _, err = console()
    shown.status("loading 5%")
    assert err.getvalue() == ""
