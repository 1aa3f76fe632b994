"""The model as it is trained: initial weights, one packed forward, the losses.

Letters as in `packing`; additionally D decoder width, G glyph slots, E experts, W vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.patches import PatchLayout
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops.cudnn import varlen_attention_cudnn
from kimi_vl.training.packing import GLYPH_CLASSES, GLYPH_SLOTS, TASKS, Batch, Budget

# What a gradient goes through: on a GPU the automatic choice would be kernels without a backward pass.
WITH_GRADIENTS = ("rms_norm", "add_rms_norm", "latent_rows", "expand_latents", "rotate_qk", "route", "gated_mlp", "mixture")
TRAINABLE = dict.fromkeys(WITH_GRADIENTS, "reference") | {"routed_experts": "dense"}
RESIDUAL_OUTPUTS = ("wo.weight", "fc1.weight", "o_proj.weight", "down_proj.weight", "down_proj")


@dataclass
class Losses:
    """Of one batch; tensors stay on the device until somebody prints them."""

    total: torch.Tensor
    text: torch.Tensor
    glyph: torch.Tensor
    task_loss: torch.Tensor  # [tasks] sums of cross-entropy
    task_right: torch.Tensor  # [tasks] sums of correct next tokens
    task_count: torch.Tensor  # [tasks]
    glyph_right: torch.Tensor  # share of written cells' characters named rightly
    expert_load: torch.Tensor  # [mixture layers, E] tokens sent to each expert


class TrainedNetwork(nn.Module):
    """The model with the dense-glyph head: every image token names the characters in its cell. The head is not shipped."""

    def __init__(self, config: KimiVLConfig, *, device: torch.device, dtype: torch.dtype, budget: Budget) -> None:
        super().__init__()
        self.model = KimiVLForConditionalGeneration(config, device=device, dtype=dtype)
        self.glyph_head = nn.Linear(config.text_config.hidden_size, GLYPH_SLOTS * GLYPH_CLASSES, device=device, dtype=dtype)
        self.model.choose_implementations(TRAINABLE)
        if self.model.ops.varlen_attention is varlen_attention_cudnn:  # it wants lengths on the host, and a recorded step has none
            self.model.choose_implementations(TRAINABLE | {"varlen_attention": "flash"})
        self.budget = budget
        for name, parameter in self.named_parameters():
            if name.endswith("e_score_correction_bias"):
                parameter.requires_grad_(False)

    @property
    def blocks(self) -> list[nn.Module]:
        return [*self.model.vision_tower.encoder.blocks, *self.model.language_model.model.layers]

    def compile_blocks(self) -> None:
        """Compile each kind of block once. Shapes never change, so neither does the code."""
        for block in self.blocks:
            block.compile(dynamic=False)

    def recompute_blocks(self, wanted: bool) -> None:
        """Gradient checkpointing: whether a block's activations are computed again in the backward pass instead of kept."""
        for block in self.blocks:
            block.__dict__.pop("forward", None)
            if wanted:
                # There is no dropout, and asking for the random state would break the recording of a step.
                block.__dict__["forward"] = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)

    @property
    def rope_theta(self) -> float:
        return self.model.language_model.model.rope_theta

    def change_rope(self, theta: float) -> None:
        """Another base for the rotary embedding, in the network and in the configuration that is exported with it."""
        self.model.language_model.model.rope_theta = theta
        config = self.model.config
        self.model.config = replace(config, text_config=replace(config.text_config, rope_theta=theta))

    def forward(self, batch: Batch, glyph_weight: float) -> Losses:
        features_MD = self.image_features(batch)
        hidden_TD, chosen = self.hidden_states(batch, features_MD)
        logits_NW = self.model.language_model.lm_head(hidden_TD.index_select(0, batch.predict_at_N)).float()
        loss_N = F.cross_entropy(logits_NW, batch.targets_N, reduction="none")
        text = (loss_N * batch.weights_N).sum() / batch.weights_N.sum().clamp_min(1e-6)
        glyph, glyph_right = self._glyph_loss(batch, features_MD)
        with torch.no_grad():
            real_N = (batch.weights_N > 0).float()
            sums = [torch.zeros(len(TASKS), device=loss_N.device) for _ in range(3)]
            right_N = (logits_NW.argmax(-1) == batch.targets_N).float()
            for total, values in zip(sums, (loss_N * real_N, right_N * real_N, real_N), strict=True):
                total.index_add_(0, batch.tasks_N, values)
            load = self._expert_load(chosen, batch)
        task_loss, task_right, task_count = sums
        return Losses(text + glyph_weight * glyph, text.detach(), glyph.detach(), task_loss, task_right, task_count, glyph_right, load)

    def image_features(self, batch: Batch) -> torch.Tensor:
        layout = PatchLayout(
            batch.rows_P,
            batch.columns_P,
            batch.tap_index_P16,
            batch.tap_weight_P16,
            batch.merge_index_M4,
            batch.image_cu_seqlens,
            self.budget.max_patches,
        )
        pixels = batch.pixels.to(self.model.dtype) / 127.5 - 1  # (x/255 - 0.5)/0.5
        patches_PC = self.model.vision_tower(pixels.unflatten(1, (3, 14, 14)), layout, self.model.ops)
        return self.model.multi_modal_projector(patches_PC, layout.merge_index_M4)

    def hidden_states(self, batch: Batch, features_MD: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        decoder = self.model.language_model.model
        embeddings_TD = decoder.embed_tokens(batch.input_ids_T)
        # One row more than there are tokens: the features of padding patches go there and are cut off.
        embeddings_TD = F.pad(embeddings_TD, (0, 0, 0, 1)).index_copy(0, batch.placeholder_M, features_MD)[:-1]
        tokens = TokenLayout(batch.positions_T, batch.token_cu_seqlens, self.budget.max_tokens)
        return decoder(embeddings_TD, tokens, self.model.ops)

    def _glyph_loss(self, batch: Batch, features_MD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy per slot; empty slots, far the most, weigh a tenth."""
        logits = self.glyph_head(features_MD).float().view(-1, GLYPH_CLASSES)
        targets = batch.glyphs_MG.flatten().long()
        written = (targets > 0).float()
        weights = written + 0.1 * (1 - written)
        loss = (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.sum()
        right = ((logits.argmax(-1) == targets).float() * written).sum() / written.sum().clamp_min(1)
        return loss, right.detach()

    def _expert_load(self, chosen: list[torch.Tensor], batch: Batch) -> torch.Tensor:
        experts = self.model.config.text_config.n_routed_experts
        real_T = (torch.arange(batch.input_ids_T.shape[0], device=batch.input_ids_T.device) < batch.real_tokens).float()
        loads = []
        for indices_TK in chosen:
            load_E = torch.zeros(experts, device=real_T.device)
            loads.append(load_E.index_add_(0, indices_TK.flatten(), real_T.repeat_interleave(indices_TK.shape[1])))
        return torch.stack(loads) if loads else torch.zeros(0, experts, device=real_T.device)


@torch.no_grad()
def initialise(network: TrainedNetwork, seed: int) -> None:
    """Random weights: N(0, 1/fan_in) for matrices, a quarter of that deviation where a block writes to the residual stream."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        value = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("e_score_correction_bias", ".bias")):
            value.zero_()
        elif "norm" in name:
            value.fill_(1.0)
        elif "embed_tokens" in name or "pos_emb" in name:
            value *= 0.2
        elif "lm_head" in name or "glyph_head" in name:
            value *= 0.02
        elif "patch_embed" in name:
            value *= parameter[0].numel() ** -0.5
        else:
            value *= parameter.shape[-1] ** -0.5 * (0.25 if name.endswith(RESIDUAL_OUTPUTS) else 1.0)
        parameter.copy_(value)
