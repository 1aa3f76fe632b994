"""Short prompts as CUDA graphs: launching the kernels of 1,024 tokens takes a host three times as long as a GPU takes to run them.

One graph for each of a few sizes, recorded when a prompt needs it for the second time; the first is computed with the same padding, so
that the same prompt gives the same logits again. It holds one sequence that begins, and behind it a second one of padding, which writes
into the spare page.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kimi_vl.engine.recording import Recordings
from kimi_vl.engine.runner import num_told
from kimi_vl.engine.scheduler import Chunk
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.cache import Ends, PagedLatentCache, PagedStep
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops.transfer import sent

# Tokens. At most a third more is computed than asked for; from 2,048 on a GPU needs as long as its host.
SIZES = (64, 128, 192, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 2048)


class RecordedPrompts:
    """Letters: T tokens of a graph, D decoder width, W vocabulary."""

    def __init__(self, model: KimiVLForConditionalGeneration, cache: PagedLatentCache, spare_slot: int, recordings: Recordings) -> None:
        self.model, self.cache, self.spare_slot, self._recordings = model, cache, spare_slot, recordings
        device, width = model.device, model.config.text_config.hidden_size
        self._embeddings_TD = torch.zeros(SIZES[-1], width, dtype=model.dtype, device=device)
        self._positions_T = torch.arange(SIZES[-1], device=device)
        self._slots_T = torch.full((SIZES[-1],), spare_slot, dtype=torch.int64, device=device)
        self._boundaries = torch.zeros(3, dtype=torch.int32, device=device)
        pages = -(-SIZES[-1] // cache.page_size)
        self._ends = Ends(
            tokens_B=torch.zeros(1, dtype=torch.int64, device=device),
            page_table_BJ=torch.zeros(1, pages, dtype=torch.int32, device=device),
            cu_seqlens=torch.arange(2, dtype=torch.int32, device=device),
            lengths_B=torch.ones(1, dtype=torch.int32, device=device),
        )
        self._no_table = torch.zeros(0, 1, dtype=torch.int32, device=device)
        self._no_lengths = torch.zeros(0, dtype=torch.int32, device=device)

    @staticmethod
    def fits(chunks: Sequence[Chunk]) -> bool:
        """Whether a step's prompts are one whole prompt that is short enough, and nothing is to be told of it."""
        [one, *others] = chunks
        return not others and one.start == 0 and one.samples and one.count <= SIZES[-1] and not num_told(one)

    def run(self, embeddings_TD: torch.Tensor, slots: np.ndarray, pages: Sequence[int]) -> torch.Tensor:
        """The logits behind a prompt whose tokens go to these places in these pages of the cache, fp32 [1, W]."""
        count, device = embeddings_TD.shape[0], self.model.device
        size = next(size for size in SIZES if size >= count)
        self._embeddings_TD[:count] = embeddings_TD
        self._slots_T[:size] = sent(torch.from_numpy(np.pad(slots, (0, size - count), constant_values=self.spare_slot)), device)
        self._boundaries.copy_(sent(torch.tensor([0, count, size], dtype=torch.int32), device))
        self._ends.tokens_B.copy_(sent(torch.tensor([count - 1]), device))
        self._ends.lengths_B.copy_(sent(torch.tensor([count], dtype=torch.int32), device))
        used = -(-count // self.cache.page_size)
        self._ends.page_table_BJ[0, :used] = sent(torch.tensor(pages[:used], dtype=torch.int32), device)
        return self._recordings.run(size, lambda: self._computed(size)).float()

    def _computed(self, size: int) -> torch.Tensor:
        """The logits of what the inputs hold now, [1, W]. Computing it again writes the same into the cache."""
        language = self.model.language_model
        self.cache.begin(PagedStep(self._slots_T[:size], size, self._no_table, self._boundaries[:1], self._no_lengths))
        tokens = TokenLayout(self._positions_T[:size], self._boundaries, size)
        hidden_1D, _ = language.model(self._embeddings_TD[:size], tokens, self.model.ops, self.cache, self._ends)
        return language.lm_head(hidden_1D)
