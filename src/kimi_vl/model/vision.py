"""MoonViT: a vision transformer at native resolution (MODEL_SPEC §3), and the projector into the decoder (§1.4).

Letters: P patches, M merged tokens, C vision width, H heads, Q head width, D decoder width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from kimi_vl.config import TextConfig, VisionConfig
from kimi_vl.model.patches import PatchLayout
from kimi_vl.ops import Operations

ROPE_THETA = 10000.0
LAYER_NORM_EPS = 1e-5  # torch's default; the checkpoint has no key for it


class PatchEmbed(nn.Module):
    """Patch pixels to vectors, plus the learned position table resampled to each image's own grid."""

    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.hidden_size, config.patch_size, stride=config.patch_size, **factory)
        self.pos_emb = PositionTable(config, **factory)

    def forward(self, pixel_values: torch.Tensor, layout: PatchLayout) -> torch.Tensor:
        """pixel_values [P, 3, patch, patch] -> [P, C]."""
        x_PC = F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias)
        return x_PC + self.pos_emb(layout)


class PositionTable(nn.Module):
    """A learned [rows, columns, C] table, bicubically resampled; the sum over 16 taps equals `F.interpolate` and needs no loop."""

    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.init_pos_emb_height, config.init_pos_emb_width, config.hidden_size, **factory))

    def forward(self, layout: PatchLayout) -> torch.Tensor:
        # fp32 whatever the weights are: the official code interpolates in bf16, which loses three digits of the table.
        table = self.weight.flatten(0, 1).float()
        out_PC = F.embedding_bag(layout.tap_index_P16, table, per_sample_weights=layout.tap_weight_P16, mode="sum")
        return out_PC.to(self.weight.dtype)


class VisionMLP(nn.Module):
    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.fc0 = nn.Linear(config.hidden_size, config.intermediate_size, **factory)
        self.fc1 = nn.Linear(config.intermediate_size, config.hidden_size, **factory)

    def forward(self, x_PC: torch.Tensor) -> torch.Tensor:
        return self.fc1(F.gelu(self.fc0(x_PC), approximate="tanh"))


class VisionBlock(nn.Module):
    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.scale = config.head_dim**-0.5
        self.norm0 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS, **factory)
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS, **factory)
        self.wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, **factory)
        self.wo = nn.Linear(config.hidden_size, config.hidden_size, **factory)
        self.mlp = VisionMLP(config, **factory)

    def forward(
        self,
        x_PC: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        cu_seqlens: torch.Tensor,
        max_seqlen: int,
        ops: Operations,
        lengths: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """cos and sin are fp32 [P, Q/2]: the rotation is done in fp32 and cast back (MODEL_SPEC §3, step 3)."""
        x_PC = x_PC + self.attended(self.norm0(x_PC), cos, sin, cu_seqlens, max_seqlen, ops, lengths)
        return x_PC + self.mlp(self.norm1(x_PC))

    def attended(
        self,
        x_PC: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        cu_seqlens: torch.Tensor,
        max_seqlen: int,
        ops: Operations,
        lengths: Sequence[int] | None,
    ) -> torch.Tensor:
        """What attention adds; queries, keys and values are gone when the MLP, the widest part, begins: 14 KB a patch."""
        qkv_P3HQ = self.wqkv(x_PC).unflatten(-1, (3, self.num_heads, -1))
        q_PHQ, k_PHQ = ops.rotate_qk(qkv_P3HQ, cos, sin)
        out_PHQ = ops.varlen_attention(
            q_PHQ, k_PHQ, qkv_P3HQ[:, 2], cu_seqlens, max_seqlen, causal=False, scale=self.scale, lengths=lengths
        )
        return self.wo(out_PHQ.flatten(1))


class VisionEncoder(nn.Module):
    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.blocks = nn.ModuleList(VisionBlock(config, **factory) for _ in range(config.num_hidden_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS, **factory)

    def forward(self, x_PC: torch.Tensor, layout: PatchLayout, ops: Operations) -> torch.Tensor:
        angles = self.rotary_angles(layout)
        cos, sin = angles.cos(), angles.sin()
        for block in self.blocks:
            x_PC = block(x_PC, cos, sin, layout.cu_seqlens, layout.max_seqlen, ops, layout.lengths)
        return self.final_layernorm(x_PC)

    def rotary_angles(self, layout: PatchLayout) -> torch.Tensor:
        """fp32 [P, Q/2]: pair 2i turns by column · f_i, pair 2i + 1 by row · f_i, with f_i = 10000^(-4i/Q).

        The official docstring says the opposite; the official code, followed here, puts the column first.
        """
        steps = torch.arange(0, self.head_dim, 4, dtype=torch.float32, device=layout.rows_P.device) / self.head_dim
        frequencies = ROPE_THETA**-steps
        by_column = layout.columns_P[:, None] * frequencies
        by_row = layout.rows_P[:, None] * frequencies
        return torch.stack((by_column, by_row), dim=-1).flatten(1)


class VisionTower(nn.Module):
    """MoonViT: packed patches to packed patch vectors."""

    def __init__(self, config: VisionConfig, **factory) -> None:
        super().__init__()
        self.table_hw = (config.init_pos_emb_height, config.init_pos_emb_width)
        self.patch_embed = PatchEmbed(config, **factory)
        self.encoder = VisionEncoder(config, **factory)

    def forward(self, pixel_values: torch.Tensor, layout: PatchLayout, ops: Operations) -> torch.Tensor:
        """pixel_values [P, 3, patch, patch] -> [P, C], images one after another in raster order."""
        pixel_values = pixel_values.to(self.patch_embed.proj.weight.dtype)
        return self.encoder(self.patch_embed(pixel_values, layout), layout, ops)


class Projector(nn.Module):
    """Normalise each patch vector, join the four of a 2 x 2 cell, and map them to one decoder token (exact GELU)."""

    def __init__(self, vision: VisionConfig, text: TextConfig, **factory) -> None:
        super().__init__()
        joined = 4 * vision.hidden_size
        self.pre_norm = nn.LayerNorm(vision.hidden_size, eps=LAYER_NORM_EPS, **factory)
        self.linear_1 = nn.Linear(joined, joined, **factory)
        self.linear_2 = nn.Linear(joined, text.hidden_size, **factory)

    def forward(self, x_PC: torch.Tensor, merge_index_M4: torch.Tensor) -> torch.Tensor:
        """[P, C] -> [M, D]."""
        cells = self.pre_norm(x_PC)[merge_index_M4].flatten(1)
        return self.linear_2(F.gelu(self.linear_1(cells)))
