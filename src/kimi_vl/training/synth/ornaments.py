"""Marks on documents that are not text: logos and bar codes."""

import cv2

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.content import Content


def logo(content: Content, canvas: Canvas, middle: int, top: int, size: int, ink: Colour) -> None:
    """A disc, ring, diamond or pair of bars about (middle, top + size / 2), in the ink's colour or another."""
    rng, half = content.rng, size // 2
    colour = (*(ink if content.chance(0.5) else content.colours()[1]), 0)
    centre = (middle, top + half)
    kind = rng.randrange(5)
    if kind == 0:
        cv2.circle(canvas.rgb, centre, half, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(canvas.rgb, centre, half - 2, colour, 3, cv2.LINE_AA)
    elif kind == 2:
        cv2.ellipse(canvas.rgb, centre, (half, half // 2), 45, 0, 360, colour, -1, cv2.LINE_AA)
    elif kind == 3:
        canvas.fill(middle - half, top, middle + half, top + half - 2, colour[:3])
        canvas.fill(middle - half // 2, top + half + 2, middle + half // 2, top + size, colour[:3])
    else:
        for k in range(-1, 2):
            cv2.line(canvas.rgb, (middle + k * half // 2 - 4, top + size), (middle + k * half // 2 + 4, top), colour, 4, cv2.LINE_AA)


def barcode(content: Content, canvas: Canvas, box: tuple[int, int, int, int], ink: Colour) -> None:
    """Upright bars of one to four pixels in box (left, top, right, bottom)."""
    left, top, right, bottom = box
    x = left
    while x < right:
        wide = content.rng.choice((1, 1, 2, 2, 3, 4))
        canvas.fill(x, top, min(x + wide, right), bottom, ink)
        x += wide + content.rng.choice((1, 2, 2, 3))
