"""Short clips as frames with their times: shapes that do things, counters and clocks, subtitles, slides, and screen recordings."""

import random
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from kimi_vl.processor.labels import format_time, time_label
from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.clips.screens import recording
from kimi_vl.training.synth.clips.shapes import shapes
from kimi_vl.training.synth.clips.texts import cards, counter, running, subtitles
from kimi_vl.training.synth.clips.turns import Clip, Part, VideoTurns
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pictures.pictures import GROUNDS, draw_tones, lay_ground
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Overfull, Page, Scene

SIDES = ((168, 168), (196, 168), (224, 168), (196, 196), (224, 196), (224, 224), (252, 196), (252, 224), (280, 224), (252, 252), (280, 280))
RATES = (2, 2, 2, 2, 2, 2, 4, 4, 1, 1)  # frames a second
COUNTS = (6, 7, 8, 8, 9, 10, 10, 12, 12, 14, 16, 16, 20, 24, 28, 32)
LONGEST = 16  # seconds
CELL = 28  # pixels that a token covers
LABEL_TOKENS = 13  # about 9 for a time, 4 for the marks around a picture
BUDGET, LARGE_BUDGET = 1500, 3000  # tokens of frames and labels
KINDS = {"shapes": 32, "counter": 14, "running": 10, "subtitles": 10, "cards": 10, "recording": 24}
SCREENED = (224, 196)  # the least size on which a window is readable
FLICKER = (0, 0, 2, 3, 5)  # levels of noise that differs from frame to frame

Printed = tuple[np.ndarray, np.ndarray, str]


def video(content: Content, severity: float) -> Scene:
    """A clip of 6 to 32 frames (168 to 280 pixels a side) at 1, 2 or 4 frames a second, with 4 to 6 turns. Raises Overfull.

    Frames and labels cost at most 1,500 tokens, one time in ten 3,000. `severity` scales degradation, the same for all frames.
    """
    rng = content.rng
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    seconds = draw_times(content)
    size = draw_size(content, kind, len(seconds))
    plan = draw_plan(content, len(seconds))
    tenths = [round(second * 10) for second in seconds]
    parts = compose(content, kind, size, plan, tenths)
    frames = paint(parts, size, len(seconds))
    clip = join(parts, seconds, tenths)
    text = "\n".join([text for _, _, text in frames if text])
    turns = VideoTurns(content, Interview(rng, text, image_only=True, split=content.split), clip).draw(rng.randint(4, 6))
    pages = degrade(rng, frames, severity, min(part.x_height for part in parts))
    return Scene([Page(image, chars, time_label(second)) for (image, chars), second in zip(pages, seconds, strict=True)], turns, text)


def draw_times(content: Content) -> list[float]:
    """Each frame's time in seconds; three clips in ten are cut out of a longer one."""
    rng = content.rng
    rate = content.one(RATES)
    count = content.one([n for n in COUNTS if n <= LONGEST * rate])
    start = 0.0
    if content.chance(0.3):
        start = rng.randrange(content.one((60, 600, 600, 5400)) * rate) / rate
    return [start + k / rate for k in range(count)]


