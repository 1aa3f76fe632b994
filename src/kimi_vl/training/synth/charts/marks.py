"""Strokes and the shapes of points."""

from itertools import pairwise
from math import cos, pi, sin

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.figures import mixed

DASHES = {"various": (0, 9, 4, 13), "dotted": (4, 4, 4, 4)}
CORNERS = {"triangle": 3, "down": 3, "pentagon": 5, "hexagon": 6, "star": 10}  # of the shapes drawn about a circle


def stroke(rgb: np.ndarray, points: list[tuple[int, int]], colour: Colour, thick: int, dash: int = 0) -> None:
    """A line through points, in dashes of so many pixels."""
    ink = (*colour, 0)
    if not dash:
        cv2.polylines(rgb, [np.array(points, np.int32)], False, ink, thick, cv2.LINE_AA)
        return
    for a, b in pairwise(np.array(points, float)):
        length = float(np.hypot(*(b - a)))
        for start in np.arange(0, length, dash + 4):
            p, q = a + (b - a) * start / length, a + (b - a) * min(length, start + dash) / length
            cv2.line(rgb, p.round().astype(int).tolist(), q.round().astype(int).tolist(), ink, thick, cv2.LINE_AA)


def mark(rgb: np.ndarray, point: tuple[int, int], shape: str, size: int, colour: Colour, panel: Colour, *, rim: bool = False) -> None:
    """One point, its shape about as wide as two sizes; a `rim` is darker than the rest."""
    ink, (x, y) = (*colour, 0), point
    if shape == "square":
        cv2.rectangle(rgb, (x - size, y - size), (x + size, y + size), ink, -1)
    elif shape == "diamond":
        corners = np.array([(x - size - 1, y), (x, y - size - 1), (x + size + 1, y), (x, y + size + 1)])
        cv2.fillConvexPoly(rgb, corners, ink, cv2.LINE_AA)
    elif shape == "triangle":
        cv2.fillConvexPoly(rgb, np.array([(x - size - 1, y + size), (x, y - size - 1), (x + size + 1, y + size)]), ink, cv2.LINE_AA)
    elif shape in ("cross", "plus"):
        a, b = (size, size) if shape == "cross" else (size + 1, 0)
        cv2.line(rgb, (x - a, y - b), (x + a, y + b), ink, 2, cv2.LINE_AA)
        cv2.line(rgb, (x - b, y + a), (x + b, y - a), ink, 2, cv2.LINE_AA)
    elif shape in ("dot", "ring"):
        cv2.circle(rgb, point, size, ink, -1, cv2.LINE_AA)
        if shape == "ring":
            cv2.circle(rgb, point, size - 2, (*panel, 0), -1, cv2.LINE_AA)
    elif shape in CORNERS:
        cv2.fillPoly(rgb, [_corners(point, shape, size)], ink, cv2.LINE_AA)
    if rim and shape != "none":
        _rim(rgb, point, shape, size, (*mixed(colour, (0, 0, 0), 0.5), 0))


def _rim(rgb: np.ndarray, point: tuple[int, int], shape: str, size: int, ink: tuple[int, ...]) -> None:
    x, y = point
    if shape == "square":
        cv2.rectangle(rgb, (x - size, y - size), (x + size, y + size), ink, 1)
    elif shape == "dot":
        cv2.circle(rgb, point, size, ink, 1, cv2.LINE_AA)
    elif shape in CORNERS and shape != "triangle":
        cv2.polylines(rgb, [_corners(point, shape, size)], True, ink, 1, cv2.LINE_AA)


def _corners(point: tuple[int, int], shape: str, size: int) -> np.ndarray:
    """int32 [n, 2] around the point, the first at the top; at the bottom for "down"."""
    n, start = CORNERS[shape], pi / 2 if shape == "down" else -pi / 2
    radii = [size + 2.0, (size + 2) * 0.45] if shape == "star" else [size + 1.5]
    angles = [start + 2 * pi * k / n for k in range(n)]
    return np.array(
        [
            (round(point[0] + radii[k % len(radii)] * cos(a)), round(point[1] + radii[k % len(radii)] * sin(a)))
            for k, a in enumerate(angles)
        ],
        np.int32,
    )


def stairs(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A path that changes its height half way between two points."""
    path = [points[0]]
    for (ax, ay), (bx, by) in pairwise(points):
        path += [((ax + bx) // 2, ay), ((ax + bx) // 2, by)]
    return [*path, points[-1]]


def curve(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A smooth path that goes through the points and never beyond them between two (Fritsch and Carlson 1980)."""
    xs, ys = (np.array(values, float) for values in zip(*points, strict=True))
    slopes = np.diff(ys) / np.diff(xs)
    before, after = slopes[:-1], slopes[1:]
    bends = before * after > 0
    middle = np.where(bends, 2 * before * after / np.where(bends, before + after, 1), 0)  # their harmonic mean
    tangents = np.concatenate([slopes[:1], middle, slopes[-1:]])
    path = []
    for k, width in enumerate(np.diff(xs)):
        t = np.linspace(0, 1, max(2, int(width) // 4))
        height = ys[k] * (1 + 2 * t) * (1 - t) ** 2 + ys[k + 1] * t**2 * (3 - 2 * t)
        height += width * t * (1 - t) * (tangents[k] * (1 - t) - tangents[k + 1] * t)
        path += [(round(float(xs[k] + width * s)), round(float(y))) for s, y in zip(t, height, strict=True)]
    return path
