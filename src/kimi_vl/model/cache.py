"""The latent cache of one sequence: per token and layer the normed latent and the rotated shared key, never expanded keys and values."""

from __future__ import annotations

import torch

from kimi_vl.config import TextConfig
from kimi_vl.errors import CapacityError


class LatentCache:
    """Rows [layer, position, L + R] with room for `capacity` tokens.

    At the official size a row is 576 values, 31,104 bytes per token over 27 layers in bf16 (MODEL_SPEC §4).
    """

    def __init__(self, config: TextConfig, capacity: int, *, dtype: torch.dtype, device: torch.device | str) -> None:
        self.rows_NSZ = torch.empty(config.num_hidden_layers, capacity, config.latent_dim, dtype=dtype, device=device)
        self.length = 0

    @property
    def capacity(self) -> int:
        return self.rows_NSZ.shape[1]

    def write(self, layer: int, rows_TZ: torch.Tensor) -> torch.Tensor:
        """Store the rows of the tokens being computed behind the `length` kept ones; returns all rows so far [S, Z] (a view)."""
        stop = self.length + rows_TZ.shape[0]
        if stop > self.capacity:
            raise CapacityError(f"the latent cache holds {self.capacity} tokens and {stop} are needed; start with a larger one")
        self.rows_NSZ[layer, self.length : stop] = rows_TZ
        return self.rows_NSZ[layer, :stop]

    def advance(self, num_tokens: int) -> None:
        """Keep the rows every layer has just written."""
        self.length += num_tokens
