"""Where every patch of a batch of packed images stands: the integer side of the vision tower.

Images of different sizes lie one after another, without padding. Everything that depends on an image's size alone (rows, columns,
position-table taps, 2x2 merge order) is computed here once per size, so that the network itself has no loop over images.
Letters: P patches of all images, M merged tokens (P / 4), I images.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from kimi_vl.errors import ShapeError
from kimi_vl.ops.attention import boundaries_on
from kimi_vl.ops.transfer import sent

MAX_GRID = 512  # rows and columns of the rotary table (MODEL_SPEC §3, step 3)
CUBIC = -0.75  # coefficient of torch's bicubic interpolation


@dataclass(frozen=True)
class GridLayout:
    """One image of h x w patches. Arrays are numpy, shared between calls, and must not be written to."""

    rows_P: np.ndarray  # int64
    columns_P: np.ndarray  # int64
    tap_index_P16: np.ndarray  # int64, into the flattened position table
    tap_weight_P16: np.ndarray  # float32
    merge_index_M4: np.ndarray  # int64, the patches of a cell: top-left, top-right, bottom-left, bottom-right


@lru_cache(maxsize=512)
def grid_layout(height: int, width: int, table_height: int, table_width: int) -> GridLayout:
    """Layout of an image of height x width patches against a position table (MODEL_SPEC §3, steps 2, 3 and 5).

    Raises: ShapeError if a side is odd, empty or beyond the rotary table.
    """
    if height < 2 or width < 2 or height % 2 or width % 2 or max(height, width) > MAX_GRID:
        raise ShapeError(f"an image grid of {height} x {width} patches; both sides must be even and between 2 and {MAX_GRID}")
    rows_P, columns_P = (x.ravel() for x in np.mgrid[:height, :width])
    row_index, row_weight = _cubic_taps(height, table_height)
    column_index, column_weight = _cubic_taps(width, table_width)
    # Each of 4 rows with each of 4 columns, as 16 numbers in a row: numpy computes those three times as fast as 4 by 4.
    tap_index = np.repeat(row_index * table_width, 4, axis=1)[:, None] + np.tile(column_index, 4)
    tap_weight = np.repeat(row_weight, 4, axis=1)[:, None] * np.tile(column_weight, 4)
    cells = np.arange(height * width).reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3)
    return GridLayout(rows_P, columns_P, tap_index.reshape(-1, 16), tap_weight.reshape(-1, 16).astype(np.float32), cells.reshape(-1, 4))


def _cubic_taps(size: int, table_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Four source indices and weights per output position: torch's bicubic, align_corners=False, no antialias, edges clamped."""
    source = (np.arange(size) + 0.5) * (table_size / size) - 0.5
    base = np.floor(source)
    t = (source - base)[:, None]
    distance = np.concatenate((t + 1, t, 1 - t, 2 - t), axis=1)
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    index = np.clip(base[:, None].astype(np.int64) + np.arange(-1, 3), 0, table_size - 1)
    return index, np.where(distance <= 1, near, far)


@dataclass(frozen=True)
class PatchLayout:
    """The layouts of several images, packed; tensors on the model's device, the layout's own but for the boundaries."""

    rows_P: torch.Tensor
    columns_P: torch.Tensor
    tap_index_P16: torch.Tensor
    tap_weight_P16: torch.Tensor
    merge_index_M4: torch.Tensor
    cu_seqlens: torch.Tensor  # int32 [I + 1], not to be written to
    max_seqlen: int
    lengths: tuple[int, ...] | None = None  # patches of every image, where the host knows them: not in a recorded training step

    @classmethod
    def of(cls, grid_hws: Sequence[tuple[int, int]], table_hw: tuple[int, int], device: torch.device | str = "cpu") -> PatchLayout:
        """Pack the layouts of images with the given (rows, columns) in patches. Raises: ShapeError."""
        if not grid_hws:
            raise ShapeError("no image: a patch layout needs at least one grid")
        grids = [on_device(int(h), int(w), *table_hw, torch.device(device)) for h, w in grid_hws]
        lengths = tuple(rows_P.shape[0] for rows_P, *_ in grids)
        starts = [0, *itertools.accumulate(lengths)]
        rows, columns, tap_indices, tap_weights, merges = zip(*grids, strict=True)
        return cls(
            rows_P=torch.cat(rows),
            columns_P=torch.cat(columns),
            tap_index_P16=torch.cat(tap_indices),
            tap_weight_P16=torch.cat(tap_weights),
            merge_index_M4=torch.cat([merge_M4 + start for merge_M4, start in zip(merges, starts, strict=False)]),
            cu_seqlens=boundaries_on(torch.device(device), lengths),
            max_seqlen=max(lengths),
            lengths=lengths,
        )


@lru_cache(maxsize=32)  # of at most 2.4 MB at 16,384 patches, which would take milliseconds to send again
def on_device(height: int, width: int, table_height: int, table_width: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """The fields of a `GridLayout` on a device, shared between calls; integers are int32, which is half as much to read."""
    layout = grid_layout(height, width, table_height, table_width)
    arrays = (layout.rows_P, layout.columns_P, layout.tap_index_P16, layout.tap_weight_P16, layout.merge_index_M4)
    tensors = (torch.from_numpy(array) for array in arrays)
    return tuple(sent(tensor if tensor.is_floating_point() else tensor.int(), device) for tensor in tensors)
