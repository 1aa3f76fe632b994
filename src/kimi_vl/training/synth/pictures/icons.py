"""Icons: of buttons without words, as strokes on a grid of 24 by 24, and those of the data pack, as tiles."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.content import Choice
from kimi_vl.training.synth.pack import TILE, TILES_ACROSS, IconSet

# l: line through points, p: closed outline, f: filled, c: circle (x y radius), d: disc
_ICONS = {
    "search": "c 10 10 6.5; l 15 15 21 21",
    "close": "l 5 5 19 19; l 19 5 5 19",
    "settings": (
        "c 12 12 3; c 12 12 7; l 12 2 12 5; l 12 19 12 22; l 2 12 5 12; l 19 12 22 12; l 5 5 7 7; l 17 17 19 19; l 19 5 17 7; l 7 17 5 19"
    ),
    "home": "l 2 12 12 3 22 12; l 5 10 5 21 19 21 19 10; l 10 21 10 15 14 15 14 21",
    "delete": "l 3 6 21 6; l 9 6 9 3 15 3 15 6; l 5 6 6 21 18 21 19 6; l 10 10 10 17; l 14 10 14 17",
    "add": "l 12 4 12 20; l 4 12 20 12",
    "favourite": "p 12 21 4 13 2.5 8.5 4.5 5 8 4 12 7.5 16 4 19.5 5 21.5 8.5 20 13",
    "back": "l 21 12 3 12; l 10 5 3 12 10 19",
    "forward": "l 3 12 21 12; l 14 5 21 12 14 19",
    "up": "l 12 21 12 3; l 5 10 12 3 19 10",
    "download": "l 12 3 12 16; l 6 10 12 16 18 10; l 4 21 20 21",
    "menu": "l 3 6 21 6; l 3 12 21 12; l 3 18 21 18",
    "mail": "p 2 5 22 5 22 19 2 19; l 2 6 12 13 22 6",
    "user": "c 12 8 4.5; l 3 21 4 17 8 15 16 15 20 17 21 21",
    "edit": "p 4 20 4 16 16 4 20 8 8 20",
    "play": "f 6 3 21 12 6 21",
    "pause": "f 5 4 9 4 9 20 5 20; f 15 4 19 4 19 20 15 20",
    "lock": "p 4 11 20 11 20 21 4 21; l 7 11 7 6 9 3 15 3 17 6 17 11",
    "calendar": "p 3 5 21 5 21 21 3 21; l 3 10 21 10; l 8 2 8 7; l 16 2 16 7",
    "clock": "c 12 12 9.5; l 12 6 12 12 16 15",
    "folder": "p 2 5 9 5 12 8 22 8 22 20 2 20",
    "bookmark": "p 6 3 18 3 18 21 12 16 6 21",
    "filter": "p 3 4 21 4 14 12 14 20 10 18 10 12",
    "save": "p 3 3 17 3 21 7 21 21 3 21; p 7 21 7 14 17 14 17 21; l 7 3 7 8 15 8",
    "more": "d 5 12 2.2; d 12 12 2.2; d 19 12 2.2",
    "warning": "p 12 3 22 20 2 20; l 12 9 12 14; d 12 17.2 1.2",
}
ICONS = tuple(_ICONS)
SETS = Choice(("thin", "thin", "thick"), ("badge",))


def draw_icon(canvas: Canvas, name: str, box: tuple[int, int, int, int], ink: Colour, style: str) -> None:
    """Draw the icon into box (x0, y0, x1, y1); a "badge" is cut out of a disc of ink."""
    x0, y0, x1, y1 = box
    size = min(x1 - x0, y1 - y0)
    scale, origin = size / 24, np.array([(x0 + x1 - size) / 2, (y0 + y1 - size) / 2])
    if style == "badge":
        under = canvas.rgb[(y0 + y1) // 2, x0]
        paper = (int(under[0]), int(under[1]), int(under[2]))
        cv2.circle(canvas.rgb, ((x0 + x1) // 2, (y0 + y1) // 2), size // 2, (*ink, 0), -1, cv2.LINE_AA)
        scale, origin, ink = scale * 0.62, origin + size * 0.19, paper
    colour, thick = (*ink, 0), max(1, round(size / (9 if style == "thick" else 14)))
    for kind, values in _strokes(name):
        if kind in "cd":
            x, y = (origin + scale * values[:2]) * 16
            cv2.circle(
                canvas.rgb, (round(x), round(y)), round(values[2] * scale * 16), colour, -1 if kind == "d" else thick, cv2.LINE_AA, 4
            )
            continue
        points = np.rint((values.reshape(-1, 2) * scale + origin) * 16).astype(np.int32)
        if kind == "f":
            cv2.fillPoly(canvas.rgb, [points], colour, cv2.LINE_AA, 4)
        else:
            cv2.polylines(canvas.rgb, [points], kind == "p", colour, thick, cv2.LINE_AA, 4)


@lru_cache(maxsize=64)
def _strokes(name: str) -> list[tuple[str, np.ndarray]]:
    return [(stroke.split()[0], np.array(stroke.split()[1:], np.float32)) for stroke in _ICONS[name].split(";")]


class Tile(NamedTuple):
    """One icon: colours and opacity, uint8 [64, 64, 4], and the inked box x0, y0, x1, y1 within the tile (shares of its side)."""

    pixels: np.ndarray
    inked: tuple[float, float, float, float]


@lru_cache(maxsize=64)
def tiles(icons: IconSet) -> dict[str, Tile]:
    """The set's tiles by name; a set of 300 takes 5 MB."""
    atlas = np.asarray(cv2.imdecode(np.frombuffer(icons.atlas, np.uint8), cv2.IMREAD_UNCHANGED))[:, :, [2, 1, 0, 3]]
    found = {}
    for k, name in enumerate(icons.names):
        row, column = divmod(k, TILES_ACROSS)
        pixels = np.ascontiguousarray(atlas[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE])
        x, y, wide, high = cv2.boundingRect((pixels[:, :, 3] > 40).astype(np.uint8))
        found[name] = Tile(pixels, (x / TILE, y / TILE, (x + wide) / TILE, (y + high) / TILE))
    return found


def stamp(canvas: Canvas, tile: Tile, x: int, y: int, side: int, ink: Colour | None = None) -> tuple[float, float, float, float]:
    """Put a tile, `side` pixels wide, with its corner at (x, y), its colours replaced by `ink`; returns the inked box (pixels)."""
    pixels = tile.pixels
    if side != TILE:
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if side < TILE else cv2.INTER_CUBIC)
    under = canvas.rgb[y : y + side, x : x + side, :3]
    cover = pixels[:, :, 3:].astype(np.float32) * np.float32(1 / 255)
    over = pixels[:, :, :3] if ink is None else np.array(ink, np.float32)
    under[:] = (under + (over - under.astype(np.float32)) * cover + 0.5).astype(np.uint8)
    x0, y0, x1, y1 = tile.inked
    return (x + x0 * side, y + y0 * side, x + x1 * side, y + y1 * side)
