"""The terminal: what goes to which stream, in which colour, and what is never let through."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

DIM, RED, RESET = "\x1b[2m", "\x1b[31m", "\x1b[0m"

# Whatever moves a cursor, rings or reorders a line: C0 but newline and tab, DEL, C1, line separators, bidirectional overrides, and
# lone surrogates, which no stream can encode. File names and model output reach the terminal, and a terminal obeys what it reads.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text without control characters; newline and tab stay."""
    return _UNSAFE.sub("", text)


def one_line(text: str) -> str:
    """Text for a single line. The items of a message that lists one per line are joined by semicolons."""
    first, *items = printable(text).strip().splitlines() or [""]
    return " ".join([first, "; ".join(item.strip() for item in items)]).strip()


def to_json(document: Any, *, ascii_only: bool = False) -> str:
    """One indented JSON document, without NaN, with control characters escaped."""
    text = json.dumps(document, ensure_ascii=ascii_only, allow_nan=False, indent=2)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Console:
    """Answers go to stdout and everything else to stderr, so that `kimi-vl ask ... > answer.txt` keeps the answer alone.

    A stream has colour when it is a terminal, unless the user set NO_COLOR (no-color.org) or has a dumb terminal.
    """

    def __init__(self, out: TextIO, err: TextIO, *, color: bool) -> None:
        self._out, self._err = out, err
        self._color = self._rewrites = color and err.isatty()
        self._shown: str | None = None  # kind of the last piece
        self._open_line = False

    def piece(self, kind: str, text: str) -> None:
        """A piece of a streamed answer: thinking dimmed on stderr (labelled where there is no colour), text plain on stdout."""
        text = printable(text)
        if self._shown is None:
            text = text.lstrip()
        if not text:
            return
        if kind != self._shown:
            self._start(kind)
        if kind == "thinking":
            self._tell(text)
        else:
            self._out.write(text)
            self._out.flush()
        self._shown, self._open_line = kind, not text.endswith("\n")

    def end_answer(self) -> None:
        """Close the last line of a streamed answer."""
        if self._open_line:
            self._end_line()
        self._shown = None

    def status(self, text: str) -> None:
        """Replace the line that says what is going on; "" removes it. Nothing where stderr is no terminal."""
        if self._rewrites:
            self._err.write(f"\r\x1b[K{DIM}{one_line(text)}{RESET}" if text else "\r\x1b[K")
            self._err.flush()

    def note(self, text: str) -> None:
        """One dim line."""
        self._tell(one_line(text))
        self._err.write("\n")

    def error(self, text: str) -> None:
        """The one line that says what is wrong."""
        label = f"{RED}kimi-vl:{RESET}" if self._color else "kimi-vl:"
        self._err.write(f"{label} {one_line(text)}\n")
        self._err.flush()

    def line(self, text: str = "") -> None:
        """A line of a report on stdout; leading spaces stay."""
        self._out.write(printable(text) + "\n")

    def document(self, document: Any) -> None:
        """One JSON document on stdout."""
        is_unicode = (self._out.encoding or "").lower().startswith("utf")
        self._out.write(to_json(document, ascii_only=not is_unicode) + "\n")

    def _start(self, kind: str) -> None:
        if self._open_line:
            self._end_line()
        if self._shown == "thinking":
            self._err.write("\n")
            self._err.flush()
        elif kind == "thinking" and not self._color:
            self._err.write("thinking: ")

    def _end_line(self) -> None:
        stream = self._err if self._shown == "thinking" else self._out
        stream.write("\n")
        stream.flush()
        self._open_line = False

    def _tell(self, text: str) -> None:
        self._err.write(f"{DIM}{text}{RESET}" if self._color else text)
        self._err.flush()
