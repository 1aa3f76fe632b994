"""Multi-head latent attention (MODEL_SPEC §4), in expanded form for prefill and training and in absorbed form over the cache.

Letters: T tokens, S cached tokens, D decoder width, H heads, N / R / V nope, rope and value widths, L latent rank, Z = L + R.
"""

from __future__ import annotations

import torch
from torch import nn

from kimi_vl.config import TextConfig
from kimi_vl.model.cache import Cache, Ends, PagedLatentCache
from kimi_vl.model.layers import RMSNorm, matrix_of, products
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import Operations

LATENT_NORM_EPS = 1e-6  # the official class default, whatever rms_norm_eps says (MODEL_SPEC §1.2)


class LatentAttention(nn.Module):
    def __init__(self, config: TextConfig, layer: int, **factory) -> None:
        super().__init__()
        self.layer = layer
        self.num_heads = config.num_attention_heads
        self.nope, self.rope, self.value = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        self.rank = config.kv_lora_rank
        self.scale = config.qk_head_dim**-0.5
        self.q_proj = nn.Linear(config.hidden_size, self.num_heads * config.qk_head_dim, bias=False, **factory)
        self.kv_a_proj_with_mqa = nn.Linear(config.hidden_size, config.latent_dim, bias=False, **factory)
        self.kv_a_layernorm = RMSNorm(self.rank, LATENT_NORM_EPS, **factory)
        self.kv_b_proj = nn.Linear(self.rank, self.num_heads * (self.nope + self.value), bias=False, **factory)
        self.o_proj = nn.Linear(self.num_heads * self.value, config.hidden_size, bias=False, **factory)

    def forward(
        self,
        x_TD: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        tokens: TokenLayout,
        ops: Operations,
        cache: Cache | None,
        ends: Ends | None = None,
    ) -> torch.Tensor:
        """cos and sin are [T, R/2] in x's dtype. With a cache, `tokens` has the boundaries of the sequences that begin here; the tokens
        behind theirs continue what the cache holds, many of one sequence in expanded form and the others in absorbed form. With `ends`,
        which needs a paged cache, all tokens are stored and only those attend."""
        q_TX, latent_TZ = products(x_TD, self.q_proj, self.kv_a_proj_with_mqa)
        q_THQ = q_TX.unflatten(-1, (self.num_heads, -1))
        q_nope_THN, q_rope_THR = q_THQ.split([self.nope, self.rope], dim=-1)
        norm = self.kv_a_layernorm
        in_place = not torch.is_grad_enabled()
        q_rope_THR, rows_TZ = ops.latent_rows(q_rope_THR, latent_TZ, norm.weight, norm.eps, cos, sin, in_place=in_place)
        del latent_TZ  # 151 MB of 131,072 tokens, which attention need not wait beside
        q_THQ = q_THQ if in_place else torch.cat((q_nope_THN, q_rope_THR), dim=-1)
        fresh = num_tokens = x_TD.shape[0]
        if cache is not None:
            fresh = cache.write(self.layer, rows_TZ)
        if ends is not None:
            assert isinstance(cache, PagedLatentCache), "ends stand in pages"
            last_B = ends.tokens_B
            return self.o_proj(self.absorbed(q_nope_THN[last_B], q_rope_THR[last_B], cache, ops, ends).flatten(1))
        attended = []
        if fresh:
            attended.append(self.expanded(q_THQ[:fresh], rows_TZ[:fresh], tokens, ops))
        done = fresh
        for num_new, rows_SZ in cache.continued(self.layer) if cache is not None else ():
            new = slice(done, done + num_new)
            attended.append(ops.expanded_latent_attention(q_THQ[new], rows_SZ, matrix_of(self.kv_b_proj), scale=self.scale))
            done += num_new
        if cache is not None and done < num_tokens:
            attended.append(self.absorbed(q_nope_THN[done:], q_rope_THR[done:], cache, ops))
        attended_THV = attended[0] if len(attended) == 1 else torch.cat(attended)
        return self.o_proj(attended_THV.flatten(1))

    def expanded(self, q_THQ: torch.Tensor, rows_TZ: torch.Tensor, tokens: TokenLayout, ops: Operations) -> torch.Tensor:
        """Keys and values of every head materialised: fewest operations when there are as many queries as keys. [T, H, V]."""
        k_THQ, v_THV = ops.expand_latents(rows_TZ, matrix_of(self.kv_b_proj), *q_THQ.shape[1:])
        options = {"causal": True, "scale": self.scale, "lengths": tokens.lengths}
        return ops.varlen_attention(q_THQ, k_THQ, v_THV, tokens.cu_seqlens, tokens.max_seqlen, **options)

    def absorbed(
        self, q_nope_THN: torch.Tensor, q_rope_THR: torch.Tensor, cache: Cache, ops: Operations, ends: Ends | None = None
    ) -> torch.Tensor:
        """The key and value maps folded into query and output, so that only the latents are read. [T, H, V]."""
        key_up_HNL, value_up_HVL = matrix_of(self.kv_b_proj).unflatten(0, (self.num_heads, -1)).split([self.nope, self.value], dim=1)
        q_latent_THL = torch.einsum("THN,HNL->THL", q_nope_THN, key_up_HNL)
        if isinstance(cache, PagedLatentCache) and ends is not None:
            attended_THL = cache.attend_ends(self.layer, q_latent_THL, q_rope_THR, ends, ops, scale=self.scale)
        else:
            attended_THL = cache.attend(self.layer, q_latent_THL, q_rope_THR, ops, scale=self.scale)
        return torch.einsum("THL,HVL->THV", attended_THL, value_up_HVL)
