"""The decoder for decoding rows on a GPU: one token of each, the layers of `Decoder` in as few kernels as they can be.

One row takes eight kernels a layer, which read every weight once and are set up while those before them run; more than two rows take the
products of tensor cores. The modules' weights are used as they are, but that matrices which multiply the same thing are moved to lie one
behind another. Letters as in ARCHITECTURE.md: B rows, D width, H heads, N / R / V nope, rope and value widths, L latent rank, W vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kimi_vl.model.attention import LatentAttention
from kimi_vl.model.cache import PagedLatentCache
from kimi_vl.model.decoder import DecoderLayer, LanguageModel
from kimi_vl.model.experts import MixtureOfExperts
from kimi_vl.model.layers import GatedMLP, RMSNorm, joined
from kimi_vl.ops.quantised import Quantised, Weight
from kimi_vl.ops.triton import few_rows, fp8, paged_latent_attention, rms_norm, route, routed_experts
from kimi_vl.ops.triton.gated_mlp import swiglu
from kimi_vl.ops.triton.latent_rows import write_latent_triton


class RowDecoder:
    """Logits of the next token of every row."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.layers = [layer for layer in model.model.layers if isinstance(layer, DecoderLayer)]
        for layer in self.layers:
            joined(layer.self_attn.q_proj, layer.self_attn.kv_a_proj_with_mqa)
            mlp = layer.mlp.shared_experts if isinstance(layer.mlp, MixtureOfExperts) else layer.mlp
            if mlp is not None:
                joined(mlp.gate_proj, mlp.up_proj)

    def __call__(self, x_BD: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cache: PagedLatentCache) -> torch.Tensor:
        """Run the newest token of every row, embedded, whose places `cache.begin` was told; [B, W] in the weights' dtype. cos and sin are
        those of `Decoder.rotations`. Asks the host nothing."""
        norms, normed_BD = [*(layer.input_layernorm for layer in self.layers[1:]), self.model.model.norm], None
        for layer, norm in zip(self.layers, norms, strict=True):
            x_BD, update_BD = self._attend(layer, x_BD, normed_BD, cos, sin, cache)
            x_BD, normed_BD = self._mix(layer.mlp, layer.post_attention_layernorm, x_BD, update_BD, norm)
        return _linear_of_norm(x_BD, normed_BD, self.model.lm_head.weight, self.model.model.norm)

    def _attend(
        self,
        layer: DecoderLayer,
        x_BD: torch.Tensor,
        normed_BD: torch.Tensor | None,
        cos: torch.Tensor,
        sin: torch.Tensor,
        cache: PagedLatentCache,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x and attention(norm(x)), or their sum alone; writes the cache. The norm may be there already."""
        attention, step = layer.self_attn, cache.step
        pages_GOZ, norm = cache.layers_GOZ[attention.layer], attention.kv_a_layernorm
        weight_XD = joined(attention.q_proj, attention.kv_a_proj_with_mqa)
        projected_BX = _linear_of_norm(x_BD, normed_BD, weight_XD, layer.input_layernorm)
        where = (pages_GOZ, step.page_table_BJ, step.cu_seqlens, step.lengths_B)
        if x_BD.shape[0] <= few_rows.WARP_TOKENS:
            query = few_rows.latent_query(
                projected_BX,
                attention.kv_b_proj.weight,
                (norm.weight, norm.eps),
                cos,
                sin,
                step.slots_T,
                pages_GOZ,
                attention.num_heads,
                attention.nope,
            )
            if x_BD.shape[0] <= few_rows.LATENT_TOKENS:
                parts = paged_latent_attention.attend_parts(*query, *where, scale=attention.scale)
                attended_BX = few_rows.join_values(*parts, attention.kv_b_proj.weight, attention.nope, x_BD.dtype)
            else:
                attended_BHL = paged_latent_attention.attend(*query, *where, scale=attention.scale)
                attended_BX = few_rows.map_values(attended_BHL, attention.kv_b_proj.weight, attention.nope)
        else:
            attended_BX = self._attend_many(attention, projected_BX, cos, sin, where, step.slots_T)
        if x_BD.shape[0] <= few_rows.WARP_TOKENS:
            return _linear(attended_BX, attention.o_proj.weight, residual_BR=x_BD), None
        return x_BD, _linear(attended_BX, attention.o_proj.weight)

    def _attend_many(
        self,
        attention: LatentAttention,
        projected_BX: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        where: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
        slots_B: torch.Tensor,
    ) -> torch.Tensor:
        """The attended values [B, H V]."""
        heads, nope, norm = attention.num_heads, attention.nope, attention.kv_a_layernorm
        queries = heads * (nope + attention.rope)
        q_BHQ, latent_BZ = projected_BX[:, :queries].unflatten(-1, (heads, -1)), projected_BX[:, queries:]
        q_rope_BHR = write_latent_triton(q_BHQ[..., nope:], latent_BZ, norm.weight, norm.eps, cos, sin, slots_B, where[0])
        key_up_HNL, value_up_HVL = attention.kv_b_proj.weight.unflatten(0, (heads, -1)).split([nope, attention.value], dim=1)
        q_latent_HBL = torch.bmm(q_BHQ[..., :nope].transpose(0, 1), key_up_HNL)
        attended_BHL = paged_latent_attention.paged_latent_attention_triton(
            q_latent_HBL.transpose(0, 1), q_rope_BHR, *where, scale=attention.scale
        )
        values_BHV = projected_BX.new_empty(projected_BX.shape[0], heads, attention.value)
        torch.bmm(attended_BHL.transpose(0, 1), value_up_HVL.mT, out=values_BHV.transpose(0, 1))
        return values_BHV.flatten(1)

    def _mix(
        self, mlp: GatedMLP | MixtureOfExperts, norm: RMSNorm, x_BD: torch.Tensor, update_BD: torch.Tensor | None, next_norm: RMSNorm
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x + mlp(norm(x)) of x + update, and the next norm of that where it costs nothing: not where a product takes its norm itself."""
        if not isinstance(mlp, MixtureOfExperts):
            x_BD = x_BD if update_BD is None else x_BD + update_BD
            gate_BF, up_BF = _linear(x_BD, joined(mlp.gate_proj, mlp.up_proj), norm).chunk(2, dim=-1)
            return _linear(swiglu(gate_BF, up_BF), mlp.down_proj.weight, residual_BR=x_BD), None
        x_BD, normed_BD, indices_BK, weights_BK, tokens = _route(mlp, x_BD, update_BD, norm)
        shared = None if mlp.shared_experts is None else mlp.shared_experts.weights
        weights, next_BD, written = mlp.experts.weights, None, None
        if few_rows.LINEAR_TOKENS < x_BD.shape[0] <= few_rows.WARP_TOKENS and routed_experts.writes_norms(x_BD.shape[0], weights[0]):
            next_BD = torch.empty_like(x_BD)
            written = (next_norm.weight, next_norm.eps, next_BD)
        mixed_BD = routed_experts.mixture(normed_BD, x_BD, *weights, indices_BK, weights_BK, shared, tokens=tokens, norm=written)
        return mixed_BD, next_BD


def _linear_of_norm(x_BD: torch.Tensor, normed_BD: torch.Tensor | None, weight_RD: Weight, norm: RMSNorm) -> torch.Tensor:
    """weight · norm(x), which may be there already."""
    return _linear(x_BD, weight_RD, norm) if normed_BD is None else _linear(normed_BD, weight_RD)


def _linear(x_BD: torch.Tensor, weight_RD: Weight, norm: RMSNorm | None = None, residual_BR: torch.Tensor | None = None) -> torch.Tensor:
    """residual + weight · norm(x)."""
    if x_BD.shape[0] <= few_rows.LINEAR_TOKENS and x_BD.shape[1] <= few_rows.MOST_WIDTH:
        given = None if norm is None else (norm.weight, norm.eps)
        return few_rows.linear(x_BD, weight_RD, norm=given, residual_TR=residual_BR)
    if isinstance(weight_RD, Quantised) and not few_rows.by_warps(x_BD, weight_RD) and fp8.taken(x_BD, weight_RD):
        # 11 us with the rounding, for 17 to 256 rows; tiles of 16-bit products take 33 to 93
        tokens = fp8.rounded(x_BD) if norm is None else fp8.rounded_rms_norm(x_BD, norm.weight, norm.eps)
        y_BR = fp8.linear(tokens, weight_RD)
        return y_BR if residual_BR is None else y_BR.add_(residual_BR)
    if norm is not None:
        x_BD = rms_norm.rms_norm_triton(x_BD, norm.weight, norm.eps)
    if few_rows.by_warps(x_BD, weight_RD):
        return few_rows.linear_by_warps(x_BD, weight_RD, residual_TR=residual_BR)
    if isinstance(weight_RD, Quantised):
        return few_rows.linear_by_tiles(x_BD, weight_RD, residual_TR=residual_BR)
    return F.linear(x_BD, weight_RD) if residual_BR is None else torch.addmm(residual_BR, x_BD, weight_RD.T)


def _route(
    mlp: MixtureOfExperts, x_BD: torch.Tensor, update_BD: torch.Tensor | None, norm: RMSNorm
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Quantised | None]:
    """x + update, its norm, the experts that this chooses with their weights, and the norm rounded to fp8 if that cost nothing."""
    gate, tokens = mlp.gate, None
    chosen_by = (gate.weight, gate.e_score_correction_bias, gate.top_k)
    renormalise, factor = gate.renormalise, gate.scaling_factor
    if x_BD.shape[0] <= route.VECTOR_TOKENS:
        given = (norm.weight, norm.eps)
        return *route.score(x_BD, given, *chosen_by, renormalise=renormalise, scaling_factor=factor, update_TD=update_BD), None
    assert update_BD is not None, "only a few rows come with their sum"
    if fp8.taken(x_BD, *mlp.experts.weights):
        total_BD, normed_BD, tokens = fp8.rounded_add_rms_norm(x_BD, update_BD, norm.weight, norm.eps)
    else:
        total_BD, normed_BD = rms_norm.add_rms_norm_triton(x_BD, update_BD, norm.weight, norm.eps)
    return total_BD, normed_BD, *route.route_triton(normed_BD, *chosen_by, renormalise=renormalise, scaling_factor=factor), tokens
