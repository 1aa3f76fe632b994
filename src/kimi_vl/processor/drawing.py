"""Boxes and points drawn on a picture, with their labels: what an answer points at, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image, ImageDraw, ImageFont

from kimi_vl.processor.grounding import Box, Point

# Okabe and Ito's colours, which colour-blind readers tell apart as well, without the yellow that vanishes on paper. Taken in turn.
COLOURS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
MAX_LABEL = 40  # characters drawn of a label


def draw_places(image: Image.Image, places: Iterable[Box | Point], *, image_index: int = 0) -> Image.Image:
    """A copy of `image` with the places of picture `image_index`: boxes as frames, points as rings with a cross.

    Each line has a white and a black edge and each label is white on its colour's dark, so that they are seen on any ground. Sizes grow
    with the picture, whose pixels the places are given in.
    """
    drawn = image.convert("RGB").copy()
    canvas = ImageDraw.Draw(drawn)
    thick = max(2, round(min(drawn.size) / 250))
    font = ImageFont.load_default(max(11, round(min(drawn.size) / 35)))
    taken: list[tuple[float, float, float, float]] = []
    for k, place in enumerate(place for place in places if place.image_index == image_index):
        colour = COLOURS[k % len(COLOURS)]
        if isinstance(place, Box):
            _frame(canvas, place, colour, thick)
            corner = (place.left - thick - 4, place.top - thick)
        else:
            _ring(canvas, place, colour, thick)
            corner = (place.x + 6 * thick, place.y - 6 * thick)
        if place.label:
            taken.append(_label(canvas, place.label, corner, colour, font, drawn.size, taken))
    return drawn


def _frame(canvas: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int], thick: int) -> None:
    """Outside the box, so that it covers nothing of what it frames: from the outside white, black, colour, black, white."""
    for grown, ink, width in ((thick + 4, "white", thick + 4), (thick + 3, "black", thick + 2), (thick + 2, colour, thick)):
        around = (box.left - grown, box.top - grown, box.right + grown, box.bottom + grown)
        canvas.rectangle(around, outline=ink, width=width)


def _ring(canvas: ImageDraw.ImageDraw, point: Point, colour: tuple[int, int, int], thick: int) -> None:
    x, y, radius = point.x, point.y, 5 * thick
    for grown, ink, width in ((2, "white", thick + 4), (1, "black", thick + 2), (0, colour, thick)):
        reach = radius + grown
        canvas.ellipse((x - reach, y - reach, x + reach, y + reach), outline=ink, width=width)
        canvas.line((x - reach, y, x + reach, y), fill=ink, width=max(1, width - thick + 1))
        canvas.line((x, y - reach, x, y + reach), fill=ink, width=max(1, width - thick + 1))


def _label(
    canvas: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    colour: tuple[int, int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """A plate above the corner, inside the picture, moved down past the plates that are there already. Returns where it lies."""
    text = text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    wide, high = right - left + 8, bottom - top + 6
    x = min(max(0.0, corner[0]), max(0.0, size[0] - wide - 1))
    y = min(max(0.0, corner[1] - high - 4), max(0.0, size[1] - high - 1))
    for plate in sorted(taken, key=lambda plate: plate[1]):
        if x < plate[2] and plate[0] < x + wide and y < plate[3] and plate[1] < y + high and plate[3] + 1 + high < size[1]:
            y = plate[3] + 1
    dark = tuple(round(0.6 * part) for part in colour)
    canvas.rectangle((x, y, x + wide, y + high), fill=dark, outline="white")
    canvas.text((x + 4 - left, y + 3 - top), text, fill="white", font=font)
    return (x, y, x + wide, y + high)
