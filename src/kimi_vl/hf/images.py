"""Packed images, by the rows of a batch whose placeholders they fill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch

from kimi_vl.errors import ShapeError


class Images:
    """pixel_values [P, 3, 14, 14] of images one after another, and their grids [I, 2]."""

    def __init__(self, pixel_values: torch.Tensor, image_grid_hws: torch.Tensor | None) -> None:
        if image_grid_hws is None:
            raise ShapeError("pixel_values came without image_grid_hws; pass the (rows, columns) of every image")
        self.grids = torch.as_tensor(image_grid_hws)
        sizes = (self.grids[:, 0] * self.grids[:, 1]).tolist()
        if sum(sizes) != pixel_values.shape[0]:
            raise ShapeError(f"image_grid_hws has room for {sum(sizes)} patches and pixel_values has {pixel_values.shape[0]}")
        self.patches = list(pixel_values.split(sizes))
        self.tokens = [size // 4 for size in sizes]
        self._empty = pixel_values[:0]

    def tensors(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Both again; None for no image."""
        return (torch.cat(self.patches), self.grids) if self.patches else (None, None)

    def repeated(self, input_ids_BT: torch.Tensor | None, times: int, placeholder: int) -> Self:
        """The images of each row so many times, for rows that are repeated so."""
        if input_ids_BT is None:
            raise ShapeError("images go with the rows of input_ids, and there are none")
        return self._chosen([i for row in self._by_row((input_ids_BT == placeholder).sum(1).tolist()) for _ in range(times) for i in row])

    def behind(self, input_ids_BT: torch.Tensor, column: int, placeholder: int) -> Self:
        """The images whose placeholders stand at this column or behind it."""
        is_image_BT = input_ids_BT == placeholder
        new_B = is_image_BT[:, column:].sum(1).tolist()
        if not any(new_B):
            return self._chosen([])
        chosen: list[int] = []
        for row, wanted in zip(self._by_row(is_image_BT.sum(1).tolist()), new_B, strict=True):
            first = len(row)
            while wanted > 0:
                first -= 1
                wanted -= self.tokens[row[first]]
            chosen += row[first:]
        return self._chosen(chosen)

    def _by_row(self, counts: list[int]) -> Iterator[list[int]]:
        """Numbers of the images that fill each row's placeholders, of which there are so many."""
        following = 0
        for number, count in enumerate(counts):
            row, wanted = [], count
            while wanted > 0 and following < len(self.tokens):
                row.append(following)
                wanted -= self.tokens[following]
                following += 1
            if wanted:
                raise ShapeError(f"row {number} holds {count} image placeholder tokens, which the images do not fill; they must match")
            yield row

    def _chosen(self, numbers: list[int]) -> Self:
        chosen = type(self)(self._empty, self.grids[:0])
        chosen.grids = self.grids[numbers]
        chosen.patches = [self.patches[i] for i in numbers]
        chosen.tokens = [self.tokens[i] for i in numbers]
        return chosen
