"""How many floating-point operations a batch takes, and what share of the device's limit a training step reaches (MFU).

Counted are the matrix products of the model itself, forward and twice that backward; work that is only there for training (glyph head,
optimiser, recomputed activations) is not, so that the share falls when it grows.
"""

from __future__ import annotations

import torch
from torch import nn

from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.training.packing import Batch

# Dense bf16 matrix products per second without sparsity, from NVIDIA's data sheets. Names as torch gives them.
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


def peak_flops(device: torch.device) -> float | None:
    """The device's limit for bf16, or None where it is not known (every CPU)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)


class FlopCounter:
    """Counts a batch on its device, without waiting for it."""

    def __init__(self, model: KimiVLForConditionalGeneration) -> None:
        self.config = model.config
        self.per_patch = matrix_values(model.vision_tower)
        self.per_merged = matrix_values(model.multi_modal_projector)
        self.per_token = active_values(model.language_model.model, model.config)
        self.per_learned = model.language_model.lm_head.weight.numel()

    def count(self, batch: Batch) -> torch.Tensor:
        """Forward and backward, fp64 scalar."""
        vision, text = self.config.vision_config, self.config.text_config
        patches, tokens = batch.real_patches.double(), batch.real_tokens.double()
        learned = (batch.weights_N > 0).sum().double()
        linear = 2 * (patches * self.per_patch + patches / 4 * self.per_merged + tokens * self.per_token + learned * self.per_learned)
        # Scores and weighted values: two products of [n, n] by the head width each. Causal attention needs half of them.
        pairs_of_patches = _squares(batch.image_cu_seqlens, batch.real_patches)
        pairs_of_tokens = _squares(batch.token_cu_seqlens, batch.real_tokens) / 2
        widths = text.num_attention_heads * (text.qk_head_dim + text.v_head_dim)
        attention = pairs_of_patches * 4 * vision.num_hidden_layers * vision.hidden_size
        attention = attention + pairs_of_tokens * 2 * text.num_hidden_layers * widths
        return 3 * (linear + attention)


def matrix_values(module: nn.Module) -> int:
    """Values in the weights that multiply every row: linear layers and the patch convolution."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))


def active_values(decoder: nn.Module, config: KimiVLConfig) -> int:
    """As `matrix_values`, with the routed experts' matrices counted for the experts that a token visits."""
    text = config.text_config
    total = 0
    for name, parameter in decoder.named_parameters():
        if parameter.ndim < 2 or "embed_tokens" in name:
            continue
        routed = ".experts." in name
        total += parameter.numel() * text.num_experts_per_tok // text.n_routed_experts if routed else parameter.numel()
    return total


def _squares(cu_seqlens: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Sum of the squared lengths of the sequences that are not padding."""
    lengths = cu_seqlens.diff().double()
    return (lengths.square() * (cu_seqlens[1:] <= real)).sum()