def draw_size(content: Content, kind: str, count: int) -> tuple[int, int]:
    """Width and height within the budget of tokens. Raises Overfull."""
    budget = LARGE_BUDGET if content.chance(0.1) else BUDGET
    low = SCREENED if kind == "recording" else SIDES[0]
    found = [(w, h) for w, h in SIDES if w >= low[0] and h >= low[1] and count * (w * h // CELL**2 + LABEL_TOKENS) <= budget]
    if not found:
        raise Overfull(f"{count} frames are too many")
    return content.one(found)


def draw_plan(content: Content, count: int) -> list[int]:
    """Frames of two to five events, none the first one, with a frame between them."""
    number = content.rng.randint(2, min(5, count // 2))
    chosen = sorted(content.rng.sample(range(count - number), number))
    return [frame + n + 1 for n, frame in enumerate(chosen)]


def compose(content: Content, kind: str, size: tuple[int, int], plan: list[int], tenths: Sequence[int]) -> list[Part]:
    """What the clip shows; the first part is behind the others."""
    count = len(tenths)
    if kind == "cards":
        return [cards(content, size, plan, count)]
    if kind == "recording":
        return [recording(content, size, plan, count)]
    tones = draw_tones(content)
    base = Canvas(*size, tones[0])
    lay_ground(content, base, str(GROUNDS.pick(content.rng, content.split)), tones)
    ground = base.rgb.copy()

    def lay(canvas: Canvas, frame: int) -> None:
        canvas.rgb[:] = ground

    if kind == "shapes":
        return [Part(lay), shapes(content, (0, 0, *size), plan, count, tones, whole=True)]
    if kind == "running":
        part, area = running(content, size, tenths)
        return [Part(lay), shapes(content, area, plan, count, tones, whole=False), part]
    own = sorted(content.rng.sample(plan, content.rng.randint(1, len(plan))))
    part, area = (counter if kind == "counter" else subtitles)(content, size, own, count)
    rest = [frame for frame in plan if frame not in own]
    return [Part(lay), shapes(content, area, rest, count, tones, whole=False), part]


def paint(parts: Sequence[Part], size: tuple[int, int], count: int) -> list[Printed]:
    """Every frame's picture, characters and text."""
    frames = []
    for frame in range(count):
        canvas = Canvas(*size, (255, 255, 255))
        for part in parts:
            part.paint(canvas, frame)
        image, chars, text = canvas.finish()
        for part in parts:
            part.cover(image, frame)
        frames.append((image, chars, text))
    return frames


def join(parts: Sequence[Part], seconds: Sequence[float], tenths: Sequence[int]) -> Clip:
    """The facts of all parts. Raises Overfull where hardly anything happens."""
    events = sorted((event for part in parts for event in part.events), key=lambda event: event.frame)
    if len(events) < 2:
        raise Overfull("hardly anything happens")
    assert len({event.frame for event in events}) == len(events), "two events in one frame"
    return Clip(
        tuple(format_time(second) for second in seconds),
        tuple(tenths),
        tuple(events),
        tuple(track for part in parts for track in part.tracks),
        tuple(tally for part in parts for tally in part.tallies),
        tuple(pair for part in parts for pair in part.never),
        all(part.steady for part in parts),
    )


def degrade(rng: random.Random, frames: Sequence[Printed], severity: float, x_height: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same tilt, light, blur and compression for all frames, then noise that flickers."""
    rows = np.concatenate([chars for _, chars, _ in frames])  # of all frames, so that each one's degradation is the same
    ends = np.cumsum([len(chars) for _, chars, _ in frames])
    seed = rng.getrandbits(32)
    level = rng.choice(FLICKER) if rng.random() < severity else 0
    done = []
    for (image, chars, _), end in zip(frames, ends, strict=True):
        image, moved = augment(random.Random(seed), image, rows, x_height=x_height, severity=severity, coloured=True)
        if level:
            image = flicker(rng, image, level)
        done.append((image, moved[end - len(chars) : end]))
    return done


def flicker(rng: random.Random, image: np.ndarray, level: int) -> np.ndarray:
    """Add noise of a standard deviation of `level`, cut from a fixed bank at a place of its own for each frame."""
    height, width = image.shape[:2]
    up, down = noise_bank(level)
    y, x = rng.randrange(up.shape[0] - height), rng.randrange(up.shape[1] - width)
    return cv2.subtract(cv2.add(image, up[y : y + height, x : x + width]), down[y : y + height, x : x + width])


@lru_cache(maxsize=len(FLICKER))
def noise_bank(level: int) -> tuple[np.ndarray, np.ndarray]:
    """What to add and what to subtract, uint8 [512, 512, 3] each."""
    noise = np.rint(np.random.default_rng(level).standard_normal((512, 512, 3), dtype=np.float32) * level)
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)
