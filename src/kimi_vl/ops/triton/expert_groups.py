"""Routed experts for prompts, which arithmetic limits: pairs grouped by expert, and large products.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kimi_vl.ops.quantised import ExpertWeight, Packed, Quantised, dequantised, parts
from kimi_vl.ops.triton import fp8
from kimi_vl.ops.triton.expert_sums import weighted_sum
from kimi_vl.ops.triton.grouping import group_by_expert, spread_rows
from kimi_vl.ops.triton.packed import written
from kimi_vl.ops.triton.swiglu_products import grouped_swiglu


def by_groups(
    x_TD: torch.Tensor,
    gate_up_EGD: ExpertWeight,
    down_EDF: ExpertWeight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    beside_TD: torch.Tensor | None = None,
    residual_TD: torch.Tensor | None = None,
    tokens: Quantised | None = None,
) -> torch.Tensor:
    """Pairs grouped by expert: gate, up and SwiGLU in one kernel, down by torch's grouped product.

    Beside weights in fp8 `tokens`, those of x rounded, are spread, and inner values as they come. What else is quantised is written out
    once for all tokens, first gate and up, then down; at the official sizes an H100 takes 4 ms a layer for int8.
    """
    if quantised := fp8.taken(x_TD, gate_up_EGD, down_EDF):
        y_XD, places_X = _by_fp8_groups(fp8.rounded(x_TD) if tokens is None else tokens, indices_TK, *quantised)
        return weighted_sum(y_XD, places_X, weights_TK, 0, beside_TD, residual_TD)
    places_X, tokens_X, ends_E = group_by_expert(indices_TK, parts(down_EDF)[0].shape[0])
    # Nested, so that gate and up are gone when down is written out, and inner values when pairs are summed: gigabytes, for a long prompt.
    y_XD = F.grouped_mm(
        grouped_swiglu(x_TD, tokens_X, _written(gate_up_EGD, x_TD.dtype), ends_E), _written(down_EDF, x_TD.dtype).mT, offs=ends_E
    )
    return weighted_sum(y_XD, places_X, weights_TK, 0, beside_TD, residual_TD)


def _written(weight_ERD: ExpertWeight, dtype: torch.dtype) -> torch.Tensor:
    return written(weight_ERD, dtype) if isinstance(weight_ERD, Packed) else dequantised(weight_ERD, dtype)


def _by_fp8_groups(
    tokens: Quantised, indices_TK: torch.Tensor, gate_up_EGD: Quantised, down_EDF: Quantised
) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs of all pairs, grouped by expert, and where each lies."""
    places_X, _, ends_E = group_by_expert(indices_TK, gate_up_EGD.values.shape[0])
    x = Quantised(spread_rows(tokens.values, places_X), spread_rows(tokens.scales[:, None], places_X).flatten())
    gate_up_XG = fp8.grouped(x, gate_up_EGD, ends_E)
    del x  # gigabytes, for a long prompt
    inner = fp8.rounded_swiglu(*gate_up_XG.chunk(2, dim=-1))
    del gate_up_XG
    return fp8.grouped(inner, down_EDF, ends_E), places_X
