"""The latent cache: per token and layer the normed latent and the rotated shared key, never expanded keys and values.

Of one sequence, which grows by any number of tokens, or of a batch of rows, each of which grows by one.
"""

from __future__ import annotations

from typing import Protocol

import torch

from kimi_vl.config import TextConfig
from kimi_vl.errors import CapacityError
from kimi_vl.ops import Operations


class Cache(Protocol):
    """What the decoder needs of a cache, whatever lies behind it."""

    @property
    def continues(self) -> bool:
        """Whether the tokens being computed stand behind kept ones and must attend through the cache."""

    def write(self, layer: int, rows_TZ: torch.Tensor) -> object:
        """Store the rows of the tokens being computed."""

    def attend(self, layer: int, q_latent_THL: torch.Tensor, q_rope_THR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        """Attention in absorbed form over the kept rows and those just written; the attended latents [T, H, L]."""

    def advance(self, num_tokens: int) -> None:
        """Keep the rows that every layer has just written."""


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

    @property
    def continues(self) -> bool:
        return self.length > 0

    def write(self, layer: int, rows_TZ: torch.Tensor) -> None:
        """Store the rows of the tokens being computed behind the `length` kept ones. Raises: CapacityError, nothing being stored."""
        stop = self.length + rows_TZ.shape[0]
        if stop > self.capacity:
            raise CapacityError(f"the latent cache holds {self.capacity} tokens and {stop} are needed; start with a larger one")
        self.rows_NSZ[layer, self.length : stop] = rows_TZ

    def attend(self, layer: int, q_latent_THL: torch.Tensor, q_rope_THR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        rows_SZ = self.rows_NSZ[layer, : self.length + q_latent_THL.shape[0]]
        return ops.latent_attention(q_latent_THL, q_rope_THR, rows_SZ, scale=scale)

    def advance(self, num_tokens: int) -> None:
        """Keep the rows every layer has just written."""
        self.length += num_tokens


class BatchLatentCache:
    """Rows [b, position, L + R] of B sequences side by side, one tensor per layer, `capacity` tokens each, that decode together one
    token at a time.

    `lengths_B` says how many tokens of each are kept, and `grows_B` (0 or 1) whether the next step adds to it: a row that does not grow
    computes the same step over and over. Attention reads the first `window` positions only, which must hold every row that grows.
    Everything is on the device and keeps its address.
    """

    def __init__(self, config: TextConfig, rows: int, capacity: int, *, dtype: torch.dtype, device: torch.device | str) -> None:
        # Zeros: what lies behind a row's length gets probability 0, and 0 times an uninitialised NaN would be NaN.
        # One tensor per layer: a compiler that must copy what it writes into, if only a part, would copy one large tensor every time.
        self.layers_BSZ = [
            torch.zeros(rows, capacity, config.latent_dim, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)
        ]
        self.lengths_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self.grows_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self.window = capacity
        self._every_B = torch.arange(rows, device=device)

    @property
    def capacity(self) -> int:
        return self.layers_BSZ[0].shape[1]

    @property
    def continues(self) -> bool:
        return True

    def fill(self, packed: LatentCache, starts_Q: torch.Tensor, lengths_Q: torch.Tensor, rows_Q: torch.Tensor) -> None:
        """Start rows anew: row rows[q] takes the lengths[q] tokens at starts[q] of a packed prefill. int64 [Q] on the device."""
        total = int(lengths_Q.sum())  # host sync

        def spread(values_Q: torch.Tensor) -> torch.Tensor:
            return values_Q.repeat_interleave(lengths_Q, output_size=total)

        positions_X = torch.arange(total, device=rows_Q.device) - spread(lengths_Q.cumsum(0) - lengths_Q)
        rows_X, sources_X = spread(rows_Q), spread(starts_Q) + positions_X
        for rows_BSZ, packed_TZ in zip(self.layers_BSZ, packed.rows_NSZ, strict=True):
            rows_BSZ[rows_X, positions_X] = packed_TZ[sources_X]
        self.lengths_B[rows_Q] = lengths_Q

    def write(self, layer: int, rows_BZ: torch.Tensor) -> None:
        """Store one token of every row behind its kept ones."""
        self.layers_BSZ[layer][self._every_B, self.lengths_B] = rows_BZ

    def attend(self, layer: int, q_latent_BHL: torch.Tensor, q_rope_BHR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        rows_BSZ = self.layers_BSZ[layer][:, : self.window]
        return ops.batched_latent_attention(q_latent_BHL, q_rope_BHR, rows_BSZ, self.lengths_B + 1, scale=scale)

    def advance(self, num_tokens: int) -> None:
        """Keep the token just written in the rows that grow."""
        self.lengths_B += self.grows_B
