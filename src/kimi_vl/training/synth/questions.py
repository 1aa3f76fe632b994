"""Questions in many wordings, and the turns made of them: looked up, worked out, or refused."""

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.demands import demanded_date, demanded_number
from kimi_vl.training.synth.scene import MODES, REFUSAL, REFUSAL_IMAGE, Turn
from kimi_vl.training.synth.traces import Working
from kimi_vl.training.synth.wordings.wordings import CONTEXTS, ENDINGS, EVIDENCE, FOREIGN, HEARD

Maker = Callable[[], Turn | None]  # None when the document does not allow its question

MODE_SHARES = (0.6, 0.2, 0.2)  # auto, on, off
DATES = ("date", "due")
AMOUNTS = ("total", "subtotal", "tax", "discount", "tendered", "change", "price", "unit")
ALSO = {"date": "bought_on"}  # other ways to ask for a fact, where the document is of a purchase


class Interview:
    """Makes turns about one document with transcription `text`; every answer is checked against it.

    In splits "val" and "test" every second question is worded as none is in training.
    """

    def __init__(self, rng: random.Random, text: str, *, image_only: bool = False, split: str = "train") -> None:
        self.rng, self.text, self.split = rng, text, split
        self._flat = " ".join(text.split())
        self.refusal = REFUSAL_IMAGE if image_only else REFUSAL
        self._folded = text.casefold()

    def ask(self, key: str, /, **slots: str) -> str:
        """One wording of a question, sometimes with a word around it, sometimes typed carelessly."""
        split = self.split if self.split == "train" or self.rng.random() < 0.5 else "train"
        question = self.rng.choice(HEARD[split][key]).format(**slots)
        draw = self.rng.random()
        if draw > 0.86 and self.refusal == REFUSAL:
            around = self.rng.choice(CONTEXTS if draw > 0.91 else ENDINGS)
            return f"{around} {question}" if draw > 0.91 else f"{question} {around}"
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

    def fact(self, key: str, answer: str, row: str, task: str = "field", /, *, purchase: bool = False, **slots: str) -> Turn:
        """A field of the document that is printed in `row`, now and then in a form that the question demands."""
        draw = self.rng.random()
        asked = ALSO[key] if purchase and key in ALSO and self.rng.random() < 0.35 else key
        if draw < 0.15 and key in DATES and (form := demanded_date(self.rng, answer)):
            return self._demand(asked, form, row, "other", **slots)
        if draw < 0.12 and key in AMOUNTS and (form := demanded_number(self.rng, answer)):
            return self._demand(asked, form, row, task, **slots)
        return self.lookup(asked, answer, row, task, **slots)

    def _demand(self, key: str, form: tuple[str, str], row: str, task: str, /, **slots: str) -> Turn:
        demand, answer = form
        turn = self.glance(key, answer, self.rng.choice(EVIDENCE).format(row=row), task, **slots)
        return dataclasses.replace(turn, question=f"{turn.question} {demand}")

    def work(
        self, key: str, answer: str, trace: str | Working, task: str, /, *, trivial: bool = False, easy: bool = False, **slots: str
    ) -> Turn:
        """An answer that takes steps; without thinking only where it is `trivial`, with thinking only on demand where it is `easy`."""
        mode, working = self.mode(), Working(trace) if isinstance(trace, str) else trace
        if mode == "off" and not (trivial or easy):
            mode = "auto"
        thinking = working.text if mode == "on" or (mode == "auto" and not easy) else None
        return Turn(self.ask(key, **slots), answer, thinking, mode, task, steps=working.steps)

    def glance(self, key: str, answer: str, thought: str | Working, task: str, /, **slots: str) -> Turn:
        """An answer that is no quotation and needs no steps; thinking only on demand."""
        return self.work(key, answer, thought, task, trivial=True, easy=True, **slots)

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
