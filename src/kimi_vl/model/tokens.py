"""Where every token of a batch of packed sequences stands: the integer side of the decoder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TokenLayout:
    """Sequences one after another, without padding. T tokens in all."""

    positions_T: torch.Tensor  # int64, rotary position inside the own sequence
    cu_seqlens: torch.Tensor  # int32 [sequences + 1]
    max_seqlen: int
    lengths: tuple[int, ...] | None = None  # of the sequences, where the host knows them: not in a recorded training step

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str = "cpu", *, start: int = 0) -> TokenLayout:
        """Pack sequences of the given lengths; `start` is the position of each first token (that of a continued sequence)."""
        positions = torch.cat([torch.arange(start, start + length) for length in lengths])
        boundaries = [0, *itertools.accumulate(lengths)]
        return cls(positions.to(device), torch.tensor(boundaries, dtype=torch.int32, device=device), max(lengths), tuple(lengths))
