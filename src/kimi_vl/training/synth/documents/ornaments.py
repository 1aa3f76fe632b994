"""Marks on documents that are not text: logos and bar codes."""

import cv2
import numpy as np

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


def matrix(content: Content, canvas: Canvas, corner: tuple[int, int], ink: Colour) -> int:
    """A square of black and white cells like a two-dimensional code, its upper left at `corner`; returns its height."""
    left, top = corner
    cells, size = content.rng.choice((15, 17, 21)), 3
    bits = content.rng.getrandbits(cells * cells)
    for k in range(cells * cells):
        y, x = divmod(k, cells)
        if bits >> k & 1:
            canvas.fill(left + x * size, top + y * size, left + (x + 1) * size, top + (y + 1) * size, ink)
    for x, y in ((0, 0), (cells - 5, 0), (0, cells - 5)):  # the finder patterns in three corners
        x0, y0 = left + x * size, top + y * size
        canvas.fill(x0, y0, x0 + 5 * size, y0 + 5 * size, canvas.paper)
        canvas.frame(x0, y0, x0 + 5 * size, y0 + 5 * size, ink, size)
        canvas.fill(x0 + 2 * size, y0 + 2 * size, x0 + 3 * size, y0 + 3 * size, ink)
    return cells * size


def scribble(content: Content, canvas: Canvas, corner: tuple[int, int], ink: Colour) -> None:
    """A signature of a few loops, about 100 by 30 pixels right below `corner`."""
    rng, (left, top) = content.rng, corner
    x, points = float(left + 4), []
    for _ in range(rng.randint(9, 16)):
        points.append((int(x), top + rng.randint(2, 28)))
        x += rng.uniform(-2, 14)
    curve = np.array(points, np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas.rgb, [curve], False, (*ink, 0), rng.randint(1, 2), cv2.LINE_AA)
    canvas.fill(left, top + 31, left + 130, top + 32, ink)
