"""A stand-in that lets tests of the renderers see what was asked."""

import random

from kimi_vl.training.synth.questions import Interview


class Recorder(Interview):
    """An interview that remembers what it asked for last."""

    def __init__(self, rng: random.Random, text: str) -> None:
        super().__init__(rng, text)
        self.key, self.slots = "", dict[str, str]()

    def ask(self, key: str, /, **slots: str) -> str:
        self.key, self.slots = key, slots
        return super().ask(key, **slots)
