"""What a renderer hands to the training loop: pictures, where their characters are, and a conversation about them."""

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
    `box` is where the answered box or point lies: x0, y0, x1, y1 relative to the picture. `steps` counts the operations
    of a calculation, a measure of difficulty.
    """

    question: str
    answer: str
    thinking: str | None
    mode: str
    task: str
    box: tuple[float, float, float, float] | None = None
    steps: int = 0


@dataclass(frozen=True, eq=False)
class Page:
    """One picture: of a document a page, of a clip a frame.

    `image` is uint8 [H, W, 3]; `chars` is float32 [n, 3]: code point, centre x, centre y in pixels of `image`, for every
    visible character in reading order, where y is half an x-height above the baseline, so that a line's characters share it;
    `label` is what the prompt says before the picture (`processor.labels`), nothing for a picture on its own.
    """

    image: np.ndarray
    chars: np.ndarray
    label: str = ""


@dataclass(frozen=True, eq=False)
class Scene:
    """One training sample with everything that is known about it.

    `pages` are its pictures in order, none for a sample of text alone; `text` is the transcription of all, rows joined by a newline, and
    holds the same characters in the same order.
    """

    pages: list[Page]
    turns: list[Turn]
    text: str

    @property
    def image(self) -> np.ndarray:
        """The picture of a scene that has exactly one."""
        (page,) = self.pages
        return page.image

    @property
    def chars(self) -> np.ndarray:
        """The characters of a scene that has exactly one picture."""
        (page,) = self.pages
        return page.chars


class Overfull(Exception):
    """A random draw that does not fit its canvas. `world.render` draws again."""
