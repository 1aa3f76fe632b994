"""Pictures that answer nothing: empty paper, noise, gradients, shapes and blobs like those of a photograph."""

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Turn

KEYS = ("read", "total", "date", "shop", "number", "phone", "first", "last", "tax", "change", "cheapest", "count_items", "title")


def blank(content: Content) -> Draft:
    """A picture without a letter, 28 to 448 pixels a side, and one to four questions that it cannot answer."""
    rng = content.rng
    width, height = rng.choice(((448, 448), (448, 224), (224, 224), (336, 448), (448, 56), (280, 112), (140, 140)))
    canvas = Canvas(width, height, content.colours()[0])
    draw = rng.choice((empty, shapes, shapes, gradient, blobs, blobs, noise, bars))
    draw(content, canvas)

    def ask(interview: Interview) -> list[Turn]:
        turns = []
        for _ in range(rng.randint(1, 4)):
            key = rng.choice(KEYS)
            turn = interview.refuse(key, "There is no text in this image.")
            turns.append(interview.foreign() if rng.random() < 0.25 else turn)
        return turns

    return Draft(canvas, height, 20.0, ask)


def _colour(content: Content) -> tuple[int, int, int]:
    return (content.rng.randrange(256), content.rng.randrange(256), content.rng.randrange(256))


def empty(content: Content, canvas: Canvas) -> None:
    """Paper, perhaps with ruled lines or a frame."""
    rng, colour = content.rng, _colour(content)
    kind = rng.randrange(4)
    if kind == 0:
        for y in range(rng.randint(10, 30), canvas.height, rng.randint(14, 40)):
            canvas.fill(8, y, canvas.width - 8, y + 1, colour)
    elif kind == 1:
        canvas.frame(4, 4, canvas.width - 4, canvas.height - 4, colour, rng.randint(1, 4))
    elif kind == 2:
        step = rng.randint(12, 40)
        for y in range(0, canvas.height, step):
            canvas.fill(0, y, canvas.width, y + 1, colour)
        for x in range(0, canvas.width, step):
            canvas.fill(x, 0, x + 1, canvas.height, colour)


def shapes(content: Content, canvas: Canvas) -> None:
    """Circles, boxes and lines."""
    rng, width, height = content.rng, canvas.width, canvas.height
    scratch = _scratch(canvas)
    for _ in range(rng.randint(1, 12)):
        colour = (*_colour(content), 0)
        centre = (rng.randrange(width), rng.randrange(height))
        size = rng.randint(4, max(5, min(width, height) // 2))
        thick = rng.choice((-1, -1, 1, 3))
        kind = rng.randrange(4)
        if kind == 0:
            cv2.circle(scratch, centre, size // 2, colour, thick, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(scratch, centre, (centre[0] + size, centre[1] + rng.randint(2, size)), colour, thick)
        elif kind == 2:
            cv2.line(scratch, centre, (rng.randrange(width), rng.randrange(height)), colour, rng.randint(1, 6), cv2.LINE_AA)
        else:
            axes = (size // 2, rng.randint(2, size))
            cv2.ellipse(scratch, centre, axes, rng.randrange(180), 0, rng.choice((180, 360)), colour, thick, cv2.LINE_AA)
    canvas.rgb[:] = scratch


def gradient(content: Content, canvas: Canvas) -> None:
    corners = np.array([[(*_colour(content), 0) for _ in range(2)] for _ in range(2)], np.uint8)
    canvas.rgb[:] = cv2.resize(corners, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)


def blobs(content: Content, canvas: Canvas) -> None:
    """Clouds of colour at two scales, with shapes in front: what a blurred photograph looks like."""
    rng = content.rng
    local = np.random.default_rng(rng.getrandbits(32))
    n = rng.randint(3, 14)
    coarse = local.integers(0, 256, (n, n, 4), dtype=np.uint8)
    canvas.rgb[:] = cv2.resize(coarse, (canvas.width, canvas.height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.6:
        shapes(content, canvas)
    scratch = _scratch(canvas)
    fine = local.integers(0, 40, (canvas.height // 3, canvas.width // 3, 4), dtype=np.uint8)
    scratch = cv2.add(scratch, cv2.resize(fine, (canvas.width, canvas.height)))
    canvas.rgb[:] = cv2.GaussianBlur(scratch, (0, 0), rng.uniform(0.5, 4))


def noise(content: Content, canvas: Canvas) -> None:
    local = np.random.default_rng(content.rng.getrandbits(32))
    grain = content.rng.randint(1, 6)
    small = local.integers(0, 256, (canvas.height // grain + 1, canvas.width // grain + 1, 4), dtype=np.uint8)
    if content.chance(0.5):
        small[..., 1] = small[..., 2] = small[..., 0]
    canvas.rgb[:] = cv2.resize(small, (canvas.width, canvas.height), interpolation=cv2.INTER_NEAREST)


def bars(content: Content, canvas: Canvas) -> None:
    """Grey bars where text would be, as on a page that is still loading."""
    rng, colour = content.rng, content.colours()[1]
    high = rng.randint(4, 16)
    y = rng.randint(6, 24)
    while y + high < canvas.height - 4:
        x, end = rng.randint(8, 20), rng.randint(canvas.width // 3, canvas.width - 8)
        while x < end:
            wide = rng.randint(8, 90)
            canvas.fill(x, y, min(x + wide, end), y + high, colour)
            x += wide + rng.randint(4, 10)
        y += high * 2 + rng.randint(0, 12)


def _scratch(canvas: Canvas) -> np.ndarray:
    """A contiguous copy, which OpenCV draws on; the canvas itself is a strided view."""
    return canvas.rgb.copy()
