"""The Moonlight decoder: latent attention and mixture-of-experts layers (MODEL_SPEC §4)."""

from __future__ import annotations

import torch
from torch import nn

from kimi_vl.config import TextConfig
from kimi_vl.model.attention import LatentAttention
from kimi_vl.model.cache import Cache, Ends
from kimi_vl.model.experts import MixtureOfExperts
from kimi_vl.model.layers import GatedMLP, RMSNorm
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import Operations, rotary_angles

# Tokens that go through experts or MLP at once: each takes 42 KB in the experts at the official sizes, 68 KB in the MLP of the first layer.
# Of 16,384 a product of 128 rows at a time would compute 4 % too many: an expert's last tile is half empty. Of 65,536 it is 1 %.
MIXED_TOKENS = 65_536


class DecoderLayer(nn.Module):
    def __init__(self, config: TextConfig, layer: int, **factory) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, **factory)
        self.self_attn = LatentAttention(config, layer, **factory)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, **factory)
        self.mlp: GatedMLP | MixtureOfExperts = (
            GatedMLP(config.hidden_size, config.intermediate_size, **factory)
            if layer < config.first_k_dense_replace
            else MixtureOfExperts(config, **factory)
        )

    def forward(
        self,
        x_TD: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        tokens: TokenLayout,
        ops: Operations,
        cache: Cache | None,
        ends: Ends | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns (hidden [T, D], chosen experts [T, K]; None in a dense layer), of `ends` alone if there are any."""
        attended_TD = self.self_attn(self.input_layernorm(x_TD, ops), cos, sin, tokens, ops, cache, ends)
        if ends is not None:
            x_TD = x_TD.index_select(0, ends.tokens_B)
        x_TD, normed_TD = self.post_attention_layernorm.after(x_TD, attended_TD, ops)
        if normed_TD.shape[0] <= MIXED_TOKENS:
            return self._mixed(normed_TD, x_TD, ops)
        parts = [self._mixed(*part, ops) for part in zip(normed_TD.split(MIXED_TOKENS), x_TD.split(MIXED_TOKENS), strict=True)]
        indices_TK = None if parts[0][1] is None else torch.cat([indices for _, indices in parts if indices is not None])
        return torch.cat([mixed for mixed, _ in parts]), indices_TK

    def _mixed(self, normed_TD: torch.Tensor, x_TD: torch.Tensor, ops: Operations) -> tuple[torch.Tensor, torch.Tensor | None]:
        if isinstance(self.mlp, GatedMLP):
            return self.mlp(normed_TD, ops, x_TD), None
        return self.mlp(normed_TD, ops, x_TD)


class Decoder(nn.Module):
    def __init__(self, config: TextConfig, **factory) -> None:
        super().__init__()
        self.rope_width, self.rope_theta = config.qk_rope_head_dim, config.rope_theta
        # With a weight of its own it draws none: on the meta device that would import torch's compiler, for two seconds.
        self.embed_tokens = nn.Embedding(
            config.vocab_size, config.hidden_size, _weight=torch.empty(config.vocab_size, config.hidden_size, **factory)
        )
        self.layers = nn.ModuleList(DecoderLayer(config, layer, **factory) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, **factory)

    def forward(
        self, embeddings_TD: torch.Tensor, tokens: TokenLayout, ops: Operations, cache: Cache | None = None, ends: Ends | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Hidden states after the final norm [T, D], and the experts chosen in each mixture layer [T, K].

        With `ends`, those tokens' alone [B, D]: the others are not computed in the last layer, but for what the cache keeps of them. Of a
        prompt that is one layer of 27 saved.
        """
        cos, sin = self.rotations(tokens.positions_T, embeddings_TD.dtype)
        x_TD, chosen = embeddings_TD, []
        for number, layer in enumerate(self.layers, 1):
            x_TD, indices_TK = layer(x_TD, cos, sin, tokens, ops, cache, ends if number == len(self.layers) else None)
            if indices_TK is not None:
                chosen.append(indices_TK)
        if cache is not None:
            cache.advance(embeddings_TD.shape[0])
        return self.norm(x_TD, ops), chosen

    def rotations(self, positions_T: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of every position, [T, R/2] each."""
        angles = rotary_angles(positions_T, self.rope_width, self.rope_theta)
        # Rounded to the activation dtype before use, like the official code: exact in fp32, visible in bf16 (MODEL_SPEC §4).
        return angles.cos().to(dtype), angles.sin().to(dtype)


class LanguageModel(nn.Module):
    """Decoder and output matrix, under the checkpoint's names `language_model.model` and `language_model.lm_head`."""

    def __init__(self, config: TextConfig, **factory) -> None:
        super().__init__()
        self.model = Decoder(config, **factory)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False, **factory)
