"""Where things are: boxes and points relative to the picture, written into turns once the picture has its final form.

A turn is made before degradation moves the pixels, so it names a place by number; `settle` puts the coordinates in. They count from
the left and the top of the whole picture, 0 to 1 with three decimals: a box is [x0, y0, x1, y1], a point (x, y) the middle of a box.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kimi_vl.training.synth.scene import Turn

Box = tuple[float, float, float, float]
_MARK = re.compile(r"<(box|point) (\d+)>")


def box_at(place: int) -> str:
    """Stands for the box around outline `place` until `settle`."""
    return f"<box {place}>"


def point_at(place: int) -> str:
    """Stands for the middle of that box until `settle`."""
    return f"<point {place}>"


def corners(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """The outline of an upright box: float32 [4, 2], x and y in pixels."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)


def bounds(outline: np.ndarray, width: int, height: int) -> Box:
    """The upright box around outline [n, 2] (pixels), cut at the picture, relative to it."""
    (x0, y0), (x1, y1) = outline.min(0).tolist(), outline.max(0).tolist()
    return (_share(x0, width), _share(y0, height), _share(x1, width), _share(y1, height))


def settle(turns: list[Turn], outlines: Sequence[np.ndarray], width: int, height: int) -> list[Turn]:
    """Write coordinates for every named place, in thinking with two digits, which tell things apart.

    A turn whose answer is a single place gets its box, which scores it.
    """
    boxes = [bounds(outline, width, height) for outline in outlines]

    def written(mark: re.Match[str], digits: int = 3) -> str:
        x0, y0, x1, y1 = boxes[int(mark[2])]
        if mark[1] == "box":
            return f"[{x0:.{digits}f}, {y0:.{digits}f}, {x1:.{digits}f}, {y1:.{digits}f}]"
        return f"({(x0 + x1) / 2:.{digits}f}, {(y0 + y1) / 2:.{digits}f})"

    def roughly(mark: re.Match[str]) -> str:
        return written(mark, 2)

    settled = []
    for turn in turns:
        only = _MARK.fullmatch(turn.answer)
        thinking = turn.thinking and _MARK.sub(roughly, turn.thinking)
        question, answer = _MARK.sub(written, turn.question), _MARK.sub(written, turn.answer)
        settled.append(replace(turn, question=question, answer=answer, thinking=thinking, box=boxes[int(only[2])] if only else None))
    return settled


def _share(pixels: float, side: int) -> float:
    return min(1.0, max(0.0, pixels / side))
