"""Questions in many wordings, and the turns made of them: looked up, worked out, or refused."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.scene import MODES, REFUSAL, REFUSAL_IMAGE, Turn
from kimi_vl.training.synth.wordings import EVIDENCE, FOREIGN, WORDINGS

Maker = Callable[[], Turn | None]  # None when the document does not allow its question

MODE_SHARES = (0.6, 0.2, 0.2)  # auto, on, off


class Interview:
    """Makes turns about one document with transcription `text`; every answer is checked against it."""

    def __init__(self, rng: random.Random, text: str, *, image_only: bool = False) -> None:
        self.rng, self.text = rng, text
        self._flat = " ".join(text.split())
        self.refusal = REFUSAL_IMAGE if image_only else REFUSAL
        self._folded = text.casefold()

    def ask(self, key: str, /, **slots: str) -> str:
        """One wording of a question, sometimes typed carelessly."""
        question = self.rng.choice(WORDINGS[key]).format(**slots)
        draw = self.rng.random()
        if draw < 0.15:
            question = question.rstrip("?.").lower()
        elif draw < 0.22:
            question = question[0].lower() + question[1:]
        elif draw < 0.27:
            question = question.rstrip("?.")
        return question

    def mode(self) -> str:
        return self.rng.choices(MODES, MODE_SHARES)[0]

    def read(self, answer: str, key: str = "read", task: str = "read", /, **slots: str) -> Turn:
        """Transcribe `answer`, rows of the document."""
        assert answer in self.text, f"{answer!r} is not in the transcription"
        mode = self.mode()
        n = answer.count("\n") + 1
        said = f"There {'is one line' if n == 1 else f'are {n} lines'} to read."
        return Turn(self.ask(key, **slots), answer, said if mode == "on" else None, mode, task)

    def lookup(self, key: str, answer: str, row: str, task: str = "field", /, **slots: str) -> Turn:
        """Answer with what is printed in `row`; demanded thinking quotes the row."""
        assert answer in self._flat, f"{answer!r} is not in the transcription"
        assert row in self.text or row in self._flat, f"{row!r} is not in the transcription"
        mode = self.mode()
        thinking = self.rng.choice(EVIDENCE).format(row=row) if mode == "on" else None
        return Turn(self.ask(key, **slots), answer, thinking, mode, task)

    def work(self, key: str, answer: str, trace: str, task: str, /, *, trivial: bool = False, **slots: str) -> Turn:
        """An answer that takes steps; without thinking only where it is `trivial`."""
        mode = self.mode()
        if mode == "off" and not trivial:
            mode = "auto"
        return Turn(self.ask(key, **slots), answer, None if mode == "off" else trace, mode, task)

    def glance(self, key: str, answer: str, thought: str, task: str, /, **slots: str) -> Turn:
        """An answer that is no quotation and needs no steps; thinking only on demand."""
        mode = self.mode()
        return Turn(self.ask(key, **slots), answer, thought if mode == "on" else None, mode, task)

    def refuse(self, key: str, thought: str, /, **slots: str) -> Turn:
        """A question that the document does not answer."""
        return self.glance(key, self.refusal, thought, "refuse", **slots)

    def foreign(self) -> Turn:
        """A question about something else altogether."""
        mode = self.mode()
        question = self.rng.choice(FOREIGN)
        if self.rng.random() < 0.2:
            question = question.rstrip("?.").lower()
        return Turn(question, self.refusal, "This is not about what is printed here." if mode == "on" else None, mode, "refuse")

    def draw(self, count: int, makers: Sequence[tuple[Maker, int]]) -> list[Turn]:
        """`count` different turns from makers drawn by weight, fewer when the document is poor."""
        turns: list[Turn] = []
        seen: set[tuple[str, str]] = set()
        for maker in self.rng.choices([m for m, _ in makers], [w for _, w in makers], k=count * 5):
            if len(turns) == count:
                break
            turn = maker()
            if turn and (turn.task, turn.answer) not in seen:
                seen.add((turn.task, turn.answer))
                turns.append(turn)
        return turns

    def lacks(self, text: str) -> bool:
        """Whether the document does not contain `text`, whatever the case."""
        return text.casefold() not in self._folded


class Draft(NamedTuple):
    """A drawn document before its text is printed: the canvas, how much of its height is used, the smallest x-height
    (pixels), and what asks about it once the transcription is known. `outlines` are the places that turns name by number,
    float32 [n, 2] each in pixels of the canvas; `coloured` says that questions are about colours, which must survive."""

    canvas: Canvas
    height: int
    x_height: float
    ask: Callable[[Interview], list[Turn]]
    outlines: Sequence[np.ndarray] = ()
    coloured: bool = False
