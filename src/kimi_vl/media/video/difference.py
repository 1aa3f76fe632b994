"""How different two pictures are: whether the scene has changed, how much moves, whether there is anything new at all."""

from __future__ import annotations

import numpy as np

SMALL = (64, 36)  # width, height of the pictures that are compared for changes
BINS = (8, 3, 4)  # of hue, saturation and value
CELL = 14  # pixels of a side of what is compared for repeats: a patch of the network
SAME = 6.0  # mean difference of a cell in levels of 255, below which it has not changed: video noise is 1 to 3, one thin letter 15 or more


def colours(pixels_HWC: np.ndarray) -> np.ndarray:
    """The share of pixels with each combination of hue, saturation and value (`BINS`), summing to 1."""
    rgb_PC = pixels_HWC.reshape(-1, 3).astype(np.int16)
    value_P, low_P = rgb_PC.max(1), rgb_PC.min(1)
    spread_P = value_P - low_P
    safe_P = np.maximum(spread_P, 1)
    red_P, green_P, blue_P = rgb_PC.T
    sixth_P = np.where(
        value_P == red_P,
        (green_P - blue_P) / safe_P,
        np.where(value_P == green_P, 2 + (blue_P - red_P) / safe_P, 4 + (red_P - green_P) / safe_P),
    )
    hue_P = np.rint(sixth_P * BINS[0] / 6).astype(np.int64) % BINS[0]
    saturation_P = BINS[1] * spread_P // (np.maximum(value_P, 1) + 1)
    hue_P[saturation_P == 0] = 0  # grey has none, and noise would give it one
    bins_P = (hue_P * BINS[1] + saturation_P) * BINS[2] + value_P * BINS[2] // 256
    return np.bincount(bins_P, minlength=int(np.prod(BINS))) / len(bins_P)


def motion(before_HWC: np.ndarray, after_HWC: np.ndarray) -> float:
    """Mean absolute difference, from 0 to 1."""
    return float(np.abs(before_HWC.astype(np.int16) - after_HWC).mean() / 255)


def cut(before_HWC: np.ndarray, after_HWC: np.ndarray) -> float:
    """How likely another scene has begun, from 0 to 1: other colours and another picture.

    The smaller of the difference of colours and four times the motion: a light that flickers changes only the one, a passer-by only the
    other.
    """
    other_colours = float(np.abs(colours(before_HWC) - colours(after_HWC)).sum() / 2)
    return min(other_colours, min(1.0, 4 * motion(before_HWC, after_HWC)))


def is_repeat(before_HWC: np.ndarray, after_HWC: np.ndarray) -> bool:
    """Whether no cell of 14×14 pixels has changed by `SAME` levels or more. Pictures of different sizes are never repeats."""
    if before_HWC.shape != after_HWC.shape:
        return False
    apart_HW = np.abs(before_HWC.astype(np.int16) - after_HWC).max(2)
    rows = np.add.reduceat(apart_HW, np.arange(0, apart_HW.shape[0], CELL), axis=0, dtype=np.int64)
    cells = np.add.reduceat(rows, np.arange(0, apart_HW.shape[1], CELL), axis=1)
    return bool(cells.max() < SAME * CELL * CELL)
