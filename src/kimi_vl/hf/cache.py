"""The latent cache as transformers carries it from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache

from kimi_vl.config import TextConfig
from kimi_vl.errors import InputError
from kimi_vl.model.cache import BatchLatentCache, LatentCache


class KimiVLCache(Cache):
    """Latents of B rows, 576 values per token and layer at the official size. Padding is never kept: a row holds its own tokens only.

    `get_seq_length` counts columns, padding included, because that is what `generate` cuts its ids by.
    """

    def __init__(self, config: TextConfig, *, dtype: torch.dtype, device: torch.device | str) -> None:
        super().__init__(layers=[])
        self.config, self._dtype, self._device = config, dtype, device
        self.rows: BatchLatentCache | None = None
        self.longest = 0  # tokens of the longest row, so that nobody asks the device
        self.columns = 0

    def fill(self, packed: LatentCache, lengths: Sequence[int], columns: int) -> None:
        """Take the latents of a packed prefill of rows of these lengths, which stood in so many columns."""
        self.longest, self.columns = max(lengths), columns
        # A quarter more than there is, at least 64: what follows a prompt is seldom longer, and else it is moved once per doubling.
        self.rows = self._of(len(lengths), self.longest + max(64, self.longest // 4))
        lengths_B = torch.tensor(lengths, device=self._device)
        starts_B = lengths_B.cumsum(0) - lengths_B
        self.rows.fill(packed, starts_B, lengths_B, torch.arange(len(lengths), device=self._device))

    def room_for_one(self, grows_B: torch.Tensor) -> BatchLatentCache:
        """The rows, of which those that grow take one token more."""
        assert self.rows is not None, "a prefill comes before a step"
        if self.longest == self.rows.capacity:
            self._move(self.rows.lengths_B, 2 * self.longest, slice(None))
        self.rows.grows_B = grows_B.to(self.rows.lengths_B.dtype)
        self.longest += 1
        self.columns += 1
        self.rows.window = self.longest
        return self.rows

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows of these numbers, in this order."""
        if self.rows is not None:
            indices = indices.to(self.rows.lengths_B.device)
            self._move(self.rows.lengths_B[indices], self.rows.capacity, indices)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        if self.rows is not None:
            self.batch_select_indices(torch.arange(self.rows.lengths_B.shape[0]).repeat_interleave(repeats))

    def reset(self) -> None:
        self.rows, self.longest, self.columns = None, 0, 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.columns

    def get_max_length(self, layer_idx: int | None = None) -> int:
        return -1

    def get_max_cache_shape(self, layer_idx: int = 0) -> int:
        return -1

    def update(self, *args: Any, **kwargs: Any) -> Any:
        raise InputError("KimiVLCache keeps latents, not keys and values; it belongs to KimiVLForConditionalGeneration alone")

    def crop(self, *args: Any, **kwargs: Any) -> None:
        raise InputError("KimiVLCache cannot be cropped, so assisted generation is not available; kimi_vl.KimiVL drafts by itself")

    def __len__(self) -> int:
        return self.config.num_hidden_layers

    @property
    def is_compileable(self) -> bool:
        return False

    @property
    def is_croppable(self) -> bool:
        return False

    @property
    def is_initialized(self) -> bool:
        return self.rows is not None

    def _of(self, rows: int, capacity: int) -> BatchLatentCache:
        return BatchLatentCache(self.config, rows, capacity, dtype=self._dtype, device=self._device)

    def _move(self, lengths_B: torch.Tensor, capacity: int, chosen: torch.Tensor | slice) -> None:
        old = self.rows
        assert old is not None
        self.rows = self._of(lengths_B.shape[0], capacity)
        self.rows.lengths_B = lengths_B.clone()
        for new_BSZ, old_BSZ in zip(self.rows.layers_BSZ, old.layers_BSZ, strict=True):
            new_BSZ[:, : old.capacity] = old_BSZ[chosen]
