"""Thinking and answer, told apart in decoded text: MODEL_SPEC §5.5.

The marks are plain text, not control tokens, and their last character merges with what follows, so they are looked for in
characters and never in ids.

The rule. The first closing mark ends the thinking, as in the official split. The thinking is what stands between the first
opening mark and it; with no opening mark before it, everything before it (a prompt may have opened the thinking). Without a
closing mark the thinking was cut short. All other text is the answer: what follows, in which further marks are ordinary text,
and what little a model may have said before the opening mark, which the official split drops. White space around the marks
and at the end of such an output is dropped; text without marks is returned untouched.
"""

from __future__ import annotations

THINK_OPEN = "◁think▷"
THINK_CLOSE = "◁/think▷"

# The marks that mean something in each state of the parser.
MARKS = {"before": (THINK_OPEN, THINK_CLOSE), "thinking": (THINK_CLOSE,), "after": ()}


def split_thinking(text: str) -> tuple[str | None, str]:
    """Return (thinking, answer) of a whole output; thinking is None where no mark occurs, the answer "" where it was cut short."""
    head, close, tail = text.partition(THINK_CLOSE)
    before, opening, thinking = head.partition(THINK_OPEN)
    if not opening and not close:
        return None, text
    if not opening:
        before, thinking = "", head
    answer = before.rstrip() + tail.rstrip() if before.strip() else tail.strip()
    return thinking.strip(), answer


class ThinkingParser:
    """`split_thinking` while the text is still arriving.

    Pieces joined by kind equal `split_thinking` of the whole (of `THINK_OPEN` + whole when `started`), however it was cut. One
    case cannot be had: after plain text, a closing mark that nothing opened makes all of it thinking, which by then has been
    handed out as text; here the mark is dropped and text goes on.
    """

    def __init__(self, started: bool = False, *, exact: bool = False, over: bool = False) -> None:
        """`started`: the prompt ends inside the thinking, as with the prefix `THINK_OPEN`.

        `exact`: the answer is a document, such as JSON, in which marks and white space are its own. Then a thought can only stand at the
        very beginning, and not even there if it is `over`.
        """
        self._state = "thinking" if started else "after" if exact and over else "before"
        self._exact = exact
        self._skips_space = started
        self._answered = False  # some of the answer has been handed out
        self._held = ""  # white space and the beginning of a mark, which the next piece decides about

    def feed(self, piece: str) -> list[tuple[str, str]]:
        """Take a piece of text and return what it settles: (kind, text) pairs, kind "thinking" or "text", text never empty."""
        self._held += piece
        if self._exact and self._state == "before" and not (self._held.startswith(THINK_OPEN) or THINK_OPEN.startswith(self._held)):
            self._state = "after"
        pairs: list[tuple[str, str]] = []
        while mark := self._next_mark():
            text, _, self._held = self._held.partition(mark)
            self._emit(pairs, text.rstrip())
            self._state = "thinking" if mark == THINK_OPEN else "after"
            self._skips_space = mark == THINK_OPEN or not (self._answered or self._exact)
        size = self._settled_size()
        text, self._held = self._held[:size], self._held[size:]
        self._emit(pairs, text)
        return pairs

    def finish(self) -> list[tuple[str, str]]:
        """What was still held back when the output ended."""
        pairs: list[tuple[str, str]] = []
        self._emit(pairs, self._held if self._state == "before" else self._held.rstrip())
        self._held = ""
        return pairs

    @property
    def is_thinking(self) -> bool:
        """Whether the text so far ends inside of a thought."""
        return self._state == "thinking"

    def _emit(self, pairs: list[tuple[str, str]], text: str) -> None:
        if self._skips_space:
            text = text.lstrip()
        if text:
            pairs.append(("thinking" if self._state == "thinking" else "text", text))
            self._answered = self._answered or self._state != "thinking"
            self._skips_space = False

    def _next_mark(self) -> str | None:
        found = [mark for mark in MARKS[self._state] if mark in self._held]
        return min(found, key=self._held.index, default=None)

    def _settled_size(self) -> int:
        """How much of the held text no later piece can change."""
        if self._exact and self._state == "after":
            return len(self._held)
        start = self._held.rfind(THINK_OPEN[0])
        is_open_ended = start >= 0 and any(mark.startswith(self._held[start:]) for mark in MARKS[self._state])
        return len((self._held[:start] if is_open_ended else self._held).rstrip())
