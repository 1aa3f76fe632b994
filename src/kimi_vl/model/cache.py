"""The latent cache: per token and layer the normed latent and the rotated shared key, never expanded keys and values.

Of one sequence, which grows by any number of tokens, of a batch of rows, each of which grows by one, or in pages, for any number of
sequences that share what they begin with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from kimi_vl.config import TextConfig
from kimi_vl.errors import CapacityError
from kimi_vl.ops import Operations
from kimi_vl.ops.latent import rows_of, store_rows
from kimi_vl.ops.quantised import DTYPES


class Cache(Protocol):
    """What the decoder needs of a cache, whatever lies behind it."""

    def write(self, layer: int, rows_TZ: torch.Tensor) -> int:
        """Store the rows of the tokens being computed. Returns how many of them, from the first on, belong to sequences that begin with
        them, so that they have no need of the cache."""

    def continued(self, layer: int) -> Iterable[tuple[int, torch.Tensor]]:
        """The sequences whose tokens come next and attend in expanded form: how many tokens each, and all its rows [S, Z], theirs last."""

    def attend(self, layer: int, q_latent_THL: torch.Tensor, q_rope_THR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        """Attention of the other tokens in absorbed form, over the kept rows and those just written; the attended latents [T, H, L]."""

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

    def write(self, layer: int, rows_TZ: torch.Tensor) -> int:
        """Store the rows of the tokens being computed behind the `length` kept ones. Raises: CapacityError, nothing being stored."""
        stop = self.length + rows_TZ.shape[0]
        if stop > self.capacity:
            raise CapacityError(f"the latent cache holds {self.capacity} tokens and {stop} are needed; start with a larger one")
        self.rows_NSZ[layer, self.length : stop] = rows_TZ
        return 0 if self.length else rows_TZ.shape[0]

    def continued(self, layer: int) -> Iterable[tuple[int, torch.Tensor]]:
        """None: the plain path is the reference, and computes prompts whole."""
        return ()

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

    def write(self, layer: int, rows_BZ: torch.Tensor) -> int:
        """Store one token of every row behind its kept ones."""
        self.layers_BSZ[layer][self._every_B, self.lengths_B] = rows_BZ
        return 0

    def continued(self, layer: int) -> Iterable[tuple[int, torch.Tensor]]:
        """None: every row has one token."""
        return ()

    def attend(self, layer: int, q_latent_BHL: torch.Tensor, q_rope_BHR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        rows_BSZ = self.layers_BSZ[layer][:, : self.window]
        return ops.batched_latent_attention(q_latent_BHL, q_rope_BHR, rows_BSZ, self.lengths_B + 1, scale=scale)

    def advance(self, num_tokens: int) -> None:
        """Keep the token just written in the rows that grow."""
        self.lengths_B += self.grows_B


@dataclass(frozen=True)
class Continued:
    """A sequence of `length` tokens, the last `num_new` of which are computed now; its pages in order, int64 [J]."""

    num_new: int
    length: int
    pages_J: torch.Tensor


@dataclass(frozen=True)
class Ends:
    """The tokens of a step of which it matters what follows, the last one or more of each of B sequences: which of its tokens, int64, and
    the sequences' pages, boundaries and lengths, up to and with the last of them, as in `PagedStep`. Only these need the last layer."""

    tokens_B: torch.Tensor
    page_table_BJ: torch.Tensor
    cu_seqlens: torch.Tensor
    lengths_B: torch.Tensor


@dataclass(frozen=True)
class PagedStep:
    """Where the T tokens of a step stand. The sequences that begin with it come first, then those `continued` by many tokens; the B others
    attend over their pages.

    slots_T int64 is where each token's row is stored, page x page size + place. page_table_BJ int32 holds the pages of each of the B
    sequences in order (what is behind its length does not count), cu_seqlens int32 [B + 1] the boundaries of their tokens, counted from the
    first of these, lengths_B int32 the tokens of each, those of the step included.
    """

    slots_T: torch.Tensor
    num_fresh: int
    page_table_BJ: torch.Tensor
    cu_seqlens: torch.Tensor
    lengths_B: torch.Tensor
    continued: tuple[Continued, ...] = ()


class PagedLatentCache:
    """Pages [layer][page, place, L + R]. Which page is whose is told step by step, by `begin`."""

    def __init__(
        self,
        config: TextConfig,
        num_pages: int,
        page_size: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
        kind: Literal["fp8"] | None = None,
    ) -> None:
        """`dtype` is that of activations, and of the pages unless there is a `kind` that they are rounded to."""
        shape = num_pages, page_size, config.latent_dim
        self._dtype, kept_as = dtype, dtype if kind is None else DTYPES[kind]
        # Zeros: what lies behind a sequence's length gets probability 0, and 0 times an uninitialised NaN would be NaN.
        self.layers_GOZ = [torch.zeros(shape, dtype=kept_as, device=device) for _ in range(config.num_hidden_layers)]
        self._step: PagedStep | None = None

    @property
    def page_size(self) -> int:
        return self.layers_GOZ[0].shape[1]

    @property
    def bytes_per_page(self) -> int:
        return sum(pages_GOZ[0].numel() * pages_GOZ.element_size() for pages_GOZ in self.layers_GOZ)

    def begin(self, step: PagedStep) -> None:
        self._step = step

    @property
    def step(self) -> PagedStep:
        assert self._step is not None, "begin comes before a forward"
        return self._step

    def write(self, layer: int, rows_TZ: torch.Tensor) -> int:
        store_rows(rows_TZ, self.step.slots_T, self.layers_GOZ[layer])
        return self.step.num_fresh

    def continued(self, layer: int) -> Iterator[tuple[int, torch.Tensor]]:
        for one in self.step.continued:
            yield one.num_new, rows_of(self.layers_GOZ[layer], one.pages_J, one.length, self._dtype)

    def attend(self, layer: int, q_latent_THL: torch.Tensor, q_rope_THR: torch.Tensor, ops: Operations, *, scale: float) -> torch.Tensor:
        return self._attend(layer, q_latent_THL, q_rope_THR, self.step, ops, scale=scale)

    def attend_ends(
        self, layer: int, q_latent_BHL: torch.Tensor, q_rope_BHR: torch.Tensor, ends: Ends, ops: Operations, *, scale: float
    ) -> torch.Tensor:
        """Attention of these tokens alone, over all their sequences' rows; the attended latents [B, H, L]."""
        return self._attend(layer, q_latent_BHL, q_rope_BHR, ends, ops, scale=scale)

    def _attend(
        self, layer: int, q_latent_THL: torch.Tensor, q_rope_THR: torch.Tensor, where: PagedStep | Ends, ops: Operations, *, scale: float
    ) -> torch.Tensor:
        pages_GOZ = self.layers_GOZ[layer]
        return ops.paged_latent_attention(
            q_latent_THL, q_rope_THR, pages_GOZ, where.page_table_BJ, where.cu_seqlens, where.lengths_B, scale=scale
        )

    def advance(self, num_tokens: int) -> None:
        """Who holds how many tokens is the scheduler's to know."""
