"""From the tokens of an answer back to what a person reads: characters, thinking, stop strings.

The counterpart of the prompt. It takes token ids one by one and gives pieces of thinking and text that can be shown at once; joined, the
pieces are the whole answer, so streaming and waiting cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from kimi_vl.processor.thinking import THINK_CLOSE, ThinkingParser
from kimi_vl.processor.tokenizer import IncrementalDecoder, Tokenizer


class Piece(NamedTuple):
    """A bit of an answer. `text` is never empty."""

    kind: Literal["thinking", "text"]
    text: str


class StopFinder:
    """Lets a text pass up to the first stop string, holding back what may be the beginning of one.

    The stop string that is complete first wins, so the cut does not depend on how the text is divided into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.found: str | None = None
        self._stops = stops
        self._held = ""

    def feed(self, text: str) -> str:
        """Whatever can now be said not to belong to a stop string; nothing more once one has been found."""
        if self.found is not None:
            return ""
        text = self._held + text
        # By end, then by start: of two that end together the longer one is cut out.
        spans = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if spans:
            end, start = min(spans)
            self.found, self._held = text[start:end], ""
            return text[:start]
        keep = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What is still held back, once no more text will come."""
        held, self._held = self._held, ""
        return held


class Reply:
    """Reads one answer.

    Control tokens have no text, and white space around thinking and answer is dropped. Stop strings are looked for in the answer as the
    caller will see it: thinking is not searched, and white space counts once something follows it. `thinking_tokens` counts the tokens
    from the opening to the closing mark, both included.

    A `document` is given as it stands, white space and marks included; see `ThinkingParser` for it and for `thinking_over`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        thinking_started: bool = False,
        thinking_over: bool = False,
        document: bool = False,
        stop: Sequence[str] = (),
        max_thinking_tokens: int | None = None,
    ) -> None:
        self.thinking_tokens = 0
        self._control_ids = frozenset(tokenizer.special_ids.values())
        self._decoder = IncrementalDecoder(tokenizer)
        self._parser = ThinkingParser(started=thinking_started, exact=document, over=thinking_over)
        self._document = document
        self._stops = StopFinder(stop)
        self._undecided = 0  # tokens that have given nothing yet: the beginning of a mark, or of a character
        self._has_begun = False  # some of the answer has been seen
        self._budget = max_thinking_tokens
        self._closing_ids = tokenizer.encode(THINK_CLOSE)

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._stops.found is not None

    @property
    def stop_string(self) -> str | None:
        """The one that has."""
        return self._stops.found

    def push(self, token_id: int) -> list[Piece]:
        """Take the next token and return what can be shown."""
        text = "" if token_id in self._control_ids else self._decoder.push(token_id)
        was_inside = self._parser.is_thinking
        pieces = self._checked(self._parser.feed(text))
        is_thinking = was_inside or self._parser.is_thinking
        self._undecided += 1
        if is_thinking:
            self.thinking_tokens += self._undecided
        if is_thinking or pieces:
            self._undecided = 0
        return pieces

    def forced(self) -> list[int]:
        """The tokens of the closing mark, once: when the thinking has used its budget and goes on. Otherwise nothing."""
        if self._budget is None or not self._parser.is_thinking or self.thinking_tokens < self._budget:
            return []
        self._budget = None
        return self._closing_ids

    def finish(self) -> list[Piece]:
        """What was held back, once no more tokens will come."""
        last = self._parser.feed(self._decoder.finish())
        pieces = self._checked([*last, *((kind, text.rstrip()) for kind, text in self._parser.finish())])
        held = self._stops.finish()
        return [*pieces, Piece("text", held)] if held else pieces

    def _checked(self, settled: Iterable[tuple[str, str]]) -> list[Piece]:
        pieces = []
        for kind, text in settled:
            if kind == "thinking" and text:
                pieces.append(Piece("thinking", text))
            if kind == "text":
                text = text if self._has_begun or self._document else text.lstrip()
                self._has_begun = self._has_begun or bool(text)
                if shown := self._stops.feed(text):
                    pieces.append(Piece("text", shown))
        return pieces
