"""A model whose next token is a function of the tokens so far: what it says is known exactly, and it checks how it is driven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch

VOCABULARY = 64
PLACEHOLDER = 0

Script = Callable[[tuple[int, ...]], int]


class ScriptedCache:
    """Stands in for the latent cache: keeps the tokens themselves."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tokens: list[int] = []


class ScriptedModel:
    """Gives logit 20 to `script(all tokens so far)` and 0 to everything else."""

    device = torch.device("cpu")

    def __init__(self, script: Script, *, context: int = 1000, vocabulary: int = VOCABULARY) -> None:
        text_config = SimpleNamespace(max_position_embeddings=context, vocab_size=vocabulary)
        self.config = SimpleNamespace(text_config=text_config, media_placeholder_token_id=PLACEHOLDER)
        self.script = script
        self.vocabulary = vocabulary
        self.steps: list[list[int]] = []
        self.features_seen = 0

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt that is being answered."""
        return len(self.steps[0])

    def new_cache(self, capacity: int) -> ScriptedCache:
        self.steps.clear()
        return ScriptedCache(capacity)

    def image_features(self, pixel_values: torch.Tensor, image_grid_hws: object) -> torch.Tensor:
        self.features_seen += 1
        return torch.zeros(pixel_values.shape[0] // 4, 1)

    def step(self, input_ids_T: torch.Tensor, cache: ScriptedCache, features_MD: torch.Tensor | None = None) -> torch.Tensor:
        self.steps.append(input_ids_T.tolist())
        cache.tokens += input_ids_T.tolist()
        if len(cache.tokens) > cache.capacity:
            raise AssertionError(f"{len(cache.tokens)} tokens in a cache of {cache.capacity}")
        logits_W = torch.zeros(self.vocabulary)
        logits_W[self.script(tuple(cache.tokens))] = 20.0
        return logits_W


def saying(tokens: Sequence[int], prompt_length: int) -> Script:
    """A script that says these tokens behind a prompt of the given length, then the last one for ever."""
    return lambda so_far: tokens[min(len(so_far) - prompt_length, len(tokens) - 1)]
