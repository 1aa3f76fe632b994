"""What is asked: how many answers at once, how long, and what they look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import InputError
from kimi_vl.media.pages import fit_page
from kimi_vl.media.selection import fit
from kimi_vl.processor.budget import fair_shares, frugality_for, legibility_for, room
from kimi_vl.processor.image import ImageProcessor
from kimi_vl.processor.views import EVERYTHING, MARKS

PAGE = (595.0, 842.0)  # points of A4
FRAME = (1280, 720)  # pixels of a video
MOST_BATCH = 4096
MOST_MEDIA = 100_000  # pages, or seconds of video


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """`batch` answers at once, each with `context` tokens of prompt, media and answer, of which `answer` are the answer.

    Each looks at `images` (width, height in pixels), at a PDF of `pages` A4 pages and at `video_s` seconds of a 16:9 clip. None: the
    model's own context, and 256 tokens of it for the answer or a quarter of a short one. Raises: InputError.
    """

    context: int | None = None
    batch: int = 1
    answer: int | None = None
    images: tuple[tuple[int, int], ...] = ()
    pages: int = 0
    video_s: float = 0.0

    def __post_init__(self) -> None:
        _whole("context", self.context, 2, 1 << 24)
        _whole("batch", self.batch, 1, MOST_BATCH)
        _whole("answer", self.answer, 1, 1 << 24)
        _whole("pages", self.pages, 0, MOST_MEDIA)
        if not (type(self.video_s) in (int, float) and math.isfinite(self.video_s) and 0 <= self.video_s <= MOST_MEDIA):
            raise InputError(f"video_s is {self.video_s!r}; it must be a number of seconds from 0 to {MOST_MEDIA:,}")
        for image in self.images:
            if not (len(image) == 2 and all(type(side) is int and 1 <= side <= 1 << 16 for side in image)):
                raise InputError(f"an image is {image!r}; it must be width and height in pixels, each from 1 to {1 << 16:,}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one answer's media come to: tokens of the prompt, patches of all pictures and of the largest one, and how many these are."""

    tokens: int = 0
    patches: int = 0
    largest: int = 0
    pictures: int = 0
    notes: tuple[str, ...] = ()


def seen_by(workload: Workload, config: KimiVLConfig, processor: ImageProcessor, context: int) -> Seen:
    """By the rules of `processor/budget.py`: pictures as they are, a PDF and a clip within a quarter of the context.

    Raises: InputError where the media leave no room for an answer, MediaError for a picture that is too elongated.
    """
    pictures = [processor.token_count(*image) for image in workload.images]
    notes, longest = [], config.text_config.max_position_embeddings
    legible, frugality = legibility_for(longest), frugality_for(longest)
    most = processor.token_count(*fit_page(*PAGE, EVERYTHING, processor.token_count, max_dpi=legible.most)) + MARKS
    least = processor.token_count(*fit_page(*PAGE, EVERYTHING, processor.token_count, max_dpi=legible.least)) + MARKS
    shown = sum(pictures) + MARKS * len(pictures)
    left = room(context, 0, shown)
    wants = []
    if workload.pages:
        wants.append(workload.pages * most)
    if workload.video_s:
        wants.append(fit(workload.video_s, FRAME, EVERYTHING, processor.token_count, frugality=frugality).tokens)
    shares = fair_shares(left, wants)
    if workload.pages:
        share = shares.pop(0)
        page = min(most, max(least, share // workload.pages))
        count = min(workload.pages, share // page)
        if count < 1:
            raise InputError(f"{context:,} tokens hold no page beside the other media, which takes {least}; lengthen the context")
        pictures += [page - MARKS] * count
        if count < workload.pages:
            notes.append(f"{count:,} of {workload.pages:,} pages fit a quarter of the context; which, the question decides")
    if workload.video_s:
        fitted = fit(workload.video_s, FRAME, shares.pop(0), processor.token_count, frugality=frugality)
        pictures += [fitted.tokens // fitted.count - frugality.label_tokens] * fitted.count
        notes += fitted.notes
    tokens = sum(pictures) + MARKS * len(pictures)
    if tokens >= context:
        raise InputError(f"the pictures take {tokens:,} tokens and the context is {context:,}; lengthen it, or show fewer or smaller ones")
    return Seen(tokens, 4 * sum(pictures), 4 * max(pictures, default=0), len(pictures), tuple(notes))


def parse_images(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """'1792x1792' and '4*1024x768' -> sizes. Raises: InputError."""
    sizes: list[tuple[int, int]] = []
    for text in texts:
        count, _, size = text.rpartition("*")
        width, by, height = size.lower().replace("×", "x").partition("x")
        numbers = [count or "1", width, height]
        if not (by and all(number.strip().isascii() and number.strip().isdecimal() and len(number) < 8 for number in numbers)):
            raise InputError(f"an image is {text[:40]!r}; write width and height in pixels, such as 1792x1792, or 4*1024x768 for four")
        if not 1 <= int(numbers[0]) <= 512:
            raise InputError(f"{text[:40]!r} is {numbers[0]} images; from 1 to 512 can be shown")
        sizes += [(int(width), int(height))] * int(numbers[0])
    return tuple(sizes)


def _whole(name: str, value: object, least: int, most: int) -> None:
    if value is not None and not (type(value) is int and least <= value <= most):
        raise InputError(f"{name} is {value!r}; it must be a whole number from {least} to {most:,}")
