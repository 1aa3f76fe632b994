"""What a renderer hands to the training loop: a picture, where its characters are, and a conversation about it."""

from dataclasses import dataclass

import numpy as np

MODES = ("auto", "on", "off")
REFUSAL = "I cannot tell from this document."
REFUSAL_IMAGE = "I cannot tell from this image."


@dataclass(frozen=True)
class Turn:
    """One question and its answer.

    `mode` says who decides about thinking: "auto" the model (`thinking` may be None), "on" the caller demands it
    (`thinking` is text), "off" the caller forbids it (`thinking` is None). `task` is a short tag for the loss table.
    `box` is where the answered box or point lies: x0, y0, x1, y1 relative to the picture.
    """

    question: str
    answer: str
    thinking: str | None
    mode: str
    task: str
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """One training picture with everything that is known about it.

    `image` is uint8 [H, W, 3]; `chars` is float32 [n, 3]: code point, centre x, centre y in pixels of `image`, for every
    visible character in reading order, where y is half an x-height above the baseline, so that a line's characters share it;
    `text` is the transcription, rows joined by a newline, and holds the same characters in the same order.
    """

    image: np.ndarray
    chars: np.ndarray
    turns: list[Turn]
    text: str


class Overfull(Exception):
    """A random draw that does not fit its canvas. `world.render` draws again."""
