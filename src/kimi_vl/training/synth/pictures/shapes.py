"""Shapes with names and colours with names: outlines on the unit circle, drawn anywhere at any size."""

from functools import lru_cache
from math import cos, hypot, pi, sin
from typing import NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour

COLOURS: dict[str, Colour] = {
    "red": (214, 36, 40),
    "orange": (245, 135, 20),
    "yellow": (248, 214, 30),
    "green": (36, 150, 60),
    "blue": (35, 80, 205),
    "purple": (128, 50, 165),
    "pink": (250, 140, 185),
    "brown": (115, 68, 30),
    "black": (22, 22, 24),
    "white": (250, 250, 250),
    "grey": (128, 130, 132),
    "turquoise": (40, 205, 205),
}
TURNS: dict[str, float] = {  # how far a shape may be turned (degrees) and still be called so
    "circle": 0,
    "square": 12,
    "triangle": 12,
    "star": 36,
    "pentagon": 36,
    "hexagon": 30,
    "cross": 12,
    "ring": 0,
    "heart": 12,
    "arrow": 0,
    "diamond": 8,
    "rectangle": 10,
    "oval": 20,
    "moon": 15,
}
SHAPES = tuple(TURNS)
PATTERNS = ("solid", "outlined", "striped", "dotted")
SOLID_ONLY = ("circle", "ring", "moon", "cross", "arrow")  # an outlined circle is a ring; the others are thin
ROOM: dict[str, tuple[float, float, float]] = {  # middle (y), half width and half height of a label inside, in radii
    "circle": (0, 0.70, 0.45),
    "square": (0, 0.62, 0.50),
    "pentagon": (0.05, 0.58, 0.40),
    "hexagon": (0, 0.68, 0.42),
    "rectangle": (0, 0.78, 0.32),
    "oval": (0, 0.68, 0.34),
    "heart": (-0.12, 0.55, 0.30),
    "diamond": (0, 0.45, 0.30),
}
DIRECTIONS = ("right", "down", "left", "up")
SUBPIXEL = 4  # binary places of OpenCV's fixed-point coordinates


class Shape(NamedTuple):
    """One thing in a picture: what it is called, where it is (pixels), and its contours, the first one around the others."""

    name: str
    colour: str
    fill: Colour
    x: float
    y: float
    radius: float
    contours: list[np.ndarray]  # float32 [n, 2] each, pixels
    direction: str  # of an arrow, else ""
    pattern: str = "solid"

    @property
    def called(self) -> str:
        return f"{self.colour} {self.name}"

    @property
    def outline(self) -> np.ndarray:
        return self.contours[0]

    @property
    def size(self) -> float:
        """The longer side of the box around it."""
        return float(np.ptp(self.outline, axis=0).max())


def plural(name: str) -> str:
    return name + ("es" if name.endswith(("s", "x")) else "s")


def article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def contours(name: str, x: float, y: float, radius: float, angle: float) -> list[np.ndarray]:
    """The shape's contours within `radius` pixels of (x, y), turned by `angle` degrees clockwise."""
    c, s = cos(angle * pi / 180) * radius, sin(angle * pi / 180) * radius
    turned = np.array([[c, s], [-s, c]], np.float32)
    return [unit @ turned + np.array([x, y], np.float32) for unit in _unit(name)]


def paint(canvas: Canvas, contours: list[np.ndarray], colour: Colour) -> None:
    """Fill between the contours, with smooth edges."""
    points = [np.rint(contour * (1 << SUBPIXEL)).astype(np.int32) for contour in contours]
    cv2.fillPoly(canvas.rgb, points, (*colour, 0), cv2.LINE_AA, SUBPIXEL)


def trace(canvas: Canvas, contours: list[np.ndarray], colour: Colour, thick: int) -> None:
    """Draw a line along the contours."""
    points = [np.rint(contour * (1 << SUBPIXEL)).astype(np.int32) for contour in contours]
    cv2.polylines(canvas.rgb, points, True, (*colour, 0), thick, cv2.LINE_AA, SUBPIXEL)


@lru_cache(maxsize=64)
def _unit(name: str) -> list[np.ndarray]:
    """Contours on the unit circle, y downwards."""
    return [np.array(contour, np.float32) for contour in _contours(name)]


def _contours(name: str) -> list[list[tuple[float, float]]]:
    if name in ("circle", "ring"):
        return [_around(48), _around(48, 0.58)] if name == "ring" else [_around(48)]
    if name in ("triangle", "pentagon", "hexagon", "square"):
        sides = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6}[name]
        return [_around(sides, start=-90 if sides % 2 else 180 / sides)]
    if name == "star":
        outer, inner = _around(5, start=-90), _around(5, 0.42, start=-54)
        return [[point for pair in zip(outer, inner, strict=True) for point in pair]]
    if name == "cross":
        a, b = 0.3, 0.92
        return [[(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)]]
    if name == "heart":
        return [[(_heart_x(t), _heart_y(t)) for t in (2 * pi * k / 48 for k in range(48))]]
    if name == "arrow":
        return [[(-1, -0.25), (0.1, -0.25), (0.1, -0.65), (1, 0), (0.1, 0.65), (0.1, 0.25), (-1, 0.25)]]
    if name == "diamond":
        return [[(0, -1), (0.68, 0), (0, 1), (-0.68, 0)]]
    if name == "rectangle":
        return [[(-0.9, -0.43), (0.9, -0.43), (0.9, 0.43), (-0.9, 0.43)]]
    if name == "oval":
        return [[(x, 0.56 * y) for x, y in _around(48)]]
    return [_moon()]


def _around(n: int, radius: float = 1.0, start: float = 0.0) -> list[tuple[float, float]]:
    angles = [(start + 360 * k / n) * pi / 180 for k in range(n)]
    return [(radius * cos(a), radius * sin(a)) for a in angles]


def _heart_x(t: float) -> float:
    return float(sin(t) ** 3)


def _heart_y(t: float) -> float:
    return -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)) / 16


def _moon() -> list[tuple[float, float]]:
    """The unit disc without a disc of radius 0.85 about (0.5, 0): both circles' arcs between their two meeting points."""
    x = (1 + 0.25 - 0.85**2) / 1.0
    y = (1 - x * x) ** 0.5
    assert hypot(x, y) < 1.001
    outer, inner = np.arctan2(y, x), np.arctan2(y, x - 0.5)
    arc = [(cos(a), sin(a)) for a in np.linspace(outer, 2 * pi - outer, 36)]
    bite = [(0.5 + 0.85 * cos(a), 0.85 * sin(a)) for a in np.linspace(2 * pi - inner, inner, 24)]
    return arc + bite[1:-1]
