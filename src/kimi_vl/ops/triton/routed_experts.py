"""Routed experts by Triton kernels: few tokens are limited by reading weights, which is done once per chosen expert; prompts by arithmetic.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kimi_vl.ops.experts import Shared, has_grouped_mm
from kimi_vl.ops.quantised import DTYPES, ExpertWeight, Packed, Quantised, Weight, of_parts, parts
from kimi_vl.ops.triton import fp8, packed_experts
from kimi_vl.ops.triton.expert_groups import by_groups
from kimi_vl.ops.triton.expert_sums import Norm
from kimi_vl.ops.triton.expert_tiles import by_tiles
from kimi_vl.ops.triton.expert_vectors import by_vectors
from kimi_vl.ops.triton.gated_mlp import gated_mlp
from kimi_vl.ops.triton.operators import operator

# Up to here every pair reads its expert's weights by itself, as vectors.
VECTOR_TOKENS = 1
# Up to here tiles of tensor cores, behind it torch's grouped product: at 512 tokens an expert has 48 rows, less than one tile of 64.
TILE_TOKENS = 512
FP8_TILE_TOKENS = 256  # in fp8, of which torch's products take 271 us for 512 tokens and tiles 305
# Up to here the shared experts are read along with the routed ones; behind it their tiles would be read more than once.
TOGETHER_TOKENS = 32


def writes_norms(num_tokens: int, gate_up_EGD: ExpertWeight) -> bool:
    """Whether `mixture` of so many tokens writes the norm of its output where it is asked to."""
    return VECTOR_TOKENS < num_tokens <= FP8_TILE_TOKENS and not isinstance(gate_up_EGD, Packed)


def routed_experts_triton(
    x_TD: torch.Tensor, gate_up_EGD: ExpertWeight, down_EDF: ExpertWeight, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """`routed_experts` in two to six kernels. Contract of the loop, but nothing asks the host; the weights are contiguous.

    Which way it is computed follows from the number of tokens alone (`VECTOR_TOKENS`, `TILE_TOKENS`). Sums run in the order of a token's
    experts, so results do not change from run to run, nor with the tokens beside it while the way and its tiles stay the same.
    """
    return mixture_triton(x_TD, None, gate_up_EGD, down_EDF, indices_TK, weights_TK, None)


def mixture_triton(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    gate_up_EGD: ExpertWeight,
    down_EDF: ExpertWeight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: Shared | None,
    *,
    routed_experts: object = None,
) -> torch.Tensor:
    """`mixture` as the above, which adds shared experts and residual to its sum: in fp32, rounded once. `routed_experts` is not called.
    Weights are quantised all or none; the shared experts in eight bits."""
    given = [parts(weight) for weight in (gate_up_EGD, down_EDF, *(shared or ()))]
    scales = [scales for _, scales in given if scales is not None]
    return _mixture(x_TD, residual_TD, [values for values, _ in given], scales, indices_TK, weights_TK)


# An operator to torch: a compiler need not look inside, and a backward pass through it is an error instead of a missing gradient.
@operator("kimi_vl::mixture(Tensor x, Tensor? residual, Tensor[] values, Tensor[] scales, Tensor indices, Tensor weights) -> Tensor")
def _mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    values: list[torch.Tensor],
    scales: list[torch.Tensor],
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
) -> torch.Tensor:
    gate_up_EGD: ExpertWeight = values[0]
    down_EDF: ExpertWeight = values[1]
    others: Sequence[Weight] = values[2:]
    if scales:
        gate_up_EGD = of_parts(values[0], scales[0], x_TD.shape[1])
        down_EDF = of_parts(values[1], scales[1], values[0].shape[1] // 2)
        others = [Quantised(*pair) for pair in zip(values[2:], scales[2:], strict=True)]
    x_TD = x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()
    residual_TD = None if residual_TD is None else residual_TD.contiguous()
    shared = (others[0], others[1], others[2]) if others else None
    return mixture(x_TD, residual_TD, gate_up_EGD, down_EDF, indices_TK.contiguous(), weights_TK.contiguous(), shared)


@_mixture.register_fake
def _(x_TD, residual_TD, values, scales, indices_TK, weights_TK):
    return torch.empty_like(x_TD, memory_format=torch.contiguous_format)


def mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    gate_up_EGD: ExpertWeight,
    down_EDF: ExpertWeight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: Shared | None,
    *,
    tokens: Quantised | None = None,
    norm: Norm | None = None,
) -> torch.Tensor:
    """The same for callers that want no operator; everything is contiguous, but for the rows of x. `tokens` are those of x if the caller
    has rounded them to fp8. A `norm` of the output is written beside it by tiles (`writes_norms`)."""
    num_tokens, chosen, beside_TD = x_TD.shape[0], (indices_TK, weights_TK), None
    if not num_tokens:
        return torch.empty_like(x_TD)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        if num_tokens > VECTOR_TOKENS and tokens is None and parts(gate_up_EGD)[0].dtype == DTYPES["fp8"]:
            tokens = fp8.rounded(x_TD)
        if shared is not None and num_tokens > TOGETHER_TOKENS:
            # Added below: torch.addmm would copy the residual first.
            if tokens is not None and (weights := fp8.taken(x_TD, *shared)):
                beside_TD, shared = fp8.gated_mlp(tokens, None, weights[0], weights[1], weights[2]), None
            else:
                beside_TD, shared = gated_mlp(x_TD, *shared), None
        most = FP8_TILE_TOKENS if fp8.taken(x_TD, gate_up_EGD, down_EDF) else TILE_TOKENS
        if num_tokens > most and has_grouped_mm(x_TD.device, x_TD.dtype):
            return by_groups(x_TD, gate_up_EGD, down_EDF, *chosen, beside_TD=beside_TD, residual_TD=residual_TD, tokens=tokens)
        if isinstance(gate_up_EGD, Packed):
            assert isinstance(down_EDF, Packed)
            if num_tokens <= VECTOR_TOKENS:
                return packed_experts.by_vectors(x_TD, gate_up_EGD, down_EDF, *chosen, shared=shared, residual_TD=residual_TD)
            return packed_experts.by_tiles(
                x_TD, gate_up_EGD, down_EDF, *chosen, shared=shared, beside_TD=beside_TD, residual_TD=residual_TD
            )
        assert not isinstance(down_EDF, Packed)
        if num_tokens <= VECTOR_TOKENS:
            return by_vectors(x_TD, gate_up_EGD, down_EDF, *chosen, shared=shared, residual_TD=residual_TD)
        return by_tiles(
            x_TD,
            gate_up_EGD,
            down_EDF,
            *chosen,
            shared=shared,
            beside_TD=beside_TD,
            residual_TD=residual_TD,
            tokens=tokens,
            norm=norm,
        )
