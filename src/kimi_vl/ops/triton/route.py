"""The router as Triton kernels: scores of few tokens, and the choice among the scores of any number.

Letters: T tokens, D decoder width, E experts, K experts per token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kimi_vl.ops.triton.language import jit, next_power_of_2, tl

# Up to here each token reads the 512 KB of router weights by itself, out of the L2 cache and over 16 programs; behind it one fp32 product.
VECTOR_TOKENS = 32
BLOCK_EXPERTS = 4
BLOCK_WIDTH = 1024


@jit
def _score_kernel(x, weight, logits, x_stride, D, E, BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr):
    """One program: the logits of BLOCK_E experts for one token, in fp32 throughout."""
    t = tl.program_id(1)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    sum_E = tl.zeros([BLOCK_E], tl.float32)
    for start in range(0, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
        weight_ED = tl.load(weight + e[:, None] * D + d[None], mask=(e < E)[:, None] & (d < D)[None], other=0.0)
        sum_E += tl.sum(weight_ED * x_D[None], 1)
    tl.store(logits + t * E + e, sum_E, mask=e < E)


@jit
def _choose_kernel(logits, bias, indices, weights, factor, E, TOP_K: tl.constexpr, RENORMALISE: tl.constexpr, BLOCK_E: tl.constexpr):
    """One program: the TOP_K best experts of one token and their weights, by number. Of equals the lower number is the better."""
    t = tl.program_id(0).to(tl.int64)
    e = tl.arange(0, BLOCK_E)
    score_E = tl.sigmoid(tl.load(logits + t * E + e, mask=e < E, other=0.0))
    choice_E = score_E + tl.load(bias + e, mask=e < E, other=0.0)
    choice_E = tl.where(choice_E == choice_E, choice_E, -3.0e38)  # NaN: still an expert that exists, so that nothing is read elsewhere
    choice_E = tl.where(e < E, choice_E, float("-inf"))
    is_chosen_E = e < 0
    for _ in tl.static_range(TOP_K):
        best = tl.argmax(choice_E, 0)
        is_chosen_E = is_chosen_E | (e == best)
        choice_E = tl.where(e == best, float("-inf"), choice_E)
    place_E = tl.cumsum(is_chosen_E.to(tl.int32), 0) - 1
    tl.store(indices + t * TOP_K + place_E, e.to(tl.int64), mask=is_chosen_E)
    total = tl.sum(tl.where(is_chosen_E, score_E, 0.0), 0)
    weight_E = score_E / (total + 1e-20) if RENORMALISE else score_E
    tl.store(weights + t * TOP_K + place_E, weight_E * factor, mask=is_chosen_E)


def route_triton(
    x_TD: torch.Tensor,
    weight_ED: torch.Tensor,
    correction_bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`route` in two kernels for few tokens, three for many. Contract of the reference; weight and bias are fp32.

    A token's experts come in the order of their numbers. Equal choices fall to the lower number, which the reference leaves open.
    """
    return _route(x_TD, weight_ED, correction_bias_E, top_k, renormalise, scaling_factor)


@torch.library.custom_op(
    "kimi_vl::route",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor bias, int top_k, bool renormalise, float scaling_factor) -> (Tensor, Tensor)",
)
def _route(
    x_TD: torch.Tensor, weight_ED: torch.Tensor, bias_E: torch.Tensor, top_k: int, renormalise: bool, scaling_factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    (num_tokens, width), experts = x_TD.shape, weight_ED.shape[0]
    indices_TK, weights_TK = _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor)
    if not num_tokens:
        return indices_TK, weights_TK
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        if num_tokens <= VECTOR_TOKENS:
            x_TD = x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()
            logits_TE = torch.empty(num_tokens, experts, dtype=torch.float32, device=x_TD.device)
            block = min(BLOCK_WIDTH, next_power_of_2(width))
            grid = -(-experts // BLOCK_EXPERTS), num_tokens
            _score_kernel[grid](x_TD, weight_ED, logits_TE, x_TD.stride(0), width, experts, BLOCK_E=BLOCK_EXPERTS, BLOCK_D=block)
        else:
            logits_TE = F.linear(x_TD.float(), weight_ED)
        options = {"TOP_K": top_k, "RENORMALISE": renormalise, "BLOCK_E": next_power_of_2(experts), "num_warps": 1}
        _choose_kernel[num_tokens,](logits_TE, bias_E, indices_TK, weights_TK, scaling_factor, experts, **options)
    return indices_TK, weights_TK


@_route.register_fake
def _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor):
    shape, device = (x_TD.shape[0], top_k), x_TD.device
    return torch.empty(shape, dtype=torch.int64, device=device), torch.empty(shape, dtype=torch.float32, device=device)
