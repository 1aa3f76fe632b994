"""Weights and a context that fit a device, chosen before anything is loaded: what `KimiVL.load(fit="auto")` means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kimi_vl.checkpoint.memory import available_memory, estimate_bytes, human_bytes, loading_peak
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine.plan import LEAST_STEP, VALUE, longest_context, placed, plain_bytes
from kimi_vl.errors import CapacityError
from kimi_vl.ops.quantised import Kind

ENOUGH = 4  # a quarter of the context: for more of it weights are not made less exact
RUNNING = 4  # as `engine.plan.limits_of_one` has it
# The most exact first: of nano's logits int8 costs 2 % and int4 10 (docs/engine.md); fp8 takes as much as int8, and costs 8.5.
EXACTEST: tuple[Kind | None, ...] = (None, "int8", "int4")


@dataclass(frozen=True, slots=True)
class Fit:
    """What the decoder's weights are kept in, and how many tokens a conversation may have."""

    kind: Kind | None
    context: int


def fitted(
    config: KimiVLConfig,
    dtype: torch.dtype,
    device: torch.device,
    *,
    kinds: Sequence[Kind | None] = EXACTEST,
    free: int | None = None,
) -> Fit:
    """The most exact weights beside which a quarter of the context fits, or more; else those beside which most does, 1,024 tokens at least.

    `free` bytes, by default those that the device has now; where it does not tell, the first kind.

    Raises: CapacityError with what the least takes, and what there is.
    """
    most = config.text_config.max_position_embeddings
    free = available_memory(device) if free is None else free
    if free is None:
        return Fit(kinds[0], most)
    found = [Fit(kind, _longest(config, dtype, device, free, kind)) for kind in kinds]
    if exact := [fit for fit in found if fit.context >= most // ENOUGH]:
        return exact[0]
    best = max(found, key=lambda fit: fit.context)
    if best.context >= min(most, LEAST_STEP):
        return best
    least = min(loading_peak(config, dtype, kind) for kind in kinds)
    tried = ", ".join(kind or str(dtype).removeprefix("torch.") for kind in kinds)
    raise CapacityError(
        f"nothing that was tried ({tried}) fits {device}, of which {human_bytes(free)} are free: the least needs {human_bytes(least)} "
        f"to load and room for {min(most, LEAST_STEP):,} tokens beside it; `kimi-vl plan` says which machines do, and nano runs anywhere"
    )


def _longest(config: KimiVLConfig, dtype: torch.dtype, device: torch.device, free: int, kind: Kind | None) -> int:
    """Tokens of the longest conversation beside such weights; 0 where they cannot even be loaded."""
    if loading_peak(config, dtype, kind) > free:
        return 0
    weights = estimate_bytes(config, dtype, quantised=kind)
    text = config.text_config
    per_token = text.num_hidden_layers * text.latent_dim * dtype.itemsize
    usable = weights + (free - weights) * VALUE // dtype.itemsize  # the plan counts halves

    def fits(context: int) -> bool:
        if device.type != "cuda":  # the plain path
            return weights + context * per_token + plain_bytes(config, context, dtype.itemsize) <= free
        try:
            placed(config, usable=usable, weights=weights, context=context, max_running=RUNNING, kind=kind)
        except CapacityError:
            return False
        return True

    return longest_context(text.max_position_embeddings, fits)
