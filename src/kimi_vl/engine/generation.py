"""One answer, token by token: prefill, then decode over the latent cache.

The plain path, one request at a time. It knows token ids and patches and nothing of text; thinking, stop strings and characters are
read from the tokens by `processor.reply`, which can put tokens into the answer's mouth through `Generation.force`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, Self

import torch

from kimi_vl.config import KimiVLConfig
from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.sampling import Constraint, Sampler, SamplingParams
from kimi_vl.errors import InputError, PromptTooLong
from kimi_vl.model.cache import LatentCache
from kimi_vl.model.kimi_vl import GridHWs

FinishReason = Literal["stop", "length"]


class CausalModel(Protocol):
    """What generation needs of a model; see `KimiVLForConditionalGeneration` for the contracts."""

    config: KimiVLConfig

    @property
    def device(self) -> torch.device: ...

    def image_features(self, pixel_values: torch.Tensor, image_grid_hws: GridHWs) -> torch.Tensor: ...

    def new_cache(self, capacity: int) -> LatentCache: ...

    def step(self, input_ids_T: torch.Tensor, cache: LatentCache, features_MD: torch.Tensor | None = None) -> torch.Tensor: ...


class Generation:
    """An iterator over the tokens of one answer, the end token excluded.

    After the last token `finish_reason` is "stop" (the model gave an end token) or "length" (`max_tokens` or the context is used up).
    A caller that has seen enough simply stops iterating.
    """

    def __init__(
        self,
        model: CausalModel,
        input_ids: Sequence[int],
        params: SamplingParams,
        *,
        end_ids: Iterable[int],
        images: tuple[torch.Tensor, GridHWs] | None = None,
        features_MD: torch.Tensor | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        """Nothing is computed yet. input_ids [T]; images as pixel_values [P, 3, patch, patch] and image_grid_hws [I, 2],
        or, where they have been encoded before, as their features [M, D]. `constraint` is what the answer must look like, and this
        answer's own.

        Raises: PromptTooLong unless the context has room for one more token behind the prompt, InputError for an empty prompt.
        """
        limit = model.config.text_config.max_position_embeddings
        if not input_ids:
            raise InputError("the prompt is empty; it must hold at least one token")
        if len(input_ids) >= limit:
            raise PromptTooLong(len(input_ids), limit - 1)
        self.finish_reason: FinishReason | None = None
        self.num_tokens = 0
        self._model = model
        self._images, self._features_MD = images, features_MD
        self._budget = min(params.max_tokens, limit - len(input_ids))
        self._capacity = len(input_ids) + self._budget
        self._cache: LatentCache | None = None
        self._uncached = list(input_ids)
        self._forced: deque[int] = deque()
        self._end_ids = frozenset(end_ids)
        # Fed back, a placeholder would stand for an image that no one gave.
        self._sampler = Sampler(params, never=[model.config.media_placeholder_token_id], prompt_ids=input_ids, constraint=constraint)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        """Raises: CapacityError when the device runs out of memory, CheckpointError for logits that are not finite, InputError where the
        constraint lets nothing follow."""
        if self.finish_reason is None and self.num_tokens == self._budget:
            self.finish_reason = "length"
        if self.finish_reason is not None:
            raise StopIteration
        if self._forced:
            self._sampler.take(token := self._forced.popleft())
        else:
            token = self._sampler.draw(self._forward(), self.num_tokens)
        self.num_tokens += 1
        self._uncached.append(token)
        if token in self._end_ids:
            self.finish_reason = "stop"
            raise StopIteration
        return token

    def force(self, token_ids: Iterable[int]) -> None:
        """Give these tokens next instead of what the model would say. They count, and the model then goes on from them."""
        self._forced.extend(token_ids)

    @torch.inference_mode()
    def _forward(self) -> torch.Tensor:
        """Run every token that is not in the cache yet; the logits after the last one, fp32 [W]."""
        model, features_MD = self._model, self._features_MD
        with memory_limit("generating", "pass fewer or smaller images, lower max_tokens, or run on another device"):
            if self._cache is None:
                if self._images is not None:
                    features_MD = model.image_features(*self._images)
                self._cache, self._features_MD = model.new_cache(self._capacity), None
            logits_W = model.step(torch.tensor(self._uncached, device=model.device), self._cache, features_MD)
        self._uncached.clear()
        return logits_W
